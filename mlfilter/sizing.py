"""How much of a setup is traded: the source's formula, then what may be lost at the stop.

The formula multiplies by leverage, and so leverage multiplies the loss at the stop. That is why there is a cap:
whatever the formula says, the loss at the stop, with fees, spread and slippage of both fills, stays within
``max_risk_per_trade`` of the capital, and no setting lifts that above ``HARD_CEILING``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

from mlfilter.ranges import require_fractions, require_positive
from mlfilter.setups import STOP_RANGE, Costs, decimal_of

HARD_CEILING = 0.02  # fraction of the capital that one trade may lose at its stop
SMALLEST_RISK = 0.0001
ROUNDED_STOP_RANGE = (0.9 * STOP_RANGE[0], 1.1 * STOP_RANGE[1])
LEVERAGE_RANGE = (1.0, 20.0)

BY_RISK = ""
BY_LOSS = "reduced, so that the stop loses no more than it may"
BY_CAPITAL = "reduced to what the capital pays for"
BELOW_SMALLEST = "below the smallest quantity"


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskRules:
    """What one trade may risk: fractions of the capital."""

    risk_per_trade: float = 0.005  # wanted loss at the stop, before leverage and costs
    max_risk_per_trade: float = 0.01  # largest loss at the stop, all costs included
    leverage: float = 1.0

    def __post_init__(self) -> None:
        require_fractions((SMALLEST_RISK, HARD_CEILING), risk_per_trade=self.risk_per_trade)
        require_fractions((SMALLEST_RISK, HARD_CEILING), max_risk_per_trade=self.max_risk_per_trade)
        require_fractions(LEVERAGE_RANGE, leverage=self.leverage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """In what a symbol is traded."""

    step: Decimal  # quantities are whole multiples of it
    smallest: Decimal = Decimal(0)
    unit: Decimal = Decimal(1)  # what a quantity of 1 gains, in account currency, when the price rises by 1

    def __post_init__(self) -> None:
        require_positive(step=self.step, unit=self.unit)
        if not (self.smallest.is_finite() and self.smallest >= 0):
            raise ValueError(f"smallest must be finite and at least 0, was {self.smallest}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """How a quantity was reached."""

    position_size: Decimal  # by the formula, account currency
    wanted: Decimal  # the quantity of that, unrounded
    quantity: Decimal  # on the grid; 0: not to be traded
    loss_at_stop: Decimal  # of that quantity, costs included
    largest_loss: Decimal
    reason: str = BY_RISK  # why the quantity is not the wanted one, where it is not by rounding


def position_size(
    capital: float | Decimal,
    risk_per_trade: float | Decimal,
    stop_loss_pct: float | Decimal,
    leverage: float | Decimal = 1.0,
) -> Decimal:
    """Return what to hold, in account currency: ``capital * risk_per_trade / stop_loss_pct * leverage``.

    >>> position_size(10_000, 0.005, 0.02)
    Decimal('2500')

    Raises
    ------
    ValueError
        If the stop is not within 0.001..0.2, the capital below 0, or another number outside what it may be.
    """
    require_fractions(STOP_RANGE, stop_loss_pct=stop_loss_pct)
    return _formula(capital, risk_per_trade, stop_loss_pct, leverage)


def _formula(
    capital: float | Decimal, risk_per_trade: float | Decimal, stop_loss_pct: float | Decimal, leverage: float | Decimal
) -> Decimal:
    require_fractions((0.0, HARD_CEILING), risk_per_trade=risk_per_trade)
    require_fractions(LEVERAGE_RANGE, leverage=leverage)
    if not (math.isfinite(capital) and capital >= 0):
        raise ValueError(f"capital must be finite and at least 0, was {capital}")
    risked = decimal_of(capital) * decimal_of(risk_per_trade)
    return (risked * decimal_of(leverage) / decimal_of(stop_loss_pct)).normalize() + 0


def loss_at_stop(
    quantity: Decimal, *, entry: Decimal, stop: Decimal, costs: Costs, unit: Decimal = Decimal(1)
) -> Decimal:
    """Return what a quantity loses when it is closed at its stop, with the costs of both fills, account currency."""
    return quantity * unit * _loss_of_one(entry, stop, costs)


def size_trade(
    capital: Decimal,
    *,
    entry: Decimal,
    stop: Decimal,
    grid: Grid,
    rules: RiskRules | None = None,
    costs: Costs | None = None,
) -> Sizing:
    """Return the quantity to trade, and how it was reached.

    Parameters
    ----------
    capital : Decimal
        Current equity, account currency.
    entry, stop : Decimal
        Prices; which is above says the direction.
    rules, costs : optional
        Their defaults.

    Raises
    ------
    ValueError
        If a price is not above 0, the capital below 0, or the stop not within 0.1 % to 20 % of the entry. A stop that
        was rounded to the grid of prices may be off that by a tenth.
    """
    rules, costs = rules or RiskRules(), costs or Costs()
    require_positive(entry=entry, stop=stop)
    distance = abs(entry - stop) / entry
    require_fractions(ROUNDED_STOP_RANGE, stop_loss_pct=distance)
    size = _formula(capital, rules.risk_per_trade, distance, rules.leverage)
    largest_loss = capital * decimal_of(rules.max_risk_per_trade)
    one = grid.unit * _loss_of_one(entry, stop, costs)
    wanted = size / (entry * grid.unit)
    bounds = {
        BY_RISK: wanted,
        BY_LOSS: largest_loss / one,
        BY_CAPITAL: capital * decimal_of(rules.leverage) / (entry * grid.unit),
    }
    reason = min(bounds, key=lambda name: bounds[name])
    quantity = round_down_to_step(bounds[reason], grid.step)
    if quantity * one > largest_loss:  # a quotient is rounded at its 28th digit, perhaps up
        quantity -= grid.step
    if quantity < grid.smallest or quantity == 0:
        quantity, reason = Decimal(0), BELOW_SMALLEST
    return Sizing(
        position_size=size,
        wanted=wanted,
        quantity=quantity,
        loss_at_stop=quantity * one,
        largest_loss=largest_loss,
        reason=reason,
    )


def quantity(
    capital: Decimal,
    *,
    entry: Decimal,
    stop: Decimal,
    grid: Grid,
    rules: RiskRules | None = None,
    costs: Costs | None = None,
) -> Decimal:
    """Return the quantity of ``size_trade`` alone."""
    return size_trade(capital, entry=entry, stop=stop, grid=grid, rules=rules, costs=costs).quantity


def round_down_to_step(quantity: Decimal, step: Decimal) -> Decimal:
    """Return the multiple of ``step`` next to a quantity on the side of zero."""
    # Decimal's // truncates and is exact; dividing first could round up at the 28th digit.
    return quantity // step * step


def _loss_of_one(entry: Decimal, stop: Decimal, costs: Costs) -> Decimal:
    """Return what a unit loses at its stop, costs included, price units."""
    rate = decimal_of(costs.half_spread) + decimal_of(costs.slippage) + decimal_of(costs.fee)
    return abs(entry - stop) + rate * (entry + stop)
