"""The simulated broker's books in one SQLite file: the account, its positions, orders and deals.

It is the only state of the terminal, and the judge of what really happened: a test reads it, not the client.

A commit is durable when a process is killed at any moment, which is what the tests do: in write-ahead mode a
committed page is in the operating system's hands. ``synchronous=NORMAL`` can lose the last commits when the machine
itself dies; then the books are whole, and the market being a function of time, only a little older.

Money is whole cents and volume whole hundred-millionths of a lot in the file (as in real servers), ``Decimal`` here;
prices are the float64 that the market quotes. Moments are UTC milliseconds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

MONEY = frozenset({"swap", "profit", "commission"})
VOLUMES = frozenset({"volume", "volume_initial", "volume_current"})
SQL_TYPES = {"str": "TEXT", "float": "REAL", "int": "INTEGER", "Decimal": "INTEGER"}
ZERO = Decimal("0.00")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """Whose books these are; written once."""

    login: int
    password: str
    server: str
    name: str
    company: str
    currency: str
    margin_mode: int  # ACCOUNT_MARGIN_MODE_*


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """An open position; its deals carry ``identifier``, which survives a netting reversal as ``ticket`` does not."""

    ticket: int
    identifier: int
    symbol: str
    type: int  # POSITION_TYPE_*
    volume: Decimal
    price_open: float
    sl: float  # 0: none
    tp: float
    swap: Decimal  # charged and not yet realised
    magic: int
    comment: str
    reason: int
    time_ms: int
    update_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order: working while ``done_ms`` is 0, history after."""

    ticket: int
    symbol: str
    type: int  # ORDER_TYPE_*
    type_time: int
    type_filling: int
    state: int
    magic: int
    reason: int
    comment: str
    position_id: int
    position_by_id: int
    volume_initial: Decimal
    volume_current: Decimal  # not yet filled
    price_open: float
    price_stoplimit: float
    sl: float
    tp: float
    setup_ms: int
    done_ms: int
    expiration_ms: int  # 0: good till cancelled


