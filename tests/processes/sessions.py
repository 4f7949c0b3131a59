"""Sessions of a running desk: brought to their slot, held in the middle, and judged by the venue."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal

from execution.sessions.slots import Slot
from market.terminal.client import Terminal
from market.terminal.errors import TerminalUnavailableError
from tests.processes.running_desk import RunningDesk
from tests.processes.venue import ENTRY_IN, Deal, is_ours
from tests.processes.waiting import until

UNFINISHED = ("queued", "running")
JUST_BEFORE = timedelta(seconds=3)  # of market time: while it stands still the sentinel looks five seconds ahead
STEP_LOTS = Decimal("0.01")


def run_of(desk: RunningDesk, slot: Slot) -> sqlite3.Row | None:
    rows = desk.rows("SELECT * FROM ops_run WHERE job = 'session' AND slot = ?", slot.key)
    return rows[0] if rows else None


@contextmanager
def before_next_slot(desk: RunningDesk) -> Iterator[Slot]:
    """Hold market time just before the next slot; it goes on after the block."""
    with desk.market.paused():
        slot = desk.market.next_slot(ahead=JUST_BEFORE)
        desk.market.step_to(slot.at - JUST_BEFORE)
        yield slot


def reach_next_slot(desk: RunningDesk) -> sqlite3.Row:
    """Bring time to the next slot and return its run when that has ended; nobody tells the desk to do anything."""
    with before_next_slot(desk) as slot:
        until(lambda: run_of(desk, slot), f"the session of {slot.key} to be put into the queue")
    return ended(desk, slot)


def ended(desk: RunningDesk, slot: Slot) -> sqlite3.Row:
    """Return a slot's run when it has ended."""

    def run() -> sqlite3.Row | None:
        found = run_of(desk, slot)
        return found if found and found["status"] not in UNFINISHED else None

    return until(run, f"the end of the session of {slot.key}")


@contextmanager
def waiting_session(desk: RunningDesk) -> Iterator[Slot]:
    """Hold market time just before a slot, with the slot's session begun and waiting for it."""
    with before_next_slot(desk) as slot:
        until(lambda: (run := run_of(desk, slot)) and run["status"] == "running", f"the session of {slot.key} to begin")
        yield slot


@contextmanager
def order_in_the_air(desk: RunningDesk) -> Iterator[sqlite3.Row]:
    """Hold a session where its first order is journalled and in the venue's hands, and not executed yet.

    The venue goes on after the block. Yields the attempt.
    """
    with waiting_session(desk) as slot, desk.terminal() as terminal:
        before = {row["id"] for row in _attempts(desk)}
        desk.market.step_to(slot.at + timedelta(seconds=1))
        terminal.call("positions_get")  # the account lives up to this moment, so that from now on only orders write
        with desk.venue.held():
            attempt = until(lambda: _in_the_air(desk, terminal, before), "an order in the venue's hands")
            yield attempt


def _in_the_air(desk: RunningDesk, terminal: Terminal, before: set[int]) -> sqlite3.Row | None:
    """Return the new attempt without an outcome, once its order keeps everybody else from the terminal."""
    found = [row for row in _attempts(desk) if row["id"] not in before]
    if not found:
        return None
    assert found[0]["outcome"] == "", "the venue executed the order although it was held"
    try:
        terminal.call("account_info", timeout_s=0.3)
    except TerminalUnavailableError:
        return found[0]
    return None


def _attempts(desk: RunningDesk) -> list[sqlite3.Row]:
    query = "SELECT a.id, a.outcome, a.message, a.resolved_at, i.magic, i.symbol, i.cause_id FROM execution_attempt a"
    joins = "JOIN execution_legrecord l ON l.id = a.leg_id JOIN execution_intent i ON i.id = l.intent_id"
    return desk.rows(f"{query} {joins} ORDER BY a.id")


def attempt_now(desk: RunningDesk, attempt: sqlite3.Row) -> sqlite3.Row:
    """Return what has become of an attempt."""
    return next(row for row in _attempts(desk) if row["id"] == attempt["id"])


def n_doubtful(desk: RunningDesk) -> int:
    """Return how many orders there are of which nobody knows yet whether they were executed."""
    return sum(row["resolved_at"] is None and row["outcome"] in ("", "ambiguous") for row in _attempts(desk))


def deals_of(desk: RunningDesk, magic: int) -> list[Deal]:
    return [deal for deal in desk.venue.deals() if deal.magic == magic]


def off_target(desk: RunningDesk) -> dict[str, tuple[Decimal, Decimal]]:
    """Return the symbols whose position at the venue is not the newest decision's target, and both."""
    newest = "SELECT symbol, target_lots FROM execution_decision WHERE id IN (SELECT MAX(id) FROM execution_decision"
    targets = {row["symbol"]: Decimal(str(row["target_lots"])) for row in desk.rows(f"{newest} GROUP BY symbol)")}
    assert targets, "nothing was ever decided"
    held = {symbol: (desk.venue.lots(symbol), target) for symbol, target in targets.items()}
    return {symbol: (lots, target) for symbol, (lots, target) in held.items() if abs(lots - target) >= STEP_LOTS}


def traded_beyond_intent(desk: RunningDesk) -> list[str]:
    """Return what the venue executed for us that the journal does not ask for, or asks for once and got twice."""
    legs = (
        "SELECT i.magic, l.volume, l.reduces FROM execution_legrecord l JOIN execution_intent i ON i.id = l.intent_id"
    )
    wanted: dict[tuple[int, bool], list[Decimal]] = defaultdict(list)
    for row in desk.rows(legs):
        wanted[row["magic"], bool(row["reduces"])].append(Decimal(str(row["volume"])))
    done: dict[tuple[int, bool], list[Decimal]] = defaultdict(list)
    for deal in desk.venue.deals():
        if is_ours(deal.magic) and deal.by_program:
            done[deal.magic, deal.entry != ENTRY_IN].append(abs(deal.lots))
    return [
        f"magic {key[0]} {'closed' if key[1] else 'opened'} {lots}, its legs are {wanted.get(key, [])}"
        for key, lots in done.items()
        if len(lots) > len(wanted.get(key, [])) or sum(lots) > sum(wanted[key])
    ] + _unbalanced(desk)


def _unbalanced(desk: RunningDesk) -> list[str]:
    """Return the positions that the venue's deals do not add up to: closed more than once, or not at all."""
    sums: Counter[int] = Counter()
    for deal in desk.venue.deals():
        sums[deal.position_id] += deal.lots  # type: ignore[assignment]
    held = {holding.ticket: holding.lots for holding in desk.venue.holdings()}
    return [
        f"position {ticket}: deals of {lots} lots, held are {held.get(ticket, 0)}"
        for ticket, lots in sums.items()
        if lots != held.get(ticket, 0)
    ]
