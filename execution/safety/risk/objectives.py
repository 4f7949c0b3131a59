"""A programme's objectives, each with its code, its figures and a sentence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from execution.safety.risk.balances import ZERO
from execution.safety.risk.course import LossDay
from execution.safety.risk.programme import (
    Programme,
    Standing,
    binding_floor,
    daily_floor,
    max_loss_floor,
    max_loss_start,
)


class ObjectiveState(StrEnum):
    """How an objective stands. The first four are limits', the last two are goals'."""

    OK = "ok"
    SOFT = "soft"  # at or past the soft line: no entries
    HARD = "hard"  # at or past the hard line: flatten
    BREACHED = "breached"
    OPEN = "open"  # not reached yet
    MET = "met"


SOUND = frozenset({ObjectiveState.OK, ObjectiveState.OPEN, ObjectiveState.MET})


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """One objective at one moment; money is in account currency."""

    code: str
    state: ObjectiveState
    limit: Decimal  # money that may be lost or is to be won, or a count of days
    value: Decimal  # so far
    left: Decimal  # until the limit is broken, or the goal is reached
    message: str
    floor: Decimal | None = None  # the equity that breaks a limit

    @property
    def is_sound(self) -> bool:
        """Whether nothing has to be done about it."""
        return self.state in SOUND


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What objectives are judged by."""

    programme: Programme
    standing: Standing
    equity: Decimal
    days: tuple[LossDay, ...]
    n_positions: int

    @property
    def profit(self) -> Decimal:
        """What closed trades made of the initial balance."""
        return sum((day.result for day in self.days), ZERO)


def daily_loss(judged: Judged) -> Objective:
    """Hold equity against today's floor."""
    standing = judged.standing
    floor = daily_floor(judged.programme, standing)
    words = f"{standing.day_start:.2f} at midnight, less {judged.programme.daily_loss:%} of {standing.initial:.2f}"
    return _limit("daily_loss", judged, start=standing.day_start, floor=floor, words=words)


def max_loss(judged: Judged) -> Objective:
    """Hold equity against the floor of the whole programme."""
    programme, standing = judged.programme, judged.standing
    start, floor = max_loss_start(programme, standing), max_loss_floor(programme, standing)
    words = f"{start:.2f} ({programme.max_loss_kind}), less {programme.max_loss:%} of {standing.initial:.2f}"
    return _limit("max_loss", judged, start=start, floor=floor, words=words)


def after_reset(judged: Judged) -> Objective:
    """Hold equity against the higher floor of right after the next midnight, if everything is held until then."""
    later = judged.standing.after_reset()
    floor = binding_floor(judged.programme, later)
    floating = judged.equity - judged.standing.balance
    words = f"{floating:+.2f} is floating; held past midnight, {judged.equity - floor:.2f} is left"
    found = _limit("after_reset", judged, start=later.day_start, floor=floor, words=words)
    # Nothing is broken before midnight.
    return replace(found, state=ObjectiveState.HARD) if found.state is ObjectiveState.BREACHED else found


def profit_target(judged: Judged) -> Objective | None:
    """Hold the profit of closed trades against the target; every position has to be closed."""
    share = judged.programme.profit_target
    if share is None:
        return None
    target = share * judged.standing.initial
    left = max(target - judged.profit, ZERO)
    is_met = left == 0 and judged.n_positions == 0
    words = f"{judged.profit:.2f} of {target:.2f} closed, {judged.n_positions} positions open"
    return _goal("profit_target", is_met, limit=target, value=judged.profit, left=left, words=words)


def min_trading_days(judged: Judged) -> Objective | None:
    """Count the days on which a position was opened."""
    wanted = judged.programme.min_trading_days
    if not wanted:
        return None
    count = sum(day.is_trading_day for day in judged.days)
    words = f"positions were opened on {count} of at least {wanted} days"
    left = Decimal(max(wanted - count, 0))
    return _goal("min_trading_days", left == 0, limit=Decimal(wanted), value=Decimal(count), left=left, words=words)


def best_day(judged: Judged) -> Objective | None:
    """Hold the best day against its largest share of the total profit; to trade on mends it.

    ``left`` is the profit that other days still have to bring.
    """
    share = judged.programme.best_day_share
    if share is None:
        return None
    best = max((day.result for day in judged.days), default=ZERO)
    best = max(best, ZERO)
    left = max(best / share - judged.profit, ZERO)
    limit = share * max(judged.profit, ZERO)
    words = f"the best day made {best:.2f}, allowed is {limit:.2f} of {judged.profit:.2f} in all"
    is_met = judged.profit > 0 and best <= limit
    return _goal("best_day", is_met, limit=limit, value=best, left=left, words=words)


# In the order in which they are shown.
OBJECTIVES: dict[str, Callable[[Judged], Objective | None]] = {
    "daily_loss": daily_loss,
    "max_loss": max_loss,
    "after_reset": after_reset,
    "profit_target": profit_target,
    "min_trading_days": min_trading_days,
    "best_day": best_day,
}


def objectives(judged: Judged) -> tuple[Objective, ...]:
    """Return every objective that the programme has."""
    found = (judge(judged) for judge in OBJECTIVES.values())
    return tuple(objective for objective in found if objective is not None)


def _limit(code: str, judged: Judged, *, start: Decimal, floor: Decimal, words: str) -> Objective:
    equity, size = judged.equity, start - floor
    state = _state(equity, start, floor, judged.programme)
    return Objective(
        code=code,
        state=state,
        limit=size,
        value=start - equity,
        left=equity - floor,
        floor=floor,
        message=f"equity {equity:.2f} must not fall below {floor:.2f}: {words}",
    )


def _state(equity: Decimal, start: Decimal, floor: Decimal, programme: Programme) -> ObjectiveState:
    if equity < floor:
        return ObjectiveState.BREACHED
    if equity <= start - programme.lines.hard * (start - floor):
        return ObjectiveState.HARD
    if equity <= start - programme.lines.soft * (start - floor):
        return ObjectiveState.SOFT
    return ObjectiveState.OK


def _goal(code: str, is_met: bool, *, limit: Decimal, value: Decimal, left: Decimal, words: str) -> Objective:
    state = ObjectiveState.MET if is_met else ObjectiveState.OPEN
    return Objective(code=code, state=state, limit=limit, value=value, left=left, message=words)
