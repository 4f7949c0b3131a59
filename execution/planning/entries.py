"""From an approved setup to one order with its stop and target: how many lots, and what is lost at the stop.

A setup's levels are those of the prices that it was found in, which may be another venue's. So its distances are kept,
as fractions of the entry, and laid on the price that an order would get here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from execution.errors import RiskRefusedError
from execution.planning.invariants import require_positive
from execution.planning.orders import Quote, Side, SymbolSpec
from execution.planning.rounding import round_down_to_step
from execution.planning.sizing import contract_value
from execution.planning.stops import require_stops
from mlfilter.setups import Costs
from mlfilter.sizing import SMALLEST_RISK, Grid, RiskRules, Sizing, loss_at_stop, size_trade

# The gate measures the loss once more at its own price: a plan at the very limit would be refused at the next tick.
ROOM_FOR_DRIFT = 0.98
# A quote's two sides have the spread in them already, so that it is no cost beside the price.
NO_COSTS = Costs(half_spread=0.0, slippage=0.0, fee=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryWish:
    """A position that a setup asks for; its distances are fractions of the entry price."""

    side: Side
    stop_distance: Decimal
    target_distance: Decimal

    def __post_init__(self) -> None:
        require_positive(stop_distance=self.stop_distance, target_distance=self.target_distance)
        lower = self.stop_distance if self.side is Side.BUY else self.target_distance
        if lower >= 1:
            raise ValueError(f"a level below the entry must be above 0, was {lower} of the entry below it")


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryPlan:
    """One order, its stop and its target."""

    side: Side
    lots: Decimal
    price: Decimal  # what the order would get now
    stop: Decimal
    target: Decimal
    risk: Decimal  # account currency lost at the stop, costs included
    reason: str  # why it is smaller than asked for, empty where it is not


def wished(side: Side, *, entry: Decimal, stop: Decimal, target: Decimal) -> EntryWish:
    """Return what a setup's levels ask for.

    Raises
    ------
    ValueError
        The stop is not on the losing side of the entry, or the target not on the winning one.
    """
    require_positive(entry=entry, stop=stop, target=target)
    return EntryWish(
        side=side,
        stop_distance=(entry - stop) * side.sign / entry,
        target_distance=(target - entry) * side.sign / entry,
    )


def loss_at(side: Side, lots: Decimal, *, price: Decimal, stop: Decimal, unit: Decimal, costs: Costs) -> Decimal:
    """Return what a position loses from ``price`` to ``stop`` in account currency, costs of both fills included.

    0 where the stop is not on the losing side: it protects nothing. ``unit`` is what a lot gains when the price rises
    by 1.
    """
    if (price - stop) * side.sign <= 0:
        return Decimal(0)
    return loss_at_stop(lots, entry=price, stop=stop, costs=costs, unit=unit)


def plan_entry(
    wish: EntryWish,
    *,
    equity: Decimal,
    spec: SymbolSpec,
    quote: Quote,
    rate: Decimal = Decimal(1),
    rules: RiskRules,
    costs: Costs = NO_COSTS,
) -> EntryPlan:
    """Return the order that a wish comes to at the present price.

    Parameters
    ----------
    rate : Decimal
        Account currency per unit of the symbol's profit currency.
    costs : Costs
        Beside the spread, which the quote shows.

    Raises
    ------
    RiskRefusedError
        With the code ``entry:too_small`` below the smallest order, ``entry:stops`` for levels that the venue would not
        take or that protect nothing.
    """
    price = quote.price_for(wish.side)
    stop, target = _levels(wish, price, spec)
    _check_levels(wish.side, quote, spec, stop=stop, target=target)
    unit = contract_value(spec, Decimal(1), rate)
    sized = _sized(equity, price, stop, spec=spec, unit=unit, rules=rules, costs=costs)
    lots = min(sized.quantity, round_down_to_step(spec.volume_max, spec.volume_step))
    if lots == 0:
        words = f"{sized.wanted:.6f} lots of {spec.symbol} are asked for, at most {sized.largest_loss:.2f} may be lost"
        raise RiskRefusedError(f"{words}, the smallest order is {spec.smallest_order}", codes=["entry:too_small"])
    reason = sized.reason if lots == sized.quantity else "reduced to the largest order"
    risk = loss_at(wish.side, lots, price=price, stop=stop, unit=unit, costs=costs)
    return EntryPlan(side=wish.side, lots=lots, price=price, stop=stop, target=target, risk=risk, reason=reason)


def _sized(
    equity: Decimal, price: Decimal, stop: Decimal, *, spec: SymbolSpec, unit: Decimal, rules: RiskRules, costs: Costs
) -> Sizing:
    grid = Grid(step=spec.volume_step, smallest=spec.smallest_order, unit=unit)
    try:
        return size_trade(equity, entry=price, stop=stop, grid=grid, rules=_with_room(rules), costs=costs)
    except ValueError as error:  # as where the grid of prices is so coarse that the stop is at the entry
        raise RiskRefusedError(f"{spec.symbol} cannot be sized: {error}", codes=["entry:stops"]) from error


def _with_room(rules: RiskRules) -> RiskRules:
    most = max(rules.max_risk_per_trade * ROOM_FOR_DRIFT, SMALLEST_RISK)
    return replace(rules, max_risk_per_trade=most)


def _levels(wish: EntryWish, price: Decimal, spec: SymbolSpec) -> tuple[Decimal, Decimal]:
    """Return stop and target on the grid of prices, both rounded towards a nearer exit."""
    near, far = (ROUND_CEILING, ROUND_FLOOR) if wish.side is Side.BUY else (ROUND_FLOOR, ROUND_CEILING)
    grid = Decimal(1).scaleb(-spec.digits)
    stop = (price * (1 - wish.side.sign * wish.stop_distance)).quantize(grid, rounding=near)
    target = (price * (1 + wish.side.sign * wish.target_distance)).quantize(grid, rounding=far)
    return stop, target


def _check_levels(side: Side, quote: Quote, spec: SymbolSpec, *, stop: Decimal, target: Decimal) -> None:
    price = quote.price_for(side)
    if not (price - stop) * side.sign > 0 < (target - price) * side.sign:
        words = f"the grid of {spec.symbol}'s prices leaves nothing between {stop}, {price} and {target}"
        raise RiskRefusedError(f"{words}, stop and target must lie apart from the entry", codes=["entry:stops"])
    try:
        require_stops(side, quote, spec, stop=stop, target=target)
    except ValueError as error:
        raise RiskRefusedError(str(error), codes=["entry:stops"]) from error
