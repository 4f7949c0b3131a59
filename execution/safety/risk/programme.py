"""The rules of a funded programme as data, and how far equity may fall under them.

The rules, after FTMO's own pages: equity, floating included, never falls below the balance at midnight in
Europe/Prague less a share of the *initial* balance, nor below a floor that is fixed or follows the highest balance of
a midnight and never falls. What is paid in or out during a day moves that day's start: it is no loss.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from execution.planning.invariants import require_finite, require_positive
from execution.safety.risk.context import LossBudget, LossKind
from execution.safety.risk.days import is_reset_within

ENTRIES_LOOK_AHEAD = timedelta(hours=1)  # from 23:00 entries also need room under tomorrow's floor
KILL_LOOK_AHEAD = timedelta(minutes=15)  # from 23:45 the hard line is tomorrow's, too
LARGEST_SHARE = Decimal("0.5")


class MaxLossKind(StrEnum):
    """What the largest loss of a programme is measured from."""

    STATIC = "static"  # the initial balance
    TRAILING = "trailing"  # the highest balance of a midnight, at least the initial one


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """The shares of a loss budget at which we act ourselves, before the programme does."""

    soft: Decimal = Decimal("0.8")  # stops entries
    hard: Decimal = Decimal("0.9")  # flattens and latches

    def __post_init__(self) -> None:
        if not (self.soft.is_finite() and self.hard.is_finite() and 0 <= self.soft <= self.hard <= 1):
            raise ValueError(f"lines must hold 0 <= soft <= hard <= 1, were {self.soft} and {self.hard}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Programme:
    """A programme's rules. Shares are of the initial balance unless they say otherwise."""

    name: str
    daily_loss: Decimal
    max_loss: Decimal
    max_loss_kind: MaxLossKind = MaxLossKind.STATIC
    profit_target: Decimal | None = None
    min_trading_days: int = 0  # days on which a position was opened
    best_day_share: Decimal | None = None  # of the total profit
    lines: Lines = Lines()

    def __post_init__(self) -> None:
        for name, share in (("daily_loss", self.daily_loss), ("max_loss", self.max_loss)):
            require_positive(**{name: share})
            if share > LARGEST_SHARE:
                raise ValueError(f"{name} must be at most {LARGEST_SHARE} of the initial balance, was {share}")
        for name, goal in (("profit_target", self.profit_target), ("best_day_share", self.best_day_share)):
            if goal is not None:
                require_positive(**{name: goal})
        if self.best_day_share is not None and self.best_day_share > 1:
            raise ValueError(f"best_day_share must be at most 1, was {self.best_day_share}")
        if self.min_trading_days < 0:
            raise ValueError(f"min_trading_days must be at least 0, was {self.min_trading_days}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the floors of a programme are measured from."""

    initial: Decimal
    day_start: Decimal  # balance at the last midnight, and what was paid in or out since
    highest_close: Decimal  # highest balance of a midnight since the begin, at least the initial one
    balance: Decimal  # now: the next midnight's, if nothing is closed until then

    def __post_init__(self) -> None:
        require_positive(initial=self.initial)
        require_finite(day_start=self.day_start, highest_close=self.highest_close, balance=self.balance)
        if self.highest_close < self.initial:
            message = f"must be at least the initial balance {self.initial}"
            raise ValueError(f"highest_close {message}, was {self.highest_close}")

    def after_reset(self) -> Standing:
        """Return the standing right after the next midnight, if nothing is booked until then."""
        return Standing(
            initial=self.initial,
            day_start=self.balance,
            highest_close=max(self.highest_close, self.balance),
            balance=self.balance,
        )


def daily_floor(programme: Programme, standing: Standing) -> Decimal:
    """Return the equity that the day's loss must not fall below."""
    return standing.day_start - programme.daily_loss * standing.initial


def max_loss_start(programme: Programme, standing: Standing) -> Decimal:
    """Return the balance that the largest loss is measured from."""
    return standing.highest_close if programme.max_loss_kind is MaxLossKind.TRAILING else standing.initial


def max_loss_floor(programme: Programme, standing: Standing) -> Decimal:
    """Return the equity that the loss in all must not fall below."""
    return max_loss_start(programme, standing) - programme.max_loss * standing.initial


def binding_floor(programme: Programme, standing: Standing) -> Decimal:
    """Return the higher one of the two floors."""
    return max(daily_floor(programme, standing), max_loss_floor(programme, standing))


def programme_budgets(programme: Programme, standing: Standing, at: datetime) -> tuple[LossBudget, ...]:
    """Return the budgets of a programme at a moment, those of tomorrow from an hour before midnight on."""
    later = standing.after_reset()
    today = (LossKind.DAILY, standing.day_start, daily_floor(programme, standing))
    in_all = (LossKind.TOTAL, max_loss_start(programme, standing), max_loss_floor(programme, standing))
    tomorrow = (later.day_start, daily_floor(programme, later))
    in_all_later = (max_loss_start(programme, later), max_loss_floor(programme, later))
    bounds = [
        LossBudget(
            kind=kind,
            start=start,
            floor=floor,
            soft_line=programme.lines.soft,
            hard_line=programme.lines.hard,
            source=programme.name,
        )
        for kind, start, floor in (today, in_all)
    ]
    ahead = [tomorrow, in_all_later] if programme.max_loss_kind is MaxLossKind.TRAILING else [tomorrow]
    for start, floor in ahead:
        bounds += after_reset_budget(start, floor, lines=programme.lines, at=at, source=programme.name)
    return tuple(bounds)


def after_reset_budget(
    start: Decimal, floor: Decimal, *, lines: Lines, at: datetime, source: str
) -> Iterator[LossBudget]:
    """Yield tomorrow's budget once midnight is so near that it binds: first for entries, then for the hard line."""
    if is_reset_within(at, ENTRIES_LOOK_AHEAD):
        yield LossBudget(
            kind=LossKind.AFTER_RESET,
            start=start,
            floor=floor,
            soft_line=lines.soft,
            hard_line=lines.hard if is_reset_within(at, KILL_LOOK_AHEAD) else None,
            source=source,
        )
