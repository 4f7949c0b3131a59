"""The kill switch: latch, cancel, close, confirm. Easy to pull, hard to undo, the same once or ten times."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime

from django.db import DatabaseError, transaction
from django.db.models import F
from loguru import logger

from execution.errors import ConfigError
from execution.models import ControlRow, KillEvent, VenueKill
from execution.safety.control import State, armed_file
from execution.trading_venues import MT5, venues_entered
from execution.venue_fences import latch_venues
from execution.wire import open_site_terminal
from market.terminal.errors import TerminalError
from ops import alerts, audit, clock
from ops.audit import Actor
from ops.clock import ClockMissingError
from ops.live import announce
from ops.models import Alert

ALERT_KEY = "kill"


def latch(actor: Actor, *, cause: str) -> KillEvent:
    """Let nothing that adds risk be sent from now on, and note that everything of ours is to be closed.

    In this order: the armed file, the terminal's own latch and the other venues' fences, the rows. Each works when the
    next one cannot; whoever watches the file goes on even if the rows could not be written. Pressing again finds the
    first kill.

    Raises
    ------
    DatabaseError
        The rows could not be written. The file is gone and the terminal was told all the same.
    """
    armed_file().disarm()
    terminal_heard = _latch_terminal()
    _latch_venues()
    try:
        return _write_kill(actor, cause, terminal_heard=terminal_heard)
    except DatabaseError:
        logger.critical("killed by file and terminal; the database could not be written")
        raise


def _latch_terminal() -> bool:
    try:
        with closing(open_site_terminal()) as terminal:
            terminal.latch()
    except (TerminalError, ConfigError, OSError) as error:
        logger.error("the terminal could not be told of the kill: {}", error)
        return False
    return True


def _latch_venues() -> None:
    try:
        latch_venues()
    except OSError as error:
        logger.error("a venue's fence could not be latched: {}", error)


@transaction.atomic
def _write_kill(actor: Actor, cause: str, *, terminal_heard: bool) -> KillEvent:
    row, _ = ControlRow.objects.select_for_update().get_or_create(scope=ControlRow.SYSTEM)
    running = running_kill()
    if running:
        if terminal_heard and running.terminal_latched_at is None:
            KillEvent.objects.filter(pk=running.pk).update(terminal_latched_at=clock.wall_now())
        return running
    before, now = row.state, clock.wall_now()
    event = KillEvent.objects.create(
        cause=cause,
        actor=actor.name,
        source=actor.source,
        latched_at=now,
        latched_market_at=_market_now(),
        terminal_latched_at=now if terminal_heard else None,
        venues=list(venues_entered()),
    )
    ControlRow.objects.filter(pk=row.pk).update(
        state=State.KILLING, reason=cause, changed_by=actor.name, changed_at=now
    )
    audit.record(actor, "trade kill", before={"state": before}, after={"state": State.KILLING}, reason=cause)
    alerts.raise_alert(ALERT_KEY, f"Killed by {actor.name}: {cause}", level=Alert.Level.CRITICAL)
    announce("kill", {"id": event.pk})
    announce("state", {"scope": ControlRow.SYSTEM, "state": State.KILLING})
    return event


def _market_now() -> datetime | None:
    try:
        return clock.market_now()
    except ClockMissingError:
        return None


def running_kill() -> KillEvent | None:
    """Return the kill that has not reached "flat" yet."""
    return KillEvent.objects.filter(flat_at=None, rearmed_at=None).first()


def waiting_venues(event: KillEvent) -> list[str]:
    """Return the keys of the venues that have not said yet that they are flat."""
    flat = set(event.at_venues.exclude(flat_at=None).values_list("broker", flat=True))
    return [key for key in event.venues or [MT5] if key not in flat]


def last_kill() -> KillEvent | None:
    """Return the newest kill that was not re-armed."""
    return KillEvent.objects.filter(rearmed_at=None).first()


@transaction.atomic
def note_left_alone(event: KillEvent, broker_key: str, *, n_foreign: int, log: list[str]) -> None:
    """Write down what of a venue's book is not ours and stays, and count a round."""
    VenueKill.objects.update_or_create(
        event=event, broker=broker_key, defaults={"n_foreign": n_foreign, "log": log, "flat_at": None}
    )
    rows = list(event.at_venues.all())
    lines = [line if row.broker == MT5 else f"{row.broker}: {line}" for row in rows for line in row.log]
    KillEvent.objects.filter(pk=event.pk).update(
        rounds=F("rounds") + 1, n_foreign=sum(row.n_foreign for row in rows), log=lines
    )
    event.refresh_from_db(fields=["rounds"])


@transaction.atomic
def confirm_flat(event: KillEvent, broker_key: str, *, read_at: datetime) -> None:
    """Write down that two reads of a venue showed nothing of ours any more; the kill is flat once all venues are."""
    ControlRow.objects.select_for_update().filter(scope=ControlRow.SYSTEM).first()  # two venues may be flat at once
    VenueKill.objects.update_or_create(event=event, broker=broker_key, defaults={"flat_at": read_at})
    if waiting_venues(event):
        announce("kill", {"id": event.pk})
        return
    confirmed = KillEvent.objects.filter(pk=event.pk, flat_at=None).update(flat_at=read_at)
    if not confirmed:
        return
    ControlRow.objects.filter(scope=ControlRow.SYSTEM, state=State.KILLING).update(
        state=State.KILLED, changed_at=clock.wall_now()
    )
    announce("kill", {"id": event.pk, "flat": True})
    announce("state", {"scope": ControlRow.SYSTEM, "state": State.KILLED})
