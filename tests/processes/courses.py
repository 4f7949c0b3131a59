"""The last hours of the real files, traded twice from one state: by processes over the wire, and replayed in one.

Both ways begin with a copy of the same state: the history that precedes the course and the models fitted on it. What
came of them is read from where the two have nothing in common but the simulated broker: its own ledger, and each
desk's own database.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from execution.sessions.replay import BRIDGE
from execution.sessions.slots import HOUR, Slot, SlotRule, slot_of
from market.terminal.client import Terminal
from tests.processes.course_desk import CourseDesk
from tests.processes.sessions import JUST_BEFORE, ended, run_of
from tests.processes.venue import BUY
from tests.processes.waiting import until
from tests.real_course import END, SYMBOLS, Files, exact

# Past the hour: the bar of the slot before is no longer the newest closed one, and no desk makes up for that slot.
BEFORE_FIRST = timedelta(seconds=10)
# Hours of orders fall into one real minute, in which a desk sends a handful by itself. A person may allow so many.
ORDERS_A_MINUTE = 60
MINUTE_S = 60.0
LIMIT = {"model": "execution.limitrow", "fields": {"name": "max_orders_per_minute", "value": str(ORDERS_A_MINUTE)}}
OF_A_WORLD = ("sim", "run", "logs", "up.log")  # what a copy of a state begins anew
ENTRIES = ("in", "out", "inout")
DECIDED = "SELECT slot, symbol, bar_at, position_pct, target_lots, current_lots, scene, verdict, blocker"
FACTS = "SELECT ticket, order_ticket, position_id, symbol, type, entry, volume, price, time_ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Traded:
    """An execution, as the venue's ledger has it: nothing is left out that money follows from."""

    ticket: int
    order_ticket: int
    position_id: int
    symbol: str
    side: str
    entry: str
    volume: Decimal
    price: Decimal
    time_ms: int
    commission: Decimal
    swap: Decimal
    profit: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The account after a slot's session, at the market time at which that was asked."""

    slot: str
    at: datetime
    balance: Decimal
    equity: Decimal


@dataclass(kw_only=True)
class Came:
    """What came of a course on one of the ways."""

    points: list[Point]
    deals: list[Traded]
    decisions: list[tuple[Any, ...]]
    seconds: float

    @property
    def n_orders(self) -> Counter[str]:
        """Return how many were sent in each slot's session."""
        slots = {round(point.at.timestamp() * 1000): point.slot for point in self.points}
        return Counter(slots.get(deal.time_ms, "") for deal in self.deals)


@dataclass(kw_only=True)
class Lived(Came):
    """What came of the live way: also how the runs of its slots ended, and what only a bystander can note down."""

    runs: list[tuple[str, str, str, int]]  # slot, queue, status, attempts
    bids: list[dict[str, Decimal]]  # beside each point
    newest_fitted: datetime  # open time of the newest bar that a model was fitted on
    end: Point


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """The last so many slots of the files, on one kind of account."""

    margin_mode: str
    n_slots: int

    def __post_init__(self) -> None:
        if self.slots[0].hour.hour == SlotRule().early_hour:
            raise ValueError(f"a course of {self.n_slots} slots begins with the early one: take another number")

    @property
    def slots(self) -> list[Slot]:
        """Return the slots in the order in which they act."""
        return [slot_of(END - HOUR * n, SlotRule()) for n in range(self.n_slots, 0, -1)]

    def settings(self, files: Files) -> dict[str, str]:
        """Return the settings of its world."""
        return {
            "SIM_REPLAY": os.pathsep.join(str(path) for paths in files.values() for path in paths),
            "SIM_START": (self.slots[0].at - BEFORE_FIRST).isoformat(),
            "SIM_MARGIN_MODE": self.margin_mode,
        }


def prepare(course: Course, files: Files, folder: Path) -> dict[str, Any]:
    """Make a desk that stands before the course: history, and models of it. Return what that brought."""
    folder.mkdir()
    desk = CourseDesk(folder, settings=course.settings(files))
    desk.do("migrate", "--verbosity", "0")
    (folder / "limit.json").write_text(json.dumps([LIMIT]))
    desk.do("loaddata", str(folder / "limit.json"))
    with desk.world():
        return dict(json.loads(desk.do("demo_load", "--json"))["data"])


