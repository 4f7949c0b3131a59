"""From models' positions to one position per symbol, and from an account to the capital of each symbol.

Positions are fractions of a symbol's capital (``_pct`` keeps the name of the source; 0.5 is a half).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from execution.planning.invariants import require_positive
from execution.planning.orders import AccountSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPosition:
    """What one fitted model wants to hold, its weight in the blend already applied."""

    strategy: str
    variant: str
    version: str
    position_pct: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.position_pct):
            name = f"{self.strategy} {self.variant} version {self.version}"
            raise ValueError(f"the position of {name} must be finite, was {self.position_pct}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioTarget:
    """What the models want together."""

    position_pct: float  # the plain sum
    clipped_pct: float  # the sum within the limits
    models: tuple[ModelPosition, ...]


def combine(models: Sequence[ModelPosition], max_position_pct: float) -> PortfolioTarget:
    """Return the sum of the models' positions, clipped to ``± max_position_pct``.

    The sum is ``math.fsum``'s, so it does not depend on the order of the models.

    Raises
    ------
    ValueError
        Without models: nobody's opinion is not the opinion that nothing should be held.
    """
    if not models:
        raise ValueError("a target needs at least one model, there are 0: skip the symbol instead")
    if not (math.isfinite(max_position_pct) and max_position_pct >= 0):
        raise ValueError(f"max_position_pct must be finite and at least 0, was {max_position_pct}")
    total = math.fsum(model.position_pct for model in models)
    clipped = max(-max_position_pct, min(max_position_pct, total))
    return PortfolioTarget(position_pct=total, clipped_pct=clipped, models=tuple(models))


def equal_weights(symbols: Iterable[str]) -> dict[str, Decimal]:
    """Return 1/n for each symbol."""
    names = list(dict.fromkeys(symbols))
    return {name: Decimal(1) / len(names) for name in names}


def capital_per_asset(sizing_capital: Decimal, weight: Decimal) -> Decimal:
    """Return a symbol's share of the capital. Weights are fractions between 0 and 1."""
    if not 0 <= weight <= 1:
        raise ValueError(f"a portfolio weight must lie between 0 and 1, was {weight}")
    return sizing_capital * weight


class CapitalRule(StrEnum):
    """Where the capital that positions are sized from comes from."""

    FIXED = "fixed"
    BALANCE = "balance"


@dataclass(frozen=True, slots=True, kw_only=True)
class SizingCapital:
    """The capital that positions are sized from, and a warning where it is not what the rule asked for."""

    amount: Decimal  # account currency
    asked: Decimal
    rule: CapitalRule
    warning: str = ""


def effective_capital(rule: CapitalRule, *, fixed: Decimal, account: AccountSnapshot) -> SizingCapital:
    """Return the fixed capital or the balance, but never more than the equity.

    Raises
    ------
    ValueError
        If what is asked for, or the equity, is not above zero: nothing can be sized from it.
    """
    asked = fixed if rule is CapitalRule.FIXED else account.balance
    require_positive(sizing_capital=asked, equity=account.equity)
    if asked <= account.equity:
        return SizingCapital(amount=asked, asked=asked, rule=rule)
    warning = f"the {rule} capital of {asked} is above the equity: positions are sized from {account.equity}"
    return SizingCapital(amount=account.equity, asked=asked, rule=rule, warning=warning)
