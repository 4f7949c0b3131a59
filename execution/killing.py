"""Kill and see it through: the sentinel flattens, and when it is gone whoever killed does."""

from __future__ import annotations

import sys
from subprocess import DEVNULL, Popen
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from loguru import logger

from execution.errors import ExecutionError
from execution.models import KillEvent
from execution.safety import killswitch
from execution.safety.flatten import flatten_round
from execution.safety.reconcile import current_account
from execution.wire import the_broker
from market.terminal.errors import TerminalError
from ops import clock, heartbeats
from ops.audit import Actor

SENTINEL_GONE_AFTER_S = 3.0
POLL_S = 0.1


def kill_and_flatten(actor: Actor, *, cause: str, timeout_s: float) -> dict[str, Any]:
    """Latch, then wait until the broker confirmed that we are flat, closing ourselves if nobody else does."""
    event = killswitch.latch(actor, cause=cause)
    deadline, trouble = clock.mono() + timeout_s, ""
    while clock.mono() < deadline and not event.flat_at:
        if heartbeats.age_s("sentinel") > SENTINEL_GONE_AFTER_S:
            before, trouble = trouble, _flatten_here(event)
            if trouble and trouble != before:
                logger.error("the kill could not close everything yet: {}", trouble)
        clock.sleep(POLL_S)
        event.refresh_from_db()
    return kill_state(event)


def see_it_through() -> None:
    """Start a process that flattens when the sentinel is gone; the web process itself holds no broker."""
    if heartbeats.age_s("sentinel") <= SENTINEL_GONE_AFTER_S:
        return
    logger.warning("the sentinel gives no sign of life: a process of its own closes the positions")
    Popen(  # our own command
        [sys.executable, "manage.py", "trade_kill", "--reason", "seen through for a kill from the page"],
        cwd=settings.BASE_DIR,
        stdin=DEVNULL,
        start_new_session=True,
    )


def _flatten_here(event: KillEvent) -> str:
    """Close what is open from this process; return what stood in the way, empty when nothing did."""
    try:
        with the_broker(patient=False) as broker:
            flatten_round(broker, current_account(broker.account()), event)
    except (ExecutionError, TerminalError, DatabaseError) as error:
        return str(error)
    return ""


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
        "flat_at": event.flat_at,
    }


def kill_text(state: dict[str, Any]) -> str:
    """Return the state for people; "flat" only with the time of the read that showed it."""
    head = f"latched {state['latched_at']:%H:%M:%S} UTC, {state['closed']} closed, {state['cancelled']} cancelled"
    if state["flat_at"]:
        return f"{head}; flat, read from the broker at {state['flat_at']:%H:%M:%S} UTC"
    return f"{head}; NOT FLAT YET: it goes on, look at the broker's own terminal"
