"""The hourly session from start to end: wait for the slot, update, reconcile, rebalance, report."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from loguru import logger

from execution.brokers.base import Broker
from execution.errors import ExecutionError, RiskRefusedError
from execution.models import RebalanceSettings
from execution.safety.control import State, current_control
from execution.safety.gate import LEASE_TTL_S, TRADER_LEASE, Gate
from execution.safety.journal import Cause
from execution.safety.reconcile import close_orphans, current_account, reconcile
from execution.sessions.rebalance import FAMILY, Rebalance
from execution.sessions.reports import SessionReport
from execution.sessions.slots import Slot, SlotRule, floor_hour, is_too_late, next_slot, slot_named
from market.models import Symbol
from market.updating import update_all_data
from ops import clock, leases, runs
from ops.models import Run

JOB = "session"
WAIT_STEP_S = 0.2  # how often a waiting session looks at the market's clock, which may be paused or sped up
# A slot need not be lost to a session that is about to end, nor to a trader that died with the lease.
LEASE_WAIT_S = LEASE_TTL_S + 5.0


class TooLateError(ExecutionError):
    """The slot's bar is no longer the newest closed one, or its session began before."""


def slot_rule() -> SlotRule:
    """Return the timing that a person set."""
    settings = RebalanceSettings.load()
    return SlotRule(
        offset=timedelta(seconds=settings.offset_secs),
        early_hour=settings.early_hour,
        early_offset=timedelta(minutes=settings.early_offset_mins),
    )


def next_slot_to_run() -> Slot:
    """Return the first slot that no run exists for yet."""
    rule, now = slot_rule(), clock.market_now()
    slot = next_slot(now, rule)
    while runs.exists(JOB, slot.key):
        slot = next_slot(slot.at + timedelta(seconds=1), rule)
    return slot


def slot_of_run(run: Run) -> Slot:
    """Return when a run acts, and on which bar; a run by hand acts now, on the newest closed bar."""
    if run.params.get("now"):
        now = clock.market_now()
        return Slot(hour=floor_hour(now), at=now)
    return slot_named(run.slot, slot_rule())


def session_run_for_next_slot() -> Run:
    """Return the run of the next slot, made if nobody asked for it before."""
    run, _ = runs.create_run(JOB, next_slot_to_run().key)
    return run


def session_run_by_hand() -> Run:
    """Return a run that acts at once, whatever the slot; its own uuid keeps it from trading twice."""
    run, _ = runs.create_run(JOB, f"now-{uuid.uuid4()}", {"now": True})
    return run


def onhour_offset(slot: Slot, *, should_stop: Callable[[], bool] = lambda: False) -> None:
    """Wait until the slot acts: ``H:01:00`` and the offsets of the settings, in market time."""
    while (left := (slot.at - clock.market_now()).total_seconds()) > 0 and not should_stop():
        speed = clock.speed()
        clock.sleep(min(left / speed, WAIT_STEP_S) if speed else WAIT_STEP_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One session of one account."""

    broker: Broker
    symbols: Sequence[Symbol]

    def run(self, run: Run, slot: Slot) -> SessionReport:
        """Update, reconcile and rebalance as the holder of the trading lease.

        Raises
        ------
        RiskRefusedError
            Trading is killed, or another trader holds the lease.
        TooLateError
            A newer bar has closed since the slot.
        """
        require_in_time(slot)
        update_all_data([symbol.name for symbol in self.symbols])  # also when killed: re-arming wants fresh bars
        require_not_killed()
        with trading_lease() as lease:
            require_in_time(slot)
            reconcile(self.broker)
            account = current_account(self.broker.account())
            close_orphans(account)
            cause = Cause(family=FAMILY, kind="manual" if run.params.get("now") else "session", id=run.slot)
            gate = Gate(self.broker, account, lease=lease)
            report = Rebalance(self.broker, account, gate, run=run, cause=cause).rebalance_portfolio(
                self.symbols, slot.bar_at
            )
            reconcile(self.broker)
        logger.bind(slot=slot.key, verdicts=[s.verdict for s in report.symbols]).info("session done")
        return report


def require_in_time(slot: Slot) -> None:
    """Stop when a newer bar has closed than the slot's."""
    if is_too_late(slot, clock.market_now()):
        raise TooLateError(f"slot {slot.key} acts on the bar of {slot.bar_at:%H:%M}, and a newer one has closed")


def require_not_killed() -> None:
    """Stop before anything is asked of the broker's account when trading is killed."""
    control = current_control(family=FAMILY)
    if control.state in (State.KILLING, State.KILLED):
        words = f"trading is {control.state}: {control.reason}; re-arm it with `manage.py trade_arm`"
        raise RiskRefusedError(words, codes=[f"state:{control.state}"])


@contextmanager
def trading_lease() -> Iterator[leases.Held]:
    """Hold the right to trade inside the block; wait a little for whoever has it."""
    holder = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    held = _patiently_acquired(holder)
    try:
        yield held
    finally:
        leases.release(held)


def _patiently_acquired(holder: str) -> leases.Held:
    deadline = clock.mono() + LEASE_WAIT_S
    while True:
        try:
            return leases.acquire(TRADER_LEASE, holder=holder, ttl_s=LEASE_TTL_S)
        except leases.LeaseTakenError:
            if clock.mono() >= deadline:
                raise
        clock.sleep(WAIT_STEP_S)
