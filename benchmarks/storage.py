"""Bars into the database and out of it, on SQLite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle

import numpy as np
import pandas as pd
from django.db import connection, transaction

from benchmarks.bars import YEAR
from benchmarks.database import own_database
from benchmarks.harness import Contest, max_abs_diff
from market.models import Bar
from market.raw import RawBars
from market.reading import RATE_COLUMNS, read_mtbars
from market.tables import RATES, stored_rows, upsert
from market.windows import LAST_READS
from ops import clock
from ops.clock import SystemClock

N_UPSERTED = 100_000
N_SYMBOLS = 50
HOUR_MS = 3_600_000
FIRST_MS = 1_262_304_000_000  # 2010-01-01
SOURCE = "made-up hours in a new SQLite file"
READ_GOALS = {"warm": 100.0, "cold": 10.0}
READ_NOTES = {"warm": "with nothing new since the last read", "cold": "by a process that has read nothing before"}
FIELDS = ("open", "high", "low", "close", "tick_volume", "spread")


@contextmanager
def upsert_bars() -> Iterator[Contest]:
    """Write 100,000 bars that are all stored already, each with other values."""
    first, second = (_made_up(N_UPSERTED, seed=seed) for seed in (1, 2))

    def upserting(write: Callable[[str, RawBars], object], symbol: str) -> Callable[[], object]:
        turns = cycle((first, second))
        return lambda: write(symbol, next(turns))

    def difference() -> float:
        """Write the second version over the first both ways, and compare what is stored then."""
        for symbol in ("OURS", "PEER"):
            _upsert_as_we_do(symbol, first)
        _upsert_as_we_do("OURS", second)
        _upsert_as_django_does("PEER", second)
        return max_abs_diff(_stored("OURS"), _stored("PEER"))

    with own_database("market"):
        yield Contest(
            ours=upserting(_upsert_as_we_do, "OURS"),
            peer=upserting(_upsert_as_django_does, "PEER"),
            peer_name="Django bulk_create(update_conflicts=True)",
            difference=difference,
            tolerance=0.0,
            goal=5.0,
            data=SOURCE,
            note="the writing alone, without the checks that come before it",
        )


@contextmanager
def read_bars(state: str) -> Iterator[Contest]:
    """Read a year of bars of 50 symbols into frames, as the hourly session does: ``warm``, or ``cold``.

    A process that has just begun is cold: it keeps nothing from an earlier read, and the blocks come from the database.
    """
    with own_database("market"), clock.use(SystemClock()):
        names = _fill(N_SYMBOLS)

        def ours() -> list[pd.DataFrame]:
            if state == "cold":
                LAST_READS.forget()
            return [read_mtbars(name, YEAR) for name in names]

        def peer() -> list[pd.DataFrame]:
            return [_read_as_django_does(name) for name in names]

        def difference() -> float:
            return max(max_abs_diff(mine, theirs) for mine, theirs in zip(ours(), peer(), strict=True))

        LAST_READS.forget()  # names of another database
        yield Contest(
            ours=ours,
            peer=peer,
            peer_name="Django values_list to a DataFrame",
            difference=difference,
            tolerance=0.0,
            goal=READ_GOALS[state],
            data=SOURCE,
            note=f"{N_SYMBOLS} symbols of {YEAR} bars, from the page cache, {READ_NOTES[state]}",
        )
        LAST_READS.forget()


def _made_up(n_bars: int, *, seed: int) -> RawBars:
    """Return bars of a random walk."""
    rng = np.random.default_rng(seed)
    close = 1000.0 * np.exp(np.cumsum(0.001 * rng.standard_normal(n_bars)))
    opening = np.concatenate([[1000.0], close[:-1]])
    columns = {
        "open": opening,
        "high": np.maximum(opening, close) * 1.001,
        "low": np.minimum(opening, close) * 0.999,
        "close": close,
        "tick_volume": rng.integers(1, 10_000, n_bars).astype(np.float64),
        "spread": rng.integers(1, 100, n_bars).astype(np.float64),
    }
    return RawBars(FIRST_MS + HOUR_MS * np.arange(n_bars, dtype=np.int64), columns)


def _upsert_as_we_do(symbol: str, rows: RawBars) -> object:
    with transaction.atomic():
        return upsert(RATES, symbol, "1h", rows, replace=True)


def _upsert_as_django_does(symbol: str, rows: RawBars) -> object:
    values = zip(rows.open_ms.tolist(), *(rows[name].tolist() for name in FIELDS), strict=True)
    return Bar.objects.bulk_create(
        [
            Bar(symbol=symbol, interval="1h", open_ms=open_ms, **dict(zip(FIELDS, row, strict=True)))
            for open_ms, *row in values
        ],
        update_conflicts=True,
        unique_fields=["symbol", "interval", "open_ms"],
        update_fields=list(FIELDS),
    )


def _stored(symbol: str) -> list[list[float]]:
    rows = stored_rows(RATES, symbol, "1h", since_ms=0, until_ms=2**62)
    return [rows[name].tolist() for name in FIELDS]


def _fill(n_symbols: int) -> list[str]:
    """Store a year of the same bars under each name, and return the names."""
    names = [f"S{number:02}" for number in range(n_symbols)]
    _upsert_as_we_do(names[0], _made_up(YEAR, seed=1))
    columns = ", ".join(connection.ops.quote_name(name) for name in ("interval", "open_ms", *FIELDS))
    copy = (
        f"INSERT INTO {RATES.name} (symbol, {columns}) "  # noqa: S608  # our own names
        f"SELECT %s, {columns} FROM {RATES.name} WHERE symbol = %s"
    )
    with transaction.atomic(), connection.cursor() as cursor:
        for name in names[1:]:
            cursor.execute(copy, [name, names[0]])
    return names


def _read_as_django_does(symbol: str) -> pd.DataFrame:
    stored = Bar.objects.filter(symbol=symbol, interval="1h").order_by("-open_ms")
    rows = stored.values_list("open_ms", *RATE_COLUMNS)[:YEAR]
    frame = pd.DataFrame.from_records(list(rows), columns=["open_ms", *RATE_COLUMNS]).iloc[::-1]
    index = pd.to_datetime(frame.pop("open_ms"), unit="ms", utc=True).rename("open_at")
    return frame.set_axis(pd.DatetimeIndex(index)).astype(np.float64)
