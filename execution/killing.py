"""Kill and see it through: the sentinel flattens, and when it is gone whoever killed does."""

from __future__ import annotations

import sys
from subprocess import DEVNULL, Popen
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from loguru import logger

from execution.errors import ExecutionError, KillNotWrittenError, UnknownKillError
from execution.models import Intent, KillEvent
from execution.safety import killswitch
from execution.safety.flatten import Book, flatten_round, in_words, read_book
from execution.safety.killswitch import waiting_venues
from execution.safety.reconcile import current_account
from execution.safety.unwritten import close_unwritten
from execution.trading_venues import venues_entered
from execution.venues import named_broker
from market.terminal.errors import TerminalError
from ops import clock, heartbeats
from ops.audit import Actor

SENTINEL_GONE_AFTER_S = 3.0
POLL_S = 0.1
BUSY_MS = 500


def kill_and_flatten(actor: Actor, *, cause: str, timeout_s: float, latched: int | None = None) -> dict[str, Any]:
    """Latch, then wait until the broker confirmed that we are flat, closing ourselves if nobody else does.

    What stood in the way at last is in the result as ``trouble``. ``latched`` is the id of a kill to see through
    instead of beginning one: it may be flat already, and a second kill would hide who began the first, and why.

    Raises
    ------
    KillNotWrittenError
        The database took no row before the time was over. File and terminal are latched all the same, and what could
        be closed with the emergency log as the journal is closed.
    """
    deadline, trouble = clock.mono() + timeout_s, ""
    _wait_briefly_for_the_database()
    event = _latch(actor, cause, deadline) if latched is None else _begun(latched)
    while clock.mono() < deadline and not event.flat_at:
        if heartbeats.is_gone("sentinel", after_s=SENTINEL_GONE_AFTER_S):
            before, trouble = trouble, _flatten_here(event)
            if trouble and trouble != before:
                logger.error("the kill could not close everything yet: {}", trouble)
        clock.sleep(POLL_S)
        event.refresh_from_db()
    return kill_state(event) | {"trouble": "" if event.flat_at else trouble or _unfinished(event)}


def _wait_briefly_for_the_database() -> None:
    """Let this process give up a locked database at once: it has another way."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA busy_timeout={BUSY_MS}")


def _latch(actor: Actor, cause: str, deadline: float) -> KillEvent:
    """Latch at once by file and terminal, and by the rows as soon as the database takes them; close in the meantime."""
    is_flat, found = False, ""
    while True:
        try:
            return killswitch.latch(actor, cause=cause)
        except DatabaseError as error:
            is_flat, found = (is_flat, found) if is_flat else _close_unwritten()
            if clock.mono() >= deadline:
                raise KillNotWrittenError(
                    f"killed: nothing new is sent, and {found}. But the database could not be written ({error}): free "
                    "it and kill again"
                ) from error
        clock.sleep(POLL_S)


def _begun(pk: int) -> KillEvent:
    event = KillEvent.objects.filter(pk=pk).first()
    if event is None:
        raise UnknownKillError(f"there is no kill {pk}: leave --latched out to begin one")
    return event


def _close_unwritten() -> tuple[bool, str]:
    """Close what is open while the database takes no row; return whether all is closed, and what was found."""
    try:
        are_flat = [_closed_unwritten(key) for key in venues_entered()]
    except (ExecutionError, TerminalError, DatabaseError, OSError) as error:
        return False, f"not everything is closed ({error}): close by hand in the broker's own terminal"
    if all(are_flat):
        return True, f"flat, read from the broker at {clock.wall_now():%H:%M:%S} UTC"
    return False, "not everything is closed yet: look at the broker's own terminal"


def _closed_unwritten(broker_key: str) -> bool:
    with named_broker(broker_key, patient=False) as broker:
        return close_unwritten(broker)


def _unfinished(event: KillEvent) -> str:
    """Return how the newest step that failed ended, empty when none did."""
    steps = Intent.objects.filter(cause="kill", cause_id__startswith=f"{event.pk}:").exclude(status=Intent.Status.DONE)
    step = steps.first()
    return f"{step.symbol} is not closed yet: {step.reason}" if step else ""


def kill_preview() -> dict[str, Any]:
    """Return what a kill would cancel, close and leave alone now, read from the brokers; nothing is changed."""
    books = [_read_book(key) for key in venues_entered()]
    return {
        "dry_run": True,
        "would_cancel": [line for book in books for line in in_words((), book.orders)],
        "would_close": [line for book in books for line in in_words(book.ownership.ours, ())],
        "foreign": [line for book in books for line in book.left_alone],
    }


def _read_book(broker_key: str) -> Book:
    with named_broker(broker_key, patient=False) as broker:
        return read_book(broker, current_account(broker.account()))


def see_it_through(event: KillEvent | None, *, cause: str) -> None:
    """Start a process that waits until all is flat, and closes when the sentinel does not, as one that hangs.

    The web process itself does not trade. Without an event the database took none: that process tries on.
    """
    latched = ["--latched", str(event.pk)] if event else []
    Popen(  # noqa: S603  # our own command, its words in a list
        [sys.executable, "manage.py", "trade_kill", f"--reason={cause}", *latched],
        cwd=settings.BASE_DIR,
        stdin=DEVNULL,
        start_new_session=True,
    )


def _flatten_here(event: KillEvent) -> str:
    """Close what is open from this process; return what stood in the way, empty when nothing did.

    A venue that does not answer leaves the others.
    """
    troubles = []
    for broker_key in waiting_venues(event):
        try:
            with named_broker(broker_key, patient=False) as broker:
                flatten_round(broker, current_account(broker.account()), event)
        except DatabaseError as error:
            return f"the database could not be written ({error}); {_close_unwritten()[1]}"
        except (ExecutionError, TerminalError) as error:
            troubles.append(str(error))
    return "; ".join(troubles)


def kill_state(event: KillEvent) -> dict[str, Any]:
    """Return how far a kill has come."""
    return {
        "id": event.pk,
        "cause": event.cause,
        "actor": event.actor,
        "latched_at": event.latched_at,
        "terminal_latched_at": event.terminal_latched_at,
        "rounds": event.rounds,
        "cancelled": event.n_cancelled,
        "closed": event.n_closed,
        "foreign_untouched": event.n_foreign,
        "foreign": event.log,
        "flat_at": event.flat_at,
        "waiting_for": [] if event.flat_at else waiting_venues(event),
    }


def kill_text(state: dict[str, Any]) -> str:
    """Return the state for people; "flat" only with the time of the read that showed it."""
    head = f"latched {state['latched_at']:%H:%M:%S} UTC, {state['closed']} closed, {state['cancelled']} cancelled"
    if state["foreign"]:
        head += f", not ours and untouched: {', '.join(state['foreign'])}"
    if state["flat_at"]:
        return f"{head}; flat, read from the broker at {state['flat_at']:%H:%M:%S} UTC"
    return f"{head}; NOT FLAT YET: it goes on, look at the broker's own terminal"
