"""The sentinel: one long loop that watches the account, guards the loss limits, flattens on a kill, and keeps time.

It looks at MetaTrader 5 every second, whatever the trader does, and each other venue has a thread of its own, so that
one that hangs holds up nobody. It never opens anything.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.db import DatabaseError, close_old_connections
from loguru import logger

from execution.bot.services import enqueue_due_bars
from execution.errors import ExecutionError
from execution.guarding import notice_missing_file
from execution.rearm import arm_checked, may_arm_itself
from execution.safety.control import State
from execution.sessions.hourly import JOB, slot_rule
from execution.sessions.slots import Slot, is_too_late, next_slot, previous_slot
from execution.trading_venues import MT5
from execution.venue_guard import VenueGuard, VenueThreads, rest
from market.terminal.errors import TerminalError
from ops import clock, heartbeats, queues, runs
from ops.audit import SYSTEM
from ops.clock import ClockMissingError

LOOP_S = 1.0
ENQUEUE_AHEAD = timedelta(seconds=5)


class Sentinel:
    """The loop and what it keeps between two rounds."""

    def __init__(self) -> None:
        self._guard = VenueGuard(MT5)
        self._venues = VenueThreads()

    def run(self, should_stop: Callable[[], bool]) -> None:
        """Go round until asked to stop; no failure of one round ends the loop."""
        try:
            while not should_stop():
                self.round()
                self._venues.follow()
                rest(LOOP_S, should_stop)
        finally:
            self._venues.stop()
            self._guard.let_go()

    def round(self) -> None:
        """Do everything once; each part goes on when another fails."""
        parts = (self._beat, notice_missing_file, self._watch, self._keep_time)
        failed = [part for part in parts if not _keeps_the_database(part)]
        if failed:
            self._guard.close_unwritten()

    def _beat(self) -> None:
        heartbeats.beat("sentinel")
        for queue in queues.QUEUES:
            queues.send_beat(queue)
        for run in runs.close_dead_runs():
            logger.bind(job=run.job, slot=run.slot).warning("a run's process died; closed as crashed")

    def _watch(self) -> None:
        if self._guard.look() and may_arm_itself():
            arm_checked(SYSTEM, reason="the demo arms itself", start=State.ARMED)

    def _keep_time(self) -> None:
        enqueue_due_session()
        enqueue_due_bars()


def _keeps_the_database(part: Callable[[], object]) -> bool:
    """Do a part of a round; False when the database failed it. Whatever else fails is tried again in the next one."""
    try:
        part()
    except (ExecutionError, TerminalError, ClockMissingError) as error:
        logger.warning("the sentinel's round failed: {}", error)
    except DatabaseError as error:
        logger.error("the database failed the sentinel: {}", error)
        close_old_connections()
        return False
    return True


def enqueue_due_session() -> bool:
    """Enqueue the session of the slot that is due and has no run yet; False when there is nothing to do.

    The next slot is due shortly before it acts; the one before it for as long as its bar is the newest closed one, so
    that a desk that was away at its time trades it late rather than an hour later.
    """
    now, rule = clock.market_now(), slot_rule()
    missed, coming = previous_slot(now, rule), next_slot(now, rule)
    is_near = coming.at - now <= ENQUEUE_AHEAD * max(clock.speed(), 1.0)
    due = [slot for slot, is_due in ((missed, not is_too_late(missed, now)), (coming, is_near)) if is_due]
    return any(_enqueue(slot) for slot in due)


def _enqueue(slot: Slot) -> bool:
    if runs.exists(JOB, slot.key):  # as nearly always: asking first takes no lock
        return False
    run, is_new = runs.create_run(JOB, slot.key, queue=queues.TRADING)
    if is_new:
        queues.enqueue("execution.jobs.session_job", run.pk, queue=queues.TRADING)
    return is_new