def live(course: Course, files: Files, prepared: Path, folder: Path, *, n_orders: Mapping[str, int]) -> Lived:
    """Trade the course by the processes that trade: at each slot the sentinel, the queue, the trader and the wire.

    Parameters
    ----------
    n_orders : mapping of str to int
        How many a slot is going to take: each is reached when the real minute's limit has room for them.
    """
    desk = CourseDesk(_copied(prepared, folder), settings=course.settings(files))
    began = time.monotonic()
    with desk.trading(), desk.terminal() as terminal:
        points, bids = [], []
        for slot in course.slots:
            _pass(desk, slot, n_orders.get(slot.key, 0))
            points.append(_point(slot.key, desk.market.now(), terminal))
            bids.append({symbol: exact(terminal.call("symbol_info_tick", symbol).value.bid) for symbol in SYMBOLS})
        seconds = time.monotonic() - began
        runs = [tuple(row) for row in desk.rows("SELECT slot, queue, status, attempts FROM ops_run ORDER BY id")]
        ((newest,),) = desk.rows("SELECT MAX(fit_to) FROM strategies_fittedmodel")
        desk.market.step_to(END)
        end = _point("", END, terminal)
    came = {"deals": deals_of(desk), "decisions": decisions_of(desk), "seconds": seconds}
    newest_fitted = datetime.fromisoformat(newest).replace(tzinfo=UTC)
    return Lived(points=points, bids=bids, runs=runs, end=end, newest_fitted=newest_fitted, **came)


def _pass(desk: CourseDesk, slot: Slot, n_orders: int) -> None:
    """Bring time to a slot, for which nobody tells the desk to do anything, and wait until its session has ended."""
    until(lambda: _n_sent(desk) + n_orders <= ORDERS_A_MINUTE, f"a real minute with room for the orders of {slot.key}")
    desk.market.step_to(slot.at - JUST_BEFORE)
    until(lambda: run_of(desk, slot), f"the session of {slot.key} to be put into the queue")
    desk.market.step_to(slot.at)
    ended(desk, slot)


def _n_sent(desk: CourseDesk) -> int:
    """Return how many orders were sent in the last real minute."""
    since = time.monotonic() - MINUTE_S
    ((n_sent,),) = desk.rows("SELECT COUNT(*) FROM execution_attempt WHERE sent_mono > ?", since)
    return int(n_sent)


def _point(slot: str, at: datetime, terminal: Terminal) -> Point:
    account = terminal.call("account_info").value
    return Point(slot=slot, at=at, balance=exact(account.balance), equity=exact(account.equity))


def replay(course: Course, files: Files, prepared: Path, folder: Path) -> Came:
    """Trade the course by the replay in one process."""
    desk = CourseDesk(_copied(prepared, folder), settings=course.settings(files) | {"MT5_BRIDGE": BRIDGE})
    began = time.monotonic()
    hours = [END - HOUR * course.n_slots, END]
    period = [text for name, hour in zip(("--begin", "--end"), hours, strict=True) for text in (name, hour.isoformat())]
    document = json.loads(desk.do("session_replay", "--json", *period))["data"]
    return Came(
        points=[_point_of(row) for row in document["equity"]],
        deals=deals_of(desk),
        decisions=decisions_of(desk),
        seconds=time.monotonic() - began,
    )


def _point_of(row: dict[str, Any]) -> Point:
    at = datetime.fromisoformat(row["at"])
    return Point(slot=row["slot"], at=at, balance=Decimal(row["balance"]), equity=Decimal(row["equity"]))


def _copied(prepared: Path, folder: Path) -> Path:
    return Path(shutil.copytree(prepared, folder, ignore=shutil.ignore_patterns(*OF_A_WORLD)))


def deals_of(desk: CourseDesk) -> list[Traded]:
    """Return every execution of the venue's ledger."""
    with closing(sqlite3.connect(desk.state_dir / "sim" / "ledger.sqlite3")) as ledger:
        rows = ledger.execute(f"{FACTS}, commission, swap, profit FROM deals WHERE symbol <> '' ORDER BY ticket")
        return [_traded(*row) for row in rows]


def _traded(ticket, order, position, symbol, kind, entry, volume, price, time_ms, *cents) -> Traded:
    commission, swap, profit = (Decimal(amount).scaleb(-2) for amount in cents)
    return Traded(
        ticket=ticket,
        order_ticket=order,
        position_id=position,
        symbol=symbol,
        side="buy" if kind == BUY else "sell",
        entry=ENTRIES[entry],
        volume=Decimal(volume).scaleb(-8),
        price=exact(price),
        time_ms=time_ms,
        commission=commission,
        swap=swap,
        profit=profit,
    )


def decisions_of(desk: CourseDesk) -> list[tuple[Any, ...]]:
    """Return what each session decided for each symbol."""
    return [tuple(row) for row in desk.rows(f"{DECIDED} FROM execution_decision ORDER BY id")]
