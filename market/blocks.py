"""Bars in columns beside their rows: what readers take instead of a year of rows, a thousand bars at a time.

The rows are the truth. A block is made from them and holds *all* bars of its stretch of time, so that one that is
there needs no look at the rows; one that is not is made by whoever reads it first, or by the writer. The database
deletes the block of every row that changes (``market.triggers``), in the same transaction, and nobody changes one.

A block's name is the checksum of what it holds. That makes a list of names a picture of a series at one moment: blocks
may be fetched later, or kept from before, and whatever has the right name is what was there then, though transactions
were rolled back in between. What does not fit its name is made again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from django.db import OperationalError, connection, transaction

from market.copying import read_copy
from market.models import BLOCK_MS, SeriesBlock
from market.raw import Floats, Ints
from market.tables import Series, Table, read_columns
from market.triggers import IN_STEP, series_lock

BLOCKS = SeriesBlock._meta.db_table
ITS_SERIES = 'kind = %s AND symbol = %s AND "interval" = %s'
LATEST_MS = 2**62
MOST_AT_ONCE = 32  # blocks whose rows are in memory together


class Entry(NamedTuple):
    """A block without its data."""

    number: int
    n_bars: int
    checksum: int


@dataclass(frozen=True, slots=True)
class Directory:
    """What there is of a series, all seen at one moment.

    Attributes
    ----------
    first_ms, last_ms : int or None
        When its oldest and its newest row open; None when it has none.
    entries : dict of int to Entry
        By number: the blocks that were asked for, as far as they are made.
    """

    first_ms: int | None
    last_ms: int | None
    entries: dict[int, Entry]

    def reach(self, length_ms: int, top: int) -> range:
        """Return the numbers up to ``top`` whose blocks of this length may hold bars; all others hold none."""
        if self.first_ms is None or self.last_ms is None:
            return range(0)
        return range(self.first_ms // length_ms, min(top, self.last_ms // length_ms) + 1)


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """All bars of a stretch of time.

    Attributes
    ----------
    open_ms : ndarray of shape (n_bars,), int64
    values : ndarray of shape (n_columns, n_bars), float64
        A row for each of the table's ``read``; NaN where the database has NULL.
    """

    open_ms: Ints
    values: Floats


def read_directory(series: Series, low: int, high: int) -> Directory:
    """Return the series' extent and its blocks from ``low`` to ``high``, by one statement: of one moment."""
    of_rows, of_blocks = (series.symbol, series.interval), _key(series)
    with connection.cursor() as cursor:
        cursor.execute(_directory_sql(series.table), (*of_rows, *of_rows, *of_blocks, low, high))
        (_, first_ms, last_ms), *blocks = sorted(cursor.fetchall())
    return Directory(first_ms, last_ms, {row[0]: Entry._make(row) for row in blocks})


@lru_cache
def _directory_sql(table: Table) -> str:
    first, last = (
        f"(SELECT open_ms FROM {table.name} "  # noqa: S608  # our own names
        f'WHERE symbol = %s AND "interval" = %s ORDER BY open_ms {order} LIMIT 1)'
        for order in ("ASC", "DESC")
    )
    return (
        f"SELECT -1, {first}, {last} UNION ALL "  # noqa: S608  # our own names
        f"SELECT number, n_bars, checksum FROM {BLOCKS} "
        f"WHERE {ITS_SERIES} AND number BETWEEN %s AND %s"
    )


def load_blocks(series: Series, entries: Sequence[Entry]) -> dict[Entry, Block]:
    """Return the blocks that these names stand for, without those that are gone or damaged."""
    wanted = {entry.number: entry for entry in entries}
    blocks = {}
    for first, last in _runs(wanted):
        for number, data in _fetch(series, first, last):
            if number in wanted:
                blocks[wanted[number]] = _unpack(series.table, wanted[number], data)
    return {entry: block for entry, block in blocks.items() if block is not None}


def _fetch(series: Series, first: int, last: int) -> list[tuple[int, bytes]]:
    """Return numbers and data of the blocks from ``first`` to ``last``."""
    query = f"SELECT number, data FROM {BLOCKS} WHERE {ITS_SERIES} AND number BETWEEN %s AND %s"  # noqa: S608  # our own
    parameters = (*_key(series), first, last)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":  # as bytes, in a third of the time that text takes
            return read_copy(cursor, query, parameters, types=["int8", "bytea"])
        cursor.execute(query, parameters)
        rows: list[tuple[int, bytes]] = cursor.fetchall()
    return rows


