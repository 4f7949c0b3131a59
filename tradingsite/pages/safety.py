"""The kill page's progress and the re-arm page's checks, from the rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

from django.db.models import F, Sum

from execution.models import FillRecord, KillEvent
from execution.rearm import arm_checks, arm_phrase, named
from execution.safety import killswitch
from execution.trading_venues import MT5
from ops import clock
from tradingsite.pages.frame import User, account_state, may, state_word
from tradingsite.pages.frame_data import StateWord
from tradingsite.pages.safety_data import ArmCheck, KillProgress, KillStep, RearmData, StepState

LATE_AFTER = timedelta(seconds=60)


def build_kill_progress(user: User) -> KillProgress | None:
    """Return how far the kill in force has come, None when nothing is killed."""
    event = killswitch.last_kill()
    if event is None:
        return None
    seen = account_state()
    late = event.flat_at is None and clock.wall_now() - event.latched_at > LATE_AFTER
    return KillProgress(
        word=StateWord.KILLED if event.flat_at else StateWord.KILLING,
        started_at=event.latched_at,
        by=event.actor,
        reason=event.cause,
        steps=_steps(event),
        flat_at=event.flat_at,
        n_positions=0 if event.flat_at else len(seen.positions) if seen else None,
        n_orders=0 if event.flat_at else len(seen.orders) if seen else None,
        currency=seen.account.currency if seen else "USD",
        result=_result(event) if event.flat_at else None,
        is_late=late,
        can_arm=may(user, "arm"),
    )


def _result(event: KillEvent) -> Decimal | None:
    """Return what MetaTrader 5's positions that a kill closed had made, costs included; None when it closed none."""
    closed = FillRecord.objects.filter(intent__cause="kill", intent__cause_id__startswith=f"{event.pk}:")
    fills = closed.filter(account__broker=MT5)
    money: Decimal | None = fills.aggregate(sum=Sum(F("profit") + F("swap") + F("commission") + F("fee")))["sum"]
    return money


def _steps(event: KillEvent) -> tuple[KillStep, ...]:
    done = StepState.DONE
    closing = done if event.flat_at else StepState.RUNNING
    terminal = done if event.terminal_latched_at else StepState.FAILED
    return (
        KillStep(name="Latched: nothing new is sent", state=done, at=event.latched_at),
        KillStep(name="Terminal refuses entries", state=terminal, at=event.terminal_latched_at),
        KillStep(name="Orders cancelled", state=closing, detail=f"{event.n_cancelled}"),
        KillStep(name="Positions closed", state=closing, detail=_closed_words(event)),
        *_reads(event),
    )


def _reads(event: KillEvent) -> Iterator[KillStep]:
    """Yield a step for each venue that has to say that it is flat."""
    flat = {row.broker: row.flat_at for row in event.at_venues.all()}
    for key in event.venues or [MT5]:
        at = event.flat_at or flat.get(key)
        state = StepState.DONE if at else StepState.WAITING
        yield KillStep(name=f"Read again from {named(key)}, twice", state=state, at=flat.get(key) or at)


def _closed_words(event: KillEvent) -> str:
    foreign = f"; {event.n_foreign} by hand left untouched" if event.n_foreign else ""
    tried = f", round {event.rounds}" if event.rounds > 1 else ""
    return f"{event.n_closed}{tried}{foreign}"


def build_rearm(user: User, *, form: dict[str, str] | None = None, errors: dict[str, str] | None = None) -> RearmData:
    """Return cause, checks and form of the re-arm page; the broker is asked only for who may arm what is killed."""
    event, word = killswitch.last_kill(), state_word()
    can_arm, written = may(user, "arm"), form or {}
    checks = arm_checks() if can_arm and word is StateWord.KILLED else []
    return RearmData(
        word=word,
        killed_at=event.latched_at if event else None,
        by=event.actor if event else "—",
        cause=event.cause if event else "never armed",
        checks=tuple(ArmCheck(name=c.name, passed=c.ok, detail=c.detail) for c in checks),
        phrase=arm_phrase(),
        can_arm=can_arm,
        what_changed=written.get("what_changed", ""),
        typed=written.get("phrase", ""),
        errors=errors,
    )
