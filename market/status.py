"""How complete and how fresh the stored bars are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count

from market.blocks import LATEST_MS, false_blocks, read_directory
from market.connections import market_now_ms
from market.intervals import INTERVAL_MS, bars_behind
from market.models import BLOCK_MS, QuarantinedRow, Symbol, from_ms
from market.quality import check_rows, find_gaps
from market.symbols import chosen_symbols
from market.tables import TABLES, Series, stored_rows
from market.updating import DESK_INTERVAL, STALE_AFTER_BARS
from ops.clock import ClockMissingError


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesStatus:
    """One series of bars, as it is stored."""

    symbol: str  # the desk's name
    table: str  # rates or klines
    name: str  # the venue's name
    interval: str
    n_bars: int
    first_at: datetime | None
    last_at: datetime | None
    bars_behind: int | None  # missing at the end; None when there is nothing, or no market time to tell
    n_quarantined: int

    @property
    def is_empty(self) -> bool:
        return self.n_bars == 0

    @property
    def is_stale(self) -> bool:
        return self.bars_behind is not None and self.bars_behind >= STALE_AFTER_BARS


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with stored bars."""

    symbol: str
    table: str
    interval: str
    kind: str  # gap, block, stale, or what a row check found
    open_at: datetime
    detail: str


def data_status(names: Sequence[str] | None = None, *, interval: str = DESK_INTERVAL) -> list[SeriesStatus]:
    """Return the state of each series of the traded symbols, or of those named."""
    symbols = chosen_symbols(list(names or []))
    series = [
        (symbol.name, Series(TABLES[table], name, interval)) for symbol in symbols for table, name in _series(symbol)
    ]
    quarantined = _count_quarantined([each.symbol for _, each in series], interval)
    now_ms = known_now_ms()
    return [_series_status(symbol, each, quarantined.get(each.symbol, 0), now_ms) for symbol, each in series]


def check_data(names: Sequence[str] | None = None, *, interval: str = DESK_INTERVAL) -> list[Finding]:
    """Return what is wrong with the stored bars of the traded symbols, or of those named."""
    return [
        finding
        for symbol in chosen_symbols(list(names or []))
        for table, name in _series(symbol)
        for finding in _findings(symbol.name, table, name, interval)
    ]


def _series(symbol: Symbol) -> Iterator[tuple[str, str]]:
    """Yield the table and the venue's name of each series that a symbol has."""
    yield "rates", symbol.name
    if symbol.binance_symbol:
        yield "klines", symbol.binance_symbol


def _series_status(symbol: str, series: Series, n_quarantined: int, now_ms: int | None) -> SeriesStatus:
    n_bars, first, last = _extent(series)
    return SeriesStatus(
        symbol=symbol,
        table=series.table.kind,
        name=series.symbol,
        interval=series.interval,
        n_bars=n_bars,
        first_at=None if first is None else from_ms(first),
        last_at=None if last is None else from_ms(last),
        bars_behind=None if last is None or now_ms is None else bars_behind(series.interval, last, now_ms),
        n_quarantined=n_quarantined,
    )


def _extent(series: Series) -> tuple[int, int | None, int | None]:
    """Return how many bars are stored, and when the first and the last open."""
    length = BLOCK_MS[series.interval]
    directory = read_directory(series, 0, LATEST_MS // length)
    numbers = directory.reach(length, LATEST_MS // length)
    if all(number in directory.entries for number in numbers):  # the blocks have counted them
        n_bars = sum(directory.entries[number].n_bars for number in numbers)
    else:
        stored = series.table.model._default_manager
        n_bars = stored.filter(symbol=series.symbol, interval=series.interval).count()
    return n_bars, directory.first_ms, directory.last_ms


def _count_quarantined(names: Sequence[str], interval: str) -> dict[str, int]:
    kept = QuarantinedRow.objects.filter(symbol__in=names, interval=interval).order_by()
    return dict(kept.values_list("symbol").annotate(Count("id")))


def _findings(symbol: str, table: str, name: str, interval: str) -> Iterator[Finding]:
    rows = stored_rows(TABLES[table], name, interval, since_ms=0, until_ms=LATEST_MS)
    if not len(rows):
        return
    now_ms = known_now_ms()
    checked = check_rows(rows, interval=interval, now_ms=now_ms)
    for open_ms, reason in zip(checked.bad.open_ms.tolist(), checked.reasons, strict=True):
        yield Finding(symbol, table, interval, reason, from_ms(open_ms), "")
    for gap in find_gaps(rows.open_ms, INTERVAL_MS[interval]):
        yield Finding(symbol, table, interval, "gap", from_ms(gap.after_ms), f"{gap.n_missing} bars missing after it")
    for number in false_blocks(Series(TABLES[table], name, interval)):
        first_at = from_ms(number * BLOCK_MS[interval])
        yield Finding(symbol, table, interval, "block", first_at, "not what its bars are: empty market_seriesblock")
    last = int(rows.open_ms[-1])
    behind = 0 if now_ms is None else bars_behind(interval, last, now_ms)
    if behind >= STALE_AFTER_BARS:
        yield Finding(symbol, table, interval, "stale", from_ms(last), f"{behind} bars behind")


def known_now_ms() -> int | None:
    """Return market time; None where a demo has never run, whose bars can be looked at all the same."""
    try:
        return market_now_ms()
    except ClockMissingError:
        return None
