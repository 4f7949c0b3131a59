"""The exchange's books in one SQLite file: the state of its accounts, and the judge of what really happened.

Only the process that serves the exchange writes. Decimals are whole hundred-millionths in the file. What is asked for
with every tick (open orders, positions, balances) is remembered until it changes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from simulator.binance.rows import OPEN, Movement, Order, Position, Row, Trade

R = TypeVar("R", Order, Trade, Movement, Position)
TABLES: dict[type, str] = {Order: "orders", Trade: "trades", Movement: "movements", Position: "positions"}
SQL_TYPES = {"str": "TEXT", "int": "INTEGER", "bool": "INTEGER", "Decimal": "INTEGER"}
INDICES = (
    "CREATE INDEX IF NOT EXISTS orders_client ON orders (venue, symbol, client_id)",
    "CREATE INDEX IF NOT EXISTS orders_list ON orders (list_id)",
    "CREATE INDEX IF NOT EXISTS trades_order ON trades (venue, order_id)",
)


class Books:
    """The books in a file, or in memory for ``":memory:"``; writes happen inside :meth:`transaction`."""

    def __init__(self, path: Path | str) -> None:
        if str(path) != ":memory:":
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).touch(mode=0o600)  # it holds the key's secret
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)  # the venue's lock is around it
        self._open: dict[int, Order] | None = None
        self._positions: dict[str, Position] | None = None
        self._balances: dict[tuple[str, str], Decimal] | None = None
        for statement in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000"):
            self._db.execute(f"PRAGMA {statement}")
        with self.transaction():
            for row_type, table in TABLES.items():
                self._db.execute(f"CREATE TABLE IF NOT EXISTS {table} ({_columns(row_type)})")
            self._db.execute("CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
            for statement in INDICES:
                self._db.execute(statement)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @property
    def n_changes(self) -> int:
        """Return how many rows were written since the file was opened."""
        return self._db.total_changes

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything written inside at once, or nothing of it when it raises."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            self._open = self._positions = self._balances = None
            raise
        self._db.execute("COMMIT")

    def open_orders(self, venue: str | None = None, symbol: str | None = None) -> list[Order]:
        """Return the open orders, oldest first."""
        if self._open is None:
            self._open = {order.id: order for order in self.select(Order, status=OPEN)}
        return [
            order
            for order in self._open.values()
            if venue in (None, order.venue) and symbol in (None, order.symbol) and order.is_open
        ]

    def positions(self) -> list[Position]:
        """Return every position there ever was, flat ones too."""
        if self._positions is None:
            self._positions = {position.key: position for position in self.select(Position)}
        return list(self._positions.values())

    def position(self, symbol: str, side: str) -> Position:
        """Return a position, a flat one where there never was any."""
        self.positions()
        known = (self._positions or {}).get(f"{symbol}/{side}")
        nothing = Decimal(0)
        return known or Position(
            key=f"{symbol}/{side}", symbol=symbol, position_side=side, amount=nothing, cost=nothing, updated_ms=0
        )

    def balance(self, venue: str, asset: str) -> Decimal:
        """Return the sum of a wallet's movements."""
        return self.balances(venue).get(asset, Decimal(0))

    def balances(self, venue: str) -> dict[str, Decimal]:
        """Return the sums of all movements of an account, by asset."""
        if self._balances is None:
            query = "SELECT venue, asset, SUM(amount) FROM movements GROUP BY venue, asset"
            self._balances = {(row[0], row[1]): Decimal(row[2]).scaleb(-8) for row in self._db.execute(query)}
        return {asset: amount for (owner, asset), amount in self._balances.items() if owner == venue}

    def select(self, row_type: type[R], **where: Any) -> list[R]:
        """Return the rows with these values, oldest first; a tuple means any of them."""
        conditions: list[str] = ["1"]
        values: list[Any] = []
        for name, value in where.items():
            several = value if isinstance(value, tuple) else (value,)
            conditions.append(f"{name} IN ({', '.join('?' * len(several))})")
            values += several
        names = [field.name for field in fields(row_type)]
        query = f"SELECT {', '.join(names)} FROM {TABLES[row_type]} WHERE {' AND '.join(conditions)} ORDER BY rowid"  # noqa: S608 - all names are this package's
        kinds = [str(field.type) for field in fields(row_type)]
        return [
            row_type(**{n: _loaded(k, v) for n, k, v in zip(names, kinds, row, strict=True)})
            for row in self._db.execute(query, values)
        ]

    def put(self, row: Row) -> None:
        """Write a row over the one with its id; trades and movements are only ever added."""
        verb = "INSERT" if isinstance(row, Trade | Movement) else "INSERT OR REPLACE"
        values = [_stored(field.name, getattr(row, field.name)) for field in fields(row)]
        self._db.execute(f"{verb} INTO {TABLES[type(row)]} VALUES ({', '.join('?' * len(values))})", values)
        self._remember(row)

    def setting(self, name: str, default: str) -> str:
        """Return what is stored under a name."""
        found = self._db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return str(found[0]) if found else default

    def set_setting(self, name: str, value: object) -> None:
        """Store a text under a name."""
        self._db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, str(value)))

    def next_id(self, kind: str, *, first: int) -> int:
        """Return a number that no row of the kind ever had."""
        number = max(int(self.setting(f"last {kind}", "0")) + 1, first)
        self.set_setting(f"last {kind}", number)
        return number

    def _remember(self, row: Row) -> None:
        if isinstance(row, Order) and self._open is not None:
            self._open[row.id] = row
            if not row.is_open:
                del self._open[row.id]
        elif isinstance(row, Position) and self._positions is not None:
            self._positions[row.key] = row
        elif isinstance(row, Movement) and self._balances is not None:
            wallet = (row.venue, row.asset)
            self._balances[wallet] = self._balances.get(wallet, Decimal(0)) + row.amount


def _columns(row_type: type) -> str:
    columns = [f"{field.name} {SQL_TYPES[str(field.type)]} NOT NULL" for field in fields(row_type)]
    return ", ".join([f"{columns[0]} PRIMARY KEY", *columns[1:]])


def _stored(name: str, value: Any) -> Any:
    """Return a field as the file holds it; a ninth decimal is a bug, so it is refused."""
    if not isinstance(value, Decimal):
        return value
    scaled = value.scaleb(8)
    if scaled != int(scaled):
        raise ValueError(f"{name} must have at most eight decimals, was {value}")
    return int(scaled)


def _loaded(kind: str, value: Any) -> Any:
    if kind == "Decimal":
        return Decimal(value).scaleb(-8)
    return bool(value) if kind == "bool" else value
