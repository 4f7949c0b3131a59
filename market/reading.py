"""Stored bars as frames: closed ones only, by the market's clock.

They come from blocks (``market.windows``): a year of joined hours in a fraction of a millisecond when nothing is new.
Where blocks cannot be had, the rows are read past the ORM, in tens of milliseconds, with the same result bit for bit.
Frames are the caller's own: pandas copies when somebody writes to one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import connection

from market.errors import DataMissingError
from market.intervals import require_interval
from market.joining import join_windows
from market.models import Symbol
from market.symbols import get_symbol
from market.tables import KLINES, RATES, Series, Table, read_columns
from market.windows import Window, read_window
from ops.clock import market_now

if TYPE_CHECKING:
    import pandas as pd

HISTORY_BARS = 8760  # a year of hours
RATE_COLUMNS = RATES.read


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which stored bars are read: the newest ``limit`` of those that open in ``[since_ms, newest_ms]``."""

    series: Series
    limit: int | None
    since_ms: int = 0
    newest_ms: int


def read_mtbars(
    symbol: str, limit: int | None = None, until: datetime | None = None, *, interval: str = "1h"
) -> pd.DataFrame:
    """Return the broker's closed bars, oldest first.

    Parameters
    ----------
    limit : int, optional
        The newest so many; all by default.
    until : datetime, optional
        Aware; bars that end later are left out. Market time by default, which it cannot exceed.

    Returns
    -------
    DataFrame of shape (n_bars, 6), float64
        ``open high low close tick_volume spread``, indexed by UTC open time. ``spread`` in points, NaN if unknown.
    """
    series = Series(RATES, symbol, interval)
    return _read(Selection(series=series, limit=limit, newest_ms=_newest_ms(interval, until)))


def read_klines(
    binance_symbol: str,
    interval: str = "1h",
    *,
    limit: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> pd.DataFrame:
    """Return the exchange's closed bars, oldest first.

    Parameters
    ----------
    since : datetime, optional
        Aware; the earliest open time.
    limit, until
        As ``read_mtbars``.

    Returns
    -------
    DataFrame of shape (n_bars, 10), float64
        ``open high low close volume close_ms quote_volume n_trades taker_buy_base_volume taker_buy_quote_volume``,
        indexed by UTC open time; NaN where no source brought the value.
    """
    since_ms = 0 if since is None else int(since.timestamp() * 1000)
    series, newest_ms = Series(KLINES, binance_symbol, interval), _newest_ms(interval, until)
    return _read(Selection(series=series, limit=limit, since_ms=since_ms, newest_ms=newest_ms))


def joined_bars(
    symbol: str, limit: int = HISTORY_BARS, until: datetime | None = None, *, interval: str = "1h"
) -> pd.DataFrame:
    """Return the broker's closed bars with the exchange's volumes, as strategies want them.

    A bar is closed when it has ended by ``until`` and by market time, and its venue has shown a later bar or time.
    The feeds see to the second half: they store no bar before (MetaTrader's position 0, Binance's last kline).

    Returns
    -------
    DataFrame of shape (n_bars, 5 or 7), float64
        ``open high low close tick_volume`` and, for a symbol that Binance lists, ``volume taker_buy_base_vol``: NaN
        where there is no kline.

    Raises
    ------
    UnknownSymbolError
        If the symbol is not registered.
    DataMissingError
        If no closed bar is stored.
    """
    registered = get_symbol(symbol)
    series = Series(RATES, registered.name, interval)
    wanted = Selection(series=series, limit=limit, newest_ms=_newest_ms(interval, until))
    joined = _join_windows(registered, wanted)
    if joined is None:
        return _join_rows(registered, wanted)
    return joined


def last_open_ms(table: Table, symbol: str, interval: str) -> int | None:
    """Return when the newest stored bar opened; None when there is none."""
    query = f'SELECT MAX(open_ms) FROM {table.name} WHERE symbol = %s AND "interval" = %s'  # noqa: S608  # our own name
    with connection.cursor() as cursor:
        cursor.execute(query, [symbol, interval])
        newest: int | None = cursor.fetchone()[0]
    return newest


def _newest_ms(interval: str, until: datetime | None) -> int:
    """Return when the newest bar that is closed may have opened."""
    now = market_now()
    closed_by = now if until is None else min(now, until)
    return int(closed_by.timestamp() * 1000) - require_interval(interval)


def _read(wanted: Selection) -> pd.DataFrame:
    """Return the selected bars, with all columns that frames of their table have."""
    window = _window(wanted)
    if window is None:
        return _read_rows(wanted)
    return window.bars.rows(*window.bounds(wanted.since_ms, wanted.newest_ms, wanted.limit))


def _window(wanted: Selection) -> Window | None:
    return read_window(wanted.series, since_ms=wanted.since_ms, newest_ms=wanted.newest_ms, limit=wanted.limit)


def _read_rows(wanted: Selection) -> pd.DataFrame:
    import pandas as pd

    columns = wanted.series.table.read
    span = {"since_ms": wanted.since_ms, "until_ms": wanted.newest_ms}
    open_ms, values = read_columns(wanted.series, columns, **span, limit=wanted.limit)
    index = pd.DatetimeIndex(open_ms.astype("datetime64[ms]"), tz="UTC", name="open_at")
    return pd.DataFrame(values.T, index=index, columns=list(columns))


def _join_windows(registered: Symbol, wanted: Selection) -> pd.DataFrame | None:
    """Return the selected rates with volumes; None when blocks cannot be had."""
    from market.bars import as_bars

    rates = _window(wanted)
    if rates is None:
        return None
    start, end = rates.bounds(wanted.since_ms, wanted.newest_ms, wanted.limit)
    if start == end:
        raise _nothing_stored(wanted)
    klines = None
    if registered.binance_symbol:
        klines = _window(_klines_of(registered, wanted, int(rates.open_ms[start]), int(rates.open_ms[end - 1])))
        if klines is None:
            return None
    joined = join_windows(rates, klines)
    bars = joined.bars.rows(start, end)
    return bars if joined.is_fine else as_bars(bars)


def _join_rows(registered: Symbol, wanted: Selection) -> pd.DataFrame:
    """Return the selected rates with volumes, from the rows."""
    import pandas as pd

    from market.bars import join_bars

    rates = _read_rows(wanted)
    if not len(rates):
        raise _nothing_stored(wanted)
    if not registered.binance_symbol:
        return join_bars(rates, None)
    open_ms = pd.DatetimeIndex(rates.index).as_unit("ms").asi8
    return join_bars(rates, _read_rows(_klines_of(registered, wanted, int(open_ms[0]), int(open_ms[-1]))))


def _klines_of(registered: Symbol, rates: Selection, first_ms: int, last_ms: int) -> Selection:
    series = Series(KLINES, registered.binance_symbol, rates.series.interval)
    return Selection(series=series, limit=None, since_ms=first_ms, newest_ms=last_ms)


def _nothing_stored(wanted: Selection) -> DataMissingError:
    series = wanted.series
    return DataMissingError(f"no closed {series.interval} bars of {series.symbol}: run `manage.py data_update`")
