"""The venue's own word: what the simulated broker's ledger says was traded and is held."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

ENTRY_IN, ENTRY_OUT = 0, 1
BUY = 0  # POSITION_TYPE_BUY, DEAL_TYPE_BUY
BY_PROGRAM = 3  # DEAL_REASON_EXPERT
OUR_PREFIX, PREFIX_AT_BIT = 0xB7D, 41  # of the magic numbers: the only mark of ours at a venue


@dataclass(frozen=True, slots=True, kw_only=True)
class Deal:
    """An execution."""

    ticket: int
    symbol: str
    entry: int
    magic: int
    position_id: int
    lots: Decimal  # signed: what it adds to the position
    price: float
    time_ms: int
    by_program: bool  # what a stop or a target closes bears the entry's magic, and another reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """An open position."""

    ticket: int
    symbol: str
    lots: Decimal  # signed
    magic: int


def is_ours(magic: int) -> bool:
    return magic >> PREFIX_AT_BIT == OUR_PREFIX


class Venue:
    """Reads the ledger, and can hold the venue still."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def deals(self) -> list[Deal]:
        """Return every execution; movements of money have no symbol."""
        query = "SELECT ticket, symbol, type, entry, magic, position_id, volume, price, time_ms, reason FROM deals"
        return [
            Deal(
                ticket=ticket,
                symbol=symbol,
                entry=entry,
                magic=magic,
                position_id=position_id,
                lots=_signed(kind, volume),
                price=price,
                time_ms=time_ms,
                by_program=reason == BY_PROGRAM,
            )
            for ticket, symbol, kind, entry, magic, position_id, volume, price, time_ms, reason in self._rows(
                f"{query} ORDER BY ticket"
            )
            if symbol
        ]

    def deposits(self) -> list[int]:
        """Return the cents that were paid in."""
        return [profit for (profit,) in self._rows("SELECT profit FROM deals WHERE symbol = ''")]

    def holdings(self) -> list[Holding]:
        """Return the open positions."""
        rows = self._rows("SELECT ticket, symbol, type, volume, magic FROM positions ORDER BY 1")
        return [
            Holding(ticket=ticket, symbol=symbol, lots=_signed(kind, volume), magic=magic)
            for ticket, symbol, kind, volume, magic in rows
        ]

    def ours(self) -> list[Holding]:
        return [holding for holding in self.holdings() if is_ours(holding.magic)]

    def n_working_orders(self) -> int:
        ((n_orders,),) = self._rows("SELECT COUNT(*) FROM orders WHERE done_ms = 0")
        return int(n_orders)

    def lots(self, symbol: str) -> Decimal:
        """Return what is held of a symbol, in signed lots."""
        return sum((holding.lots for holding in self.ours() if holding.symbol == symbol), Decimal(0))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let the venue execute nothing inside the block: whoever books a deal waits, up to five seconds, for its end.

        Reads go on, as long as market time stands still: an account that lives on writes.
        """
        with closing(sqlite3.connect(self._path, isolation_level=None, timeout=5)) as ledger:
            ledger.execute("BEGIN IMMEDIATE")
            yield
            ledger.execute("ROLLBACK")

    def _rows(self, query: str) -> list[tuple[int, ...]]:
        with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=5)) as ledger:
            return ledger.execute(query).fetchall()


def _signed(kind: int, volume: int) -> Decimal:
    lots = Decimal(volume).scaleb(-8)
    return lots if kind == BUY else -lots
