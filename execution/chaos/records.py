"""The log of a run: decisions, requests, replies and what disturbed them, in virtual time; a seed repeats it."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from execution.chaos.reading import LEDGER
from execution.models import Attempt, BotTrade, Decision, Intent, KillEvent
from ops.models import Announcement

Line = dict[str, Any]
REQUEST_FIELDS = "action, symbol, type, lots, price, position, order_ticket, magic, retcode, error, answered, deal"
DEAL_FIELDS = "ticket, order_ticket, symbol, type, entry, reason, magic, position_id, volume, price"


def write_log(sim_dir: Path, happened: list[Line], path: Path | None = None) -> str:
    """Return the SHA-256 of the log of a run, and write the log to a file where one is given.

    Parameters
    ----------
    happened : list of dict
        What is in no book: faults, crashes and a person's acts, each with its market time ``at``.
    """
    text = "".join(f"{json.dumps(line, sort_keys=True)}\n" for line in _lines(sim_dir, happened))
    if path is not None:
        path.write_text(text)
    return hashlib.sha256(text.encode()).hexdigest()


def _lines(sim_dir: Path, happened: list[Line]) -> list[Line]:
    """Return everything, by market time; what happened at the same moment stays in the order of its kind."""
    ours = [*_decisions(), *_intents(), *_attempts(), *_trades(), *_states(), *_kills()]
    lines = [*ours, *_venue(sim_dir), *happened]
    return sorted(lines, key=lambda line: str(line["at"]))


def _decisions() -> Iterator[Line]:
    for row in Decision.objects.order_by("id"):
        yield {
            "kind": "decision",
            "at": _iso(row.market_at),
            "id": row.pk,
            "symbol": row.symbol,
            "slot": row.slot,
            "positions": row.positions,
            "position_pct": row.position_pct,
            "target": _plain(row.target_lots),
            "current": _plain(row.current_lots),
            "verdict": row.verdict,
            "blocker": row.blocker,
        }


def _intents() -> Iterator[Line]:
    for intent in Intent.objects.order_by("id"):
        yield {
            "kind": "intent",
            "at": _iso(intent.market_at),
            "magic": intent.magic,
            "symbol": intent.symbol,
            "cause": f"{intent.cause} {intent.cause_id}",
            "from": _plain(intent.from_lots),
            "to": _plain(intent.target_lots),
            "status": intent.status,
            "reason": intent.reason,
        }


def _attempts() -> Iterator[Line]:
    for attempt in Attempt.objects.select_related("leg__intent").order_by("id"):
        yield {
            "kind": "attempt",
            "at": _iso(attempt.market_at),
            "id": attempt.pk,
            "magic": attempt.leg.intent.magic,
            "request": attempt.request,
            "fence": attempt.fence,
            "outcome": attempt.outcome,
            "retcode": attempt.retcode,
            "message": attempt.message,
            "resolved": _iso(attempt.resolved_at),
        }


def _trades() -> Iterator[Line]:
    for trade in BotTrade.objects.select_related("intent", "setup").order_by("id"):
        yield {
            "kind": "bot trade",
            "at": _iso(trade.intent.market_at),
            "magic": trade.intent.magic,
            "setup": trade.setup_id,
            "symbol": trade.symbol,
            "side": trade.side,
            "lots": _plain(trade.lots),
            "status": trade.status,
            "closed": _iso(trade.closed_at),
            "result": _plain(trade.result),
        }


def _states() -> Iterator[Line]:
    for row in Announcement.objects.filter(topic="state").order_by("id"):
        yield {"kind": "state", "at": _iso(row.created_at), **row.payload}


def _kills() -> Iterator[Line]:
    for kill in KillEvent.objects.order_by("id"):
        ends = {"flat": _iso(kill.flat_at), "rearmed": _iso(kill.rearmed_at), "rounds": kill.rounds}
        yield {"kind": "kill", "at": _iso(kill.latched_at), "cause": kill.cause, **ends}


def _venue(sim_dir: Path) -> Iterator[Line]:
    with closing(sqlite3.connect(f"file:{sim_dir / LEDGER}?mode=ro", uri=True)) as venue:
        venue.row_factory = sqlite3.Row
        for row in venue.execute(f"SELECT at_ms, number, {REQUEST_FIELDS} FROM requests ORDER BY number"):  # noqa: S608
            yield {"kind": "request", "at": _iso_ms(row["at_ms"]), **dict(row)}
        for row in venue.execute(f"SELECT time_ms, {DEAL_FIELDS} FROM deals ORDER BY ticket"):  # noqa: S608
            yield {"kind": "deal", "at": _iso_ms(row["time_ms"]), **dict(row)}


def _iso(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone(UTC).isoformat()


def _iso_ms(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()


def _plain(value: Decimal | None) -> str | None:
    return None if value is None else f"{value.normalize():f}"
