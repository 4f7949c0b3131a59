"""Stored klines as the bars that features are made of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from market.intervals import INTERVAL_MS
from market.models import from_ms
from market.reading import last_open_ms, read_klines
from market.symbols import get_symbol
from market.tables import KLINES
from mlfilter.configuration import BAR_COLUMNS, TAKER_COLUMNS
from mlfilter.errors import FilterDataError
from ops import clock

if TYPE_CHECKING:
    import pandas as pd

    from market.models import Symbol


class StandingClock(clock.SystemClock):
    """Market time that stands at one moment; the machine's goes on."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def market_now(self) -> datetime:
        return self.moment

    def speed(self) -> float:
        return 0.0


@contextmanager
def stored_time(symbol: Symbol, interval: str) -> Iterator[None]:
    """Let the close of the newest stored kline be market time where the demo has none: its simulator never ran.

    Only closed klines are stored, so that research on them needs no market that runs. Where there is a market time,
    nothing is changed.

    Raises
    ------
    FilterDataError
        There is no market time, and no kline that would tell it.
    """
    try:
        clock.market_now()
    except clock.ClockMissingError:
        newest = last_open_ms(KLINES, symbol.binance_symbol, interval)
        if newest is None:
            raise _nothing_stored(symbol, interval) from None
        with clock.use(StandingClock(from_ms(newest) + bar_length(interval))):
            yield
    else:
        yield


def klines_symbol(name: str) -> Symbol:
    """Return the registered symbol whose klines are read under ``name``, which has a name at Binance.

    Raises
    ------
    UnknownSymbolError
    FilterDataError
        It has no klines.
    """
    symbol = get_symbol(name)
    if not symbol.binance_symbol:
        raise FilterDataError(f"{symbol.name} has no name at Binance, whose klines setups are looked for in")
    return symbol


def bar_length(interval: str) -> timedelta:
    """Return how long a bar is."""
    return timedelta(milliseconds=INTERVAL_MS[interval])


def read_bars(
    symbol: Symbol,
    interval: str,
    *,
    limit: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> pd.DataFrame:
    """Return closed klines, oldest first: prices, volume and, where every bar has it, the takers' share of that.

    Raises
    ------
    FilterDataError
        None are stored.
    """
    klines = read_klines(symbol.binance_symbol, interval, limit=limit, since=since, until=until)
    if not len(klines):
        raise _nothing_stored(symbol, interval)
    return _bar_columns(klines)


def newest_close(symbol: Symbol, interval: str, *, until: datetime | None = None) -> datetime:
    """Return when the newest stored bar closed: days are counted back from there, however old the data are.

    Raises
    ------
    FilterDataError
        None is stored.
    """
    newest: datetime = read_bars(symbol, interval, limit=1, until=until).index[-1].to_pydatetime()
    return newest + bar_length(interval)


def file_bars(path: Path, interval: str, *, days: int | None = None) -> pd.DataFrame:
    """Return the bars of a file of klines, without storing them.

    Raises
    ------
    BarFileError
        It is not there, or not known.
    FilterDataError
        It holds no klines of the interval.
    """
    import numpy as np
    import pandas as pd

    from market.files import read_bar_file

    content = read_bar_file(path)
    if content.kind != "klines" or "volume" not in content.rows.columns:
        raise FilterDataError(f"{path} holds {content.kind}; setups are looked for in klines")
    index = pd.DatetimeIndex(content.rows.open_ms.astype("datetime64[ms]"), tz="UTC", name="open_at")
    names = [name for name in (*BAR_COLUMNS, *TAKER_COLUMNS) if name in content.rows.columns]
    bars = pd.DataFrame({name: content.rows[name] for name in names}, index=index).sort_index()
    if bars.index.has_duplicates:
        raise FilterDataError(f"{path} has bars of the same time; import it, which puts them into quarantine")
    steps = np.diff(bars.index.as_unit("ms").asi8)  # type: ignore[attr-defined]
    if not len(steps) or int(np.median(steps)) != INTERVAL_MS[interval]:
        raise FilterDataError(f"{path} does not hold bars of {interval}")
    newest = bars if days is None else bars[bars.index > bars.index[-1] - timedelta(days=days)]
    return _bar_columns(newest)


def _nothing_stored(symbol: Symbol, interval: str) -> FilterDataError:
    return FilterDataError(
        f"no closed {interval} klines of {symbol.binance_symbol} are stored; bring them in with "
        f"`manage.py data_import FILE --symbol {symbol.name}`"
    )


def _bar_columns(klines: pd.DataFrame) -> pd.DataFrame:
    taker = [name for name in TAKER_COLUMNS if name in klines.columns and klines[name].notna().all()]
    return klines[[*BAR_COLUMNS, *taker]]
