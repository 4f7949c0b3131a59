"""The limits of trading as data: unit, default, range, and a ceiling that no setting can pass.

The admin, the pages and the rules read this table. Fractions are fractions: 0.02 is two per cent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Self

FRACTION_OF_CAPITAL = "of the symbol's capital"
FRACTION_OF_EQUITY = "of equity"
FRACTION_OF_INITIAL = "of the initial balance"
FRACTION_OF_BUDGET = "of the loss budget"
FRACTION_OF_PRICE = "of the price"
MONEY = "account currency"
SECONDS = "s"
COUNT = "count"


@dataclass(frozen=True, slots=True)
class LimitSpec:
    """One limit: what it may be, and what it is until a person says otherwise."""

    unit: str
    default: Decimal
    minimum: Decimal
    ceiling: Decimal  # in code on purpose: raising it takes a review
    description: str

    def __post_init__(self) -> None:
        if not self.minimum <= self.default <= self.ceiling:
            raise ValueError(f"a default must lie from {self.minimum} to {self.ceiling}, was {self.default}")


def _limit(unit: str, default: str, minimum: str, ceiling: str, description: str) -> LimitSpec:
    return LimitSpec(unit, Decimal(default), Decimal(minimum), Decimal(ceiling), description)


LIMITS: dict[str, LimitSpec] = {
    "max_position_pct": _limit(FRACTION_OF_CAPITAL, "1", "0", "2", "largest possible position in one symbol"),
    "max_gross": _limit(FRACTION_OF_EQUITY, "1", "0", "3", "largest sum of all positions, long and short added"),
    "max_net": _limit(FRACTION_OF_EQUITY, "1", "0", "3", "largest sum of all positions, short taken from long"),
    "max_margin": _limit(FRACTION_OF_EQUITY, "1", "0", "1", "largest margin, at the account's leverage"),
    "max_order_notional": _limit(MONEY, "50000", "0", "1000000", "largest single order"),
    # On a hedging account each increase is a position of its own, so that this is no count of symbols.
    "max_positions": _limit(COUNT, "100", "0", "200", "most positions open at once"),
    "price_collar": _limit(FRACTION_OF_PRICE, "0.02", "0", "0.05", "furthest the price may be from the plan's"),
    "max_spread": _limit(FRACTION_OF_PRICE, "0.005", "0", "0.02", "widest spread to open into"),
    "max_tick_age_s": _limit(SECONDS, "60", "0", "300", "oldest tick to open on"),
    "max_account_age_s": _limit(SECONDS, "5", "0", "30", "oldest account read to open on"),
    "max_spec_age_s": _limit(SECONDS, "3600", "0", "86400", "oldest symbol specification to open on"),
    "max_orders_per_minute": _limit(COUNT, "60", "0", "300", "most orders in a minute"),
    "max_orders_per_day": _limit(COUNT, "200", "0", "1500", "most orders in a day"),
    "max_entry_requests_per_day": _limit(
        COUNT, "1000", "0", "1500", "most trade requests in a day before entries stop"
    ),
    "max_requests_per_day": _limit(COUNT, "1500", "0", "1900", "most trade requests in a day; FTMO forbids over 2,000"),
    "max_risk_per_trade": _limit(
        FRACTION_OF_EQUITY, "0.01", "0", "0.02", "largest loss of one order at its stop, costs included"
    ),
    "max_failures_in_a_row": _limit(COUNT, "5", "1", "20", "failed requests in a row that pause"),
    "max_daily_loss": _limit(FRACTION_OF_INITIAL, "0.05", "0", "0.1", "largest loss since the day's first balance"),
    "max_loss": _limit(FRACTION_OF_INITIAL, "0.1", "0", "0.2", "largest loss since the start"),
    "max_drawdown": _limit("of the highest equity", "0.1", "0", "0.3", "largest fall from the highest equity"),
    "loss_soft_line": _limit(FRACTION_OF_BUDGET, "0.8", "0", "0.95", "share of a loss budget that stops entries"),
    "loss_hard_line": _limit(FRACTION_OF_BUDGET, "0.9", "0", "0.98", "share of a loss budget that flattens"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits in force. Every value lies within its range; there is no way to make one that does not."""

    max_position_pct: Decimal = LIMITS["max_position_pct"].default
    max_gross: Decimal = LIMITS["max_gross"].default
    max_net: Decimal = LIMITS["max_net"].default
    max_margin: Decimal = LIMITS["max_margin"].default
    max_order_notional: Decimal = LIMITS["max_order_notional"].default
    max_positions: Decimal = LIMITS["max_positions"].default
    price_collar: Decimal = LIMITS["price_collar"].default
    max_spread: Decimal = LIMITS["max_spread"].default
    max_tick_age_s: Decimal = LIMITS["max_tick_age_s"].default
    max_account_age_s: Decimal = LIMITS["max_account_age_s"].default
    max_spec_age_s: Decimal = LIMITS["max_spec_age_s"].default
    max_orders_per_minute: Decimal = LIMITS["max_orders_per_minute"].default
    max_orders_per_day: Decimal = LIMITS["max_orders_per_day"].default
    max_entry_requests_per_day: Decimal = LIMITS["max_entry_requests_per_day"].default
    max_requests_per_day: Decimal = LIMITS["max_requests_per_day"].default
    max_risk_per_trade: Decimal = LIMITS["max_risk_per_trade"].default
    max_failures_in_a_row: Decimal = LIMITS["max_failures_in_a_row"].default
    max_daily_loss: Decimal = LIMITS["max_daily_loss"].default
    max_loss: Decimal = LIMITS["max_loss"].default
    max_drawdown: Decimal = LIMITS["max_drawdown"].default
    loss_soft_line: Decimal = LIMITS["loss_soft_line"].default
    loss_hard_line: Decimal = LIMITS["loss_hard_line"].default

    def __post_init__(self) -> None:
        for field in fields(self):
            spec, value = LIMITS[field.name], getattr(self, field.name)
            if not (value.is_finite() and spec.minimum <= value <= spec.ceiling):
                allowed = f"from {spec.minimum} to {spec.ceiling} {spec.unit}"
                raise ValueError(f"{field.name} must be {allowed}, was {value}")

    @classmethod
    def from_values(cls, values: Mapping[str, Decimal]) -> Self:
        """Return the defaults with ``values`` in place of some.

        Raises
        ------
        ValueError
            If a name is no limit's, or a value is outside its range.
        """
        unknown = sorted(set(values) - set(LIMITS))
        if unknown:
            raise ValueError(f"no limit {unknown[0]!r}; known: {', '.join(LIMITS)}")
        return cls(**values)