@dataclass(frozen=True, slots=True, kw_only=True)
class Deal:
    """An execution, or a movement of money; never changed once written."""

    ticket: int
    order_ticket: int
    symbol: str
    type: int  # DEAL_TYPE_*
    entry: int  # DEAL_ENTRY_*
    reason: int
    magic: int
    position_id: int
    volume: Decimal
    price: float
    commission: Decimal
    swap: Decimal
    profit: Decimal
    comment: str
    time_ms: int

    @property
    def amount(self) -> Decimal:
        """Return what the deal adds to the balance."""
        return self.profit + self.swap + self.commission


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A trade request as it reached the terminal, whatever came of it; what is absurd in it stays so, as text."""

    number: int
    at_ms: int
    wall_ms: int  # real time, of the venue's machine
    action: str
    symbol: str
    type: str
    lots: str
    price: str
    position: int  # ticket, 0 where none is given
    order_ticket: int  # that is changed or taken back, 0 where none is given
    magic: int
    last_deal: int  # the newest deal's ticket when it came
    seen: str  # what the books held then, as JSON: see ``simulator.received``
    retcode: int  # answered: 0 nothing yet, -1 None
    error: int  # last_error() after it, 0 while nothing was answered
    answered: str  # the volume in the answer
    deal: int  # the deal in the answer


Row = TypeVar("Row", AccountRow, Position, Order, Deal, Request)
TABLES: dict[type, str] = {
    AccountRow: "account",
    Position: "positions",
    Order: "orders",
    Deal: "deals",
    Request: "requests",
}
INDICES = (
    "CREATE INDEX IF NOT EXISTS orders_done ON orders (done_ms)",
    "CREATE INDEX IF NOT EXISTS orders_position ON orders (position_id)",
    "CREATE INDEX IF NOT EXISTS deals_time ON deals (time_ms)",
    "CREATE INDEX IF NOT EXISTS deals_position ON deals (position_id)",
)


class Ledger:
    """The books in a file, or in memory for ``":memory:"``.

    Reads see every committed change, also of another process. Writes happen inside :meth:`transaction`.
    """

    def __init__(self, path: Path | str) -> None:
        if str(path) != ":memory:":
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        # One lock around the terminal keeps threads apart, so SQLite need not insist on one thread.
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._known: dict[str, Any] = {}  # answers that are asked for with every tick, as of ...
        self._version = -1  # ... the file's version; ours and other processes' writes make it forget
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("PRAGMA busy_timeout=5000")
        with self.transaction():
            for row_type, table in TABLES.items():
                self._db.execute(f"CREATE TABLE IF NOT EXISTS {table} ({_columns(row_type)})")
            self._db.execute("CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL)")
            for statement in INDICES:
                self._db.execute(statement)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything written inside at once, or nothing of it when it raises."""
        self._db.execute("BEGIN IMMEDIATE")
        self._forget_if_changed()
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            self._known.clear()
            raise
        self._db.execute("COMMIT")

    def account(self) -> AccountRow | None:
        """Return whose books these are, None while they are empty."""
        rows = self._select(AccountRow)
        return rows[0] if rows else None

    def positions(self) -> list[Position]:
        """Return the open positions, oldest ticket first."""
        found: list[Position] = self._remembered("positions", lambda: self._select(Position))
        return list(found)

    def orders(self) -> list[Order]:
        """Return the working orders, oldest ticket first."""
        found: list[Order] = self._remembered("orders", lambda: self._select(Order, "done_ms = 0"))
        return list(found)

    def history_orders(self, *, from_ms: int | None = None, to_ms: int | None = None) -> list[Order]:
        """Return the orders that ended in ``[from_ms, to_ms]``, by ticket."""
        return self._select(Order, "done_ms > 0 AND done_ms BETWEEN ? AND ?", _span(from_ms, to_ms))

    def deals(self, *, from_ms: int | None = None, to_ms: int | None = None) -> list[Deal]:
        """Return the deals made in ``[from_ms, to_ms]``, by ticket."""
        return self._select(Deal, "time_ms BETWEEN ? AND ?", _span(from_ms, to_ms))

    def deals_of(self, *, position_id: int | None = None, order_ticket: int | None = None) -> list[Deal]:
        """Return the deals of one position, or of one order."""
        if position_id is not None:
            return self._select(Deal, "position_id = ?", (position_id,))
        return self._select(Deal, "order_ticket = ?", (order_ticket,))

    def history_orders_of(self, *, position_id: int | None = None, ticket: int | None = None) -> list[Order]:
        """Return the ended orders of one position, or the one with a ticket."""
        if position_id is not None:
            return self._select(Order, "done_ms > 0 AND position_id = ?", (position_id,))
        return self._select(Order, "done_ms > 0 AND ticket = ?", (ticket,))

    def balance(self) -> Decimal:
        """Return the sum of all deals, to the cent."""
        balance: Decimal = self._remembered("balance", self._sum_of_deals)
        return balance

    def meta(self, name: str) -> int:
        """Return a stored number, 0 when it was never stored."""
        found = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return int(found[0]) if found else 0

    def requests(self) -> list[Request]:
        """Return every trade request that came, oldest first."""
        return self._select(Request)

    def put(self, row: AccountRow | Position | Order | Deal | Request) -> None:
        """Write a row over the one with its ticket; a deal is only ever added."""
        verb = "INSERT" if isinstance(row, Deal) else "INSERT OR REPLACE"
        values = [_stored(field.name, getattr(row, field.name)) for field in fields(row)]
        marks = ", ".join("?" * len(values))
        self._db.execute(f"{verb} INTO {TABLES[type(row)]} VALUES ({marks})", values)
        if isinstance(row, Deal):
            if "balance" in self._known:
                self._known["balance"] += row.amount
        else:
            self._known.pop(TABLES[type(row)], None)

    def drop_position(self, ticket: int) -> None:
        """Remove a position that is closed."""
        self._db.execute("DELETE FROM positions WHERE ticket = ?", (ticket,))
        self._known.pop("positions", None)

    def set_meta(self, name: str, value: int) -> None:
        """Store a number under a name."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def next_ticket(self, kind: str, *, first: int) -> int:
        """Return a number that no row of the kind ever had."""
        ticket = max(self.meta(f"{kind}_ticket") + 1, first)
        self.set_meta(f"{kind}_ticket", ticket)
        return ticket

    def _sum_of_deals(self) -> Decimal:
        query = "SELECT COALESCE(SUM(profit + swap + commission), 0) FROM deals"
        return Decimal(self._db.execute(query).fetchone()[0]).scaleb(-2)

    def _remembered(self, name: str, read: Callable[[], Any]) -> Any:
        self._forget_if_changed()
        if name not in self._known:
            self._known[name] = read()
        return self._known[name]

    def _forget_if_changed(self) -> None:
        """Forget all remembered answers when another process has written to the file."""
        version = self._db.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            self._known.clear()
            self._version = version

    def _select(self, row_type: type[Row], where: str = "1", parameters: tuple[Any, ...] = ()) -> list[Row]:
        names = [field.name for field in fields(row_type)]
        query = f"SELECT {', '.join(names)} FROM {TABLES[row_type]} WHERE {where} ORDER BY rowid"  # noqa: S608 - all names are this module's
        return [
            row_type(**{name: _loaded(name, value) for name, value in zip(names, row, strict=True)})
            for row in self._db.execute(query, parameters)
        ]


def changed(row: Row, **values: Any) -> Row:
    """Return a row with some fields replaced."""
    return replace(row, **values)


def _columns(row_type: type) -> str:
    columns = [f"{field.name} {SQL_TYPES[str(field.type)]} NOT NULL" for field in fields(row_type)]
    return ", ".join([f"{columns[0]} PRIMARY KEY", *columns[1:]])


def _span(from_ms: int | None, to_ms: int | None) -> tuple[int, int]:
    return (-(2**62) if from_ms is None else from_ms, 2**62 if to_ms is None else to_ms)


def _stored(name: str, value: Any) -> Any:
    """Return a field as the file holds it; a fraction of a cent is a bug, so it is refused."""
    if not isinstance(value, Decimal):
        return value
    scaled = value.scaleb(2 if name in MONEY else 8)
    if scaled != int(scaled):
        raise ValueError(f"{name} must be a whole number of {'cents' if name in MONEY else '1e-8 lots'}, was {value}")
    return int(scaled)


def _loaded(name: str, value: Any) -> Any:
    if name in MONEY:
        return Decimal(value).scaleb(-2)
    if name in VOLUMES:
        return Decimal(value).scaleb(-8).normalize()
    return value
