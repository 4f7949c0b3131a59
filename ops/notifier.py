"""The notifier: the process that tells the world outside, so that neither trading nor the sentinel ever waits for it.

It sends what the outbox of alerts owes, looks for what goes wrong unnoticed, and pings the dead man's switch. Messages
to one destination keep their order: one call at a time, with everything that waits in it. Destinations do not wait for
one another.
"""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence

from django.conf import settings
from django.db import DatabaseError, close_old_connections
from django.utils.module_loading import import_string
from loguru import logger

from ops import clock, heartbeats, leases
from ops.alerts import Trouble, hold_alerts
from ops.calls import POLL_S, Call, wait_for
from ops.clock import ClockMissingError
from ops.dead_man import DeadMan
from ops.delivery import give_up, remind
from ops.lanes import Lane, Patience
from ops.leases import Held, LeaseTakenError
from ops.models import AlertDelivery, Lease
from ops.pacing import Due

BEAT = "notifier"
LEASE = "notifier"
LOOP_S = 0.5
BEAT_EVERY_S = 5.0
WATCH_EVERY_S = 10.0
TIDY_EVERY_S = 60.0
LEASE_TTL_S = 10.0  # a notifier that was killed is replaced after at most so long
LEASE_RENEWED_EVERY_S = 3.0


class Notifier:
    """The loop and what it keeps between two rounds."""

    def __init__(self, *, watches: Mapping[str, str] | None = None, patience: Patience | None = None) -> None:
        self.patience = patience or Patience()
        self._watches = watches or {}
        self._lanes = [Lane(to=to, patience=self.patience) for to in settings.ALERT_URLS]
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._held: Held | None = None
        self._dead_man = DeadMan()
        self._beat_due = Due(BEAT_EVERY_S)
        self._lease_due = Due(LEASE_RENEWED_EVERY_S)
        self._tidy_due = Due(TIDY_EVERY_S)
        self._watch_due = Due(WATCH_EVERY_S, at_mono=clock.mono() + self.patience.start_s)

    def run(self, should_stop: Callable[[], bool]) -> None:
        """Go round until asked to stop; no failure of one round ends the loop."""
        while not should_stop():
            self.round()
            clock.sleep(LOOP_S)
        self.let_go()

    def round(self) -> None:
        """Do everything once; each part goes on when another fails. Only one notifier works, others stand by."""
        for part in (self._beat, self._lead, self._deliver, self._watch, self._ping):
            try:
                part()
            except DatabaseError as error:
                logger.error("the database failed the notifier: {}", error)
                close_old_connections()

    def deliver(self) -> None:
        """Only send what waits, if nobody else does."""
        self._lead()
        self._deliver()

    def let_go(self) -> None:
        """Leave the work to the next one."""
        self._end_calls()
        if self._held is not None:
            leases.release(self._held)
            self._held = None

    def _beat(self) -> None:
        if self._beat_due():
            heartbeats.beat(BEAT)

    def _lead(self) -> None:
        if not self._lease_due():
            return
        if self._held is not None and leases.renew(self._held, ttl_s=LEASE_TTL_S):
            return
        try:
            self._held = leases.acquire(LEASE, holder=self._holder, ttl_s=LEASE_TTL_S)
        except LeaseTakenError:
            self._end_calls()
            self._held = None

    def _end_calls(self) -> None:
        for lane in self._lanes:
            lane.end()

    def _deliver(self) -> None:
        if self._held is None:
            return
        for lane in self._lanes:
            lane.go_on()
        if self._tidy_due():
            give_up()
            remind()

    def _watch(self) -> None:
        if self._held is None or not self._watch_due():
            return
        for prefix, path in self._watches.items():
            hold_alerts(f"watch:{prefix}", _looked(prefix, path))

    def _ping(self) -> None:
        if self._held is not None:
            self._dead_man.round()


def _looked(prefix: str, path: str) -> Iterator[Trouble]:
    """Look once for what a watch looks for; yield that it failed if it did: the others, and the sending, go on."""
    try:
        hold_alerts(prefix, list(import_string(path)()))
    except ClockMissingError:
        return  # no market time: what needs it has nothing to say
    except DatabaseError:
        raise  # it concerns them all, and passes
    except Exception as error:  # the outermost loop of a watch
        logger.opt(exception=error).error("the watch {} failed", path)
        yield Trouble(f"watch:{prefix}", f"A watch failed: {path}", detail="the log of the notifier says why")


def see_through(rows: Sequence[AlertDelivery], *, within_s: float) -> list[AlertDelivery]:
    """Wait until each of the rows was tried, sending here when no notifier works, and return them as they are then."""
    deadline, ours = time.monotonic() + within_s, None  # the sending processes keep the machine's time
    mine = AlertDelivery.objects.filter(pk__in=[row.pk for row in rows])
    try:
        while mine.filter(attempts=0, status=AlertDelivery.Status.WAITING).exists() and time.monotonic() < deadline:
            if ours is None and not is_working():
                ours = Notifier()
            if ours is not None:
                ours.deliver()
            time.sleep(POLL_S)
    finally:
        if ours is not None:
            ours.let_go()
    return list(mine.order_by("pk"))


def is_working() -> bool:
    """Return whether a notifier works now, in this process or another."""
    lease = Lease.objects.filter(name=LEASE).first()
    return lease is not None and leases.is_held(Held(name=LEASE, holder=lease.holder, token=lease.token))


def unreadable_destinations() -> list[tuple[str, str]]:
    """Return the labels of the addresses that apprise cannot read, each with why; all are looked at side by side."""
    looks = [(to.label, Call({"op": "check", "url": to.url}, limit_s=Patience().limit_s)) for to in settings.ALERT_URLS]
    answers = [(label, wait_for(call)) for label, call in looks]
    return [(label, answer.reason) for label, answer in answers if not answer.ok]
