"""The last read of each series, kept by this process: what is still there under its name is not fetched again.

Nothing here goes by time. Every read asks the database for the names of the series' blocks, a dozen numbers for a
year of hours, and what it has under these names is what the rows say now.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from django.db import connection

from market.blocks import Block, Entry, load_blocks, make_blocks, read_directory
from market.models import BLOCK_BARS, BLOCK_MS
from market.raw import Floats, Ints
from market.tables import Series, Table

if TYPE_CHECKING:
    import pandas as pd

MOST_BYTES = 256 * 2**20  # of a process; a year of hours is 0.6 MB for rates and 0.8 MB for klines
MOST_TRIES = 10


class Sliced:
    """A frame that is kept and of which only rows are handed out: pandas copies them when somebody writes to them."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame
        self._last: tuple[tuple[int, int], pd.DataFrame] = (0, len(frame)), frame

    def rows(self, start: int, end: int) -> pd.DataFrame:
        """Return rows as a frame of its own, its labels too."""
        bounds, rows = self._last
        if bounds != (start, end):
            rows = self.frame.iloc[start:end]
            self._last = (start, end), rows  # slicing costs more than the copy that copies nothing
        return rows.copy(deep=False)


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """All bars of consecutive blocks, and what was made of them.

    Attributes
    ----------
    entries : tuple of Entry
        The blocks' names, in order, without a hole.
    open_ms : ndarray of shape (n_bars,), int64
    values : ndarray of shape (n_columns, n_bars), float64
    bars : Sliced
        The same memory as a frame.
    derived : dict
        What its users made of it, by their own keys; it goes when the window goes.
    """

    entries: tuple[Entry, ...]
    open_ms: Ints
    values: Floats
    bars: Sliced
    derived: dict[str, object] = field(default_factory=dict)

    def bounds(self, since_ms: int, newest_ms: int, limit: int | None) -> tuple[int, int]:
        """Return where the newest ``limit`` bars that open in ``[since_ms, newest_ms]`` begin and end."""
        end = int(self.open_ms.searchsorted(newest_ms, "right"))
        start = int(self.open_ms.searchsorted(since_ms))
        return min(end, start if limit is None else max(start, end - limit)), end

    def is_still(self, entries: tuple[Entry, ...], top: int) -> bool:
        """Return whether its blocks up to number ``top`` are these."""
        return self.entries[: top + 1 - self.entries[0].number] == entries

    def parts(self) -> Iterator[tuple[Entry, Block]]:
        """Yield its blocks."""
        end = 0
        for entry in self.entries:
            start, end = end, end + entry.n_bars
            yield entry, Block(self.open_ms[start:end], self.values[:, start:end])