def make_blocks(series: Series, numbers: Sequence[int]) -> dict[Entry, Block]:
    """Make blocks from the rows, keep them in the database, and return them; none when that is not possible now.

    Nobody may write the series' rows in the meantime: a row that is committed after they were read and before the
    block is there would leave one that lacks it. SQLite has one writer at a time, whose transaction this is. On
    PostgreSQL it takes the lock that the triggers of all writers share, and makes nothing when it does not get it.
    """
    made: dict[Entry, Block] = {}
    try:
        with transaction.atomic():
            for first, last in _runs(numbers, MOST_AT_ONCE) if _alone(series) else ():
                blocks = dict(_cut(series, first, last))
                _keep(series, blocks)
                made |= blocks
    except OperationalError:  # locked for long, read-only, disk full: the rows are there to be read
        return {}
    return made


def false_blocks(series: Series) -> list[int]:
    """Return the numbers of blocks that are not what the rows say: somebody wrote with the triggers switched off."""
    with transaction.atomic():
        if not _alone(series):
            return []
        kept = read_directory(series, 0, LATEST_MS // BLOCK_MS[series.interval]).entries
        runs = _runs(sorted(kept), MOST_AT_ONCE)
        true = {entry.number: entry for first, last in runs for entry, _ in _cut(series, first, last)}
    return [number for number, entry in kept.items() if true[number] != entry]


def _alone(series: Series) -> bool:
    """Return whether nobody else writes rows of the series until this transaction ends."""
    if connection.vendor != "postgresql":
        return True
    levels = ", ".join(f"'{level}'" for level in IN_STEP)  # others have a snapshot from before the lock
    query = (
        f"SELECT current_setting('transaction_isolation') IN ({levels}) AND "  # noqa: S608  # our own names
        f"pg_try_advisory_xact_lock({series_lock('kind')}) "
        'FROM (SELECT %s AS kind, %s AS symbol, %s AS "interval") AS series'
    )
    with connection.cursor() as cursor:
        cursor.execute(query, _key(series))
        return bool(cursor.fetchone()[0])


def _cut(series: Series, first: int, last: int) -> Iterator[tuple[Entry, Block]]:
    """Yield the blocks from ``first`` to ``last``, made from the rows."""
    length = BLOCK_MS[series.interval]
    open_ms, values = read_columns(series, series.table.read, since_ms=first * length, until_ms=(last + 1) * length - 1)
    begins = np.arange(first, last + 2, dtype=np.int64) * length
    for number, (start, end) in enumerate(pairwise(np.searchsorted(open_ms, begins).tolist()), first):
        block = Block(open_ms[start:end], np.ascontiguousarray(values[:, start:end]))
        yield Entry(number, end - start, _checksum(series.table, _pack(block))), block


def _keep(series: Series, made: dict[Entry, Block]) -> None:
    query = (
        f'INSERT INTO {BLOCKS} (kind, symbol, "interval", number, n_bars, checksum, data) '  # noqa: S608  # our own names
        'VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (kind, symbol, "interval", number) '
        "DO UPDATE SET n_bars = excluded.n_bars, checksum = excluded.checksum, data = excluded.data"
    )
    with connection.cursor() as cursor:
        cursor.executemany(query, [(*_key(series), *entry, _pack(block)) for entry, block in made.items()])


def _key(series: Series) -> tuple[str, str, str]:
    return series.table.kind, series.symbol, series.interval


def _runs(numbers: Sequence[int] | dict[int, Entry], most: int | None = None) -> Iterator[tuple[int, int]]:
    """Yield the first and the last of each run of consecutive numbers, of at most so many; ``numbers`` are sorted."""
    first = last = None
    for number in numbers:
        if first is None or last is None:
            first = number
        elif number != last + 1 or number - first == most:
            yield first, last
            first = number
        last = number
    if first is not None and last is not None:
        yield first, last


def _pack(block: Block) -> bytes:
    return block.open_ms.astype("<i8").tobytes() + block.values.astype("<f8").tobytes()


def _unpack(table: Table, entry: Entry, data: bytes) -> Block | None:
    """Return what the data holds; None when it is not what the entry names."""
    n_columns = len(table.read)
    if len(data) != 8 * entry.n_bars * (1 + n_columns) or _checksum(table, data) != entry.checksum:
        return None
    values = np.frombuffer(data, "<f8", offset=8 * entry.n_bars)
    return Block(np.frombuffer(data, "<i8", entry.n_bars), values.reshape(n_columns, entry.n_bars))


def _checksum(table: Table, data: bytes) -> int:
    """Return 64 bits of SHA-256 over the columns' names and values: other columns are another block."""
    digest = hashlib.sha256(",".join(table.read).encode())
    digest.update(data)
    return int.from_bytes(digest.digest()[:8], "little", signed=True)
