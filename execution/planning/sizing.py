"""From a position in fractions of capital to lots, every step kept for the record."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

from execution.planning.invariants import require_not_negative, require_positive
from execution.planning.orders import SymbolSpec
from execution.planning.rounding import decimal_from_float, round_down_to_step, round_half_even

NO_CAPITAL = "the symbol's share of the capital is 0"
NOTHING_WANTED = "the models want nothing"
BELOW_ONE_TENTH = "below one tenth of the capital"
BELOW_ONE_STEP = "below one lot step"
BELOW_SMALLEST = "below the smallest volume"
CAPPED = "one step fewer, to stay within the largest position"


@dataclass(frozen=True, slots=True, kw_only=True)
class SizingRules:
    """How lots are rounded and capped."""

    max_position_pct: Decimal = Decimal(1)  # fraction of the symbol's capital
    lot_precision: int = 2  # places after the point

    def __post_init__(self) -> None:
        require_not_negative(max_position_pct=self.max_position_pct)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """How a target was reached, step by step. All lots are signed."""

    contract_value: Decimal  # of one lot, account currency
    capital_per_asset: Decimal
    all_in_lots: Decimal  # what the capital buys, unrounded
    position_pct: float
    tenths: Decimal  # the position rounded to tenths of the capital
    raw_lots: Decimal
    lots_by_precision: Decimal
    lots_by_step: Decimal
    capped: bool
    target_lots: Decimal
    reason: str = ""  # why the target is not the raw lots, where it matters


def contract_value(spec: SymbolSpec, price: Decimal, rate: Decimal = Decimal(1)) -> Decimal:
    """Return one lot's worth in account currency.

    ``rate`` is the price of the profit currency in the account's currency: 1 where they are the same.
    """
    require_positive(price=price, rate=rate)
    return spec.contract_size * price * rate


def size_target(
    position_pct: float,
    *,
    spec: SymbolSpec,
    contract_value: Decimal,
    capital_per_asset: Decimal,
    rules: SizingRules | None = None,
) -> Sizing:
    """Return the signed lots that hold ``position_pct`` of the capital.

    The source's formula, ``round(position_pct * 10) / 10 * all_in_lots``, then rounded to ``lot_precision`` (halves
    to even), brought to the volume step on the side of zero, zero below the smallest volume, and lowered by a step
    where rounding to nearest went above ``max_position_pct`` of the capital.

    Both of Python's roundings of the source are kept: tenths are rounded as a float, lots as a decimal number.
    """
    rules = rules or SizingRules()
    require_positive(contract_value=contract_value)
    require_not_negative(capital_per_asset=capital_per_asset)
    if not math.isfinite(position_pct):
        raise ValueError(f"a position must be finite, was {position_pct}")
    all_in_lots = capital_per_asset / contract_value
    tenths = Decimal(round(position_pct * 10)) / 10
    raw_lots = tenths * all_in_lots
    by_precision = round_half_even(raw_lots, rules.lot_precision)
    by_step = round_down_to_step(by_precision, spec.volume_step)
    largest = _largest_lots(spec, rules, capital=capital_per_asset, contract_value=contract_value)
    capped = abs(by_step) > largest
    lots = largest.copy_sign(by_step) if capped else by_step
    target = lots if abs(lots) >= spec.volume_min else Decimal(0)
    stopped = _reason(decimal_from_float(position_pct), tenths, lots=lots, target=target, capped=capped)
    return Sizing(
        contract_value=contract_value,
        capital_per_asset=capital_per_asset,
        all_in_lots=all_in_lots,
        position_pct=position_pct,
        tenths=tenths,
        raw_lots=raw_lots,
        lots_by_precision=by_precision,
        lots_by_step=by_step,
        capped=capped,
        target_lots=target,
        reason=stopped if capital_per_asset else NO_CAPITAL,
    )


def _largest_lots(spec: SymbolSpec, rules: SizingRules, *, capital: Decimal, contract_value: Decimal) -> Decimal:
    """Return the most lots on the grid whose worth is within the largest position.

    The grid is the coarser of the volume step and the lot precision. Rounding to nearest passes the largest position
    by less than one step of it, so this is then exactly "one step fewer"; it still holds where a largest position
    between two tenths, such as 0.35, is passed by more.
    """
    step = max(spec.volume_step, Decimal(1).scaleb(-rules.lot_precision))
    most = rules.max_position_pct * capital / contract_value
    return round_down_to_step(round_down_to_step(most, step), spec.volume_step)


def _reason(position_pct: Decimal, tenths: Decimal, *, lots: Decimal, target: Decimal, capped: bool) -> str:
    """Name what stopped the position, the first blocker first."""
    if position_pct == 0:
        return NOTHING_WANTED
    if tenths == 0:
        return BELOW_ONE_TENTH
    if lots == 0:
        return BELOW_ONE_STEP
    if target == 0:
        return BELOW_SMALLEST
    return CAPPED if capped else ""