class LastReads:
    """The windows that were read last, by series; the least recently used are forgotten beyond a size in bytes."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.most_bytes = most_bytes
        self._windows: OrderedDict[Series, Window] = OrderedDict()
        self._lock = Lock()

    def get(self, series: Series) -> Window | None:
        with self._lock:
            if series in self._windows:
                self._windows.move_to_end(series)
            return self._windows.get(series)

    def put(self, series: Series, window: Window) -> None:
        with self._lock:
            self._windows[series] = window
            self._windows.move_to_end(series)
            sizes = {kept: each.values.nbytes + each.open_ms.nbytes for kept, each in self._windows.items()}
            total = sum(sizes.values())
            while total > self.most_bytes and self._windows:
                total -= sizes[self._windows.popitem(last=False)[0]]

    def forget(self) -> None:
        """Begin anew, as a new process does."""
        with self._lock:
            self._windows.clear()


LAST_READS = LastReads()


def read_window(series: Series, *, since_ms: int, newest_ms: int, limit: int | None) -> Window | None:
    """Return a window that has the newest ``limit`` bars that open in ``[since_ms, newest_ms]``, and maybe others.

    None when blocks cannot be had, because somebody is writing or the database takes no writes: read the rows then.
    """
    if since_ms < 0:
        return None  # blocks begin in 1970
    known, length = LAST_READS.get(series), BLOCK_MS[series.interval]
    search = _Search(series, bottom=since_ms // length, top=newest_ms // length, limit=limit)
    if known:
        search.low = min(search.low, known.entries[0].number)  # a short read does not undo a long one
    for _ in range(MOST_TRIES):
        if search.is_hopeless:
            break
        entries = search.look()
        if entries == ():
            return _empty(series.table)
        if known and entries and known.is_still(entries, search.top):
            return known
        window = search.assemble(entries, known) if entries else None
        if window:
            LAST_READS.put(series, window)
            return window
    return None


class _Search:
    """Looks at a series again and again until it has seen every block that a read needs at one moment."""

    def __init__(self, series: Series, *, bottom: int, top: int, limit: int | None) -> None:
        self.series = series
        self.bottom, self.top = bottom, top  # the first and the last block that the read may need
        self.limit = limit
        self.low = self._below(top)  # where it looks: nobody knows how many bars there are in a block
        self.fresh: dict[Entry, Block] = {}
        self.is_hopeless = False

    def look(self) -> tuple[Entry, ...] | None:
        """Return the blocks' names; None when it has to look again, and farther back or after making some."""
        directory = read_directory(self.series, self.low, self.top)
        reach = directory.reach(BLOCK_MS[self.series.interval], self.top)
        if not reach or reach[-1] < self.bottom:
            return ()
        if self.low > reach[-1]:  # the series ended long ago
            self.low = self._below(reach[-1])
            return None
        numbers = range(max(self.low, reach.start), reach.stop)
        absent = [number for number in numbers if number not in directory.entries]
        if absent:
            self.make(absent)
            return None
        entries = tuple(directory.entries[number] for number in numbers)
        self.low = self._enough(entries, max(self.bottom, reach.start))
        return entries if self.low >= entries[0].number else None

    def make(self, numbers: list[int]) -> None:
        """Make blocks from the rows; inside somebody's transaction on PostgreSQL, writers would wait for its end."""
        may = connection.vendor != "postgresql" or not connection.in_atomic_block
        made = make_blocks(self.series, numbers) if may else {}
        self.fresh |= made
        self.is_hopeless = not made

    def assemble(self, entries: tuple[Entry, ...], known: Window | None) -> Window | None:
        """Return a window of these blocks; None when some are gone by now."""
        have = dict(known.parts()) | self.fresh if known else self.fresh
        have = have | load_blocks(self.series, [entry for entry in entries if entry not in have])
        lost = [entry.number for entry in entries if entry not in have]
        if lost:
            self.make(lost)
            return None
        return _window_of(self.series.table, entries, [have[entry] for entry in entries])

    def _below(self, number: int) -> int:
        """Return where to begin if every block below ``number`` is full."""
        return self.bottom if self.limit is None else max(self.bottom, number - -(-self.limit // BLOCK_BARS))

    def _enough(self, entries: tuple[Entry, ...], floor: int) -> int:
        """Return where to begin by what is in these blocks, not below ``floor``; the last may hold later bars."""
        if self.limit is None:
            return min(floor, entries[0].number)
        *full, last = entries
        n_bars = sum(entry.n_bars for entry in full)
        if n_bars >= self.limit:
            return entries[0].number
        n_blocks = 1 - (-self.limit * len(full) // n_bars) if n_bars else 4 * len(entries)
        return min(max(floor, last.number - n_blocks), entries[0].number)


def _window_of(table: Table, entries: tuple[Entry, ...], blocks: list[Block]) -> Window:
    import pandas as pd

    open_ms = np.concatenate([block.open_ms for block in blocks])
    values = np.concatenate([block.values for block in blocks], axis=1)
    index = pd.DatetimeIndex(open_ms.astype("datetime64[ms]"), tz="UTC", name="open_at")
    frame = pd.DataFrame(values.T, index=index, columns=_labels(table), copy=False)
    return Window(entries, open_ms, values, Sliced(frame))


@lru_cache
def _labels(table: Table) -> pd.Index[str]:
    import pandas as pd

    return pd.Index(list(table.read))


@lru_cache
def _empty(table: Table) -> Window:
    nothing = Block(np.empty(0, np.int64), np.empty((len(table.read), 0)))
    return _window_of(table, (), [nothing])
