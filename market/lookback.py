"""The exchange's klines of the last days or bars: from the database, and from the exchange what it lacks.

The names are those of the feed; here the database is in between, so that a second call asks for nothing. Klines that
the exchange does not have, because it stood still or the symbol was not listed, are remembered as holes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
from loguru import logger

from market.connections import feed_config, market_now_ms
from market.feeds.binance import BinanceFeed
from market.intervals import DAY_MS, newest_closed_open_ms, require_interval
from market.models import KlineHole, RecentTrade, from_ms
from market.quality import find_gaps
from market.raw import Ints
from market.reading import read_klines
from market.updating import bring
from ops import clock

if TYPE_CHECKING:
    import pandas as pd

MOST_RANGES = 10  # more holes than this are asked for as one
SETTLED_MS = DAY_MS  # what the exchange does not have by then it will hardly have
BELIEVED_FOR = timedelta(days=7)  # then it is asked again: an answer may have been a bad one


def fetch_historical_data(
    symbol: str, interval: str, lookback_days: float, *, feed: BinanceFeed | None = None
) -> pd.DataFrame:
    """Return the closed klines of the last days, oldest first; frame as ``read_klines``.

    Bars that are not there are ``attrs["gaps"]`` of the frame, as ``market.quality.Gap``.

    Parameters
    ----------
    symbol : str
        The name at Binance.
    feed : BinanceFeed, optional
        Connected for this call by default, and only when something is missing.

    Raises
    ------
    FeedError
        When something is missing and the exchange does not give it.
    """
    return _klines_since(symbol, interval, market_now_ms() - round(lookback_days * DAY_MS), feed)


def get_recent_data(
    symbol: str, interval: str, lookback_candles: int, *, feed: BinanceFeed | None = None
) -> pd.DataFrame:
    """Return the last closed klines, at most ``lookback_candles``; otherwise as ``fetch_historical_data``."""
    newest = newest_closed_open_ms(interval, market_now_ms())
    return _klines_since(symbol, interval, newest - (lookback_candles - 1) * require_interval(interval), feed)


def update_recent_trades(symbol: str, *, feed: BinanceFeed | None = None) -> int:
    """Store the exchange's newest trades, and return how many are new."""
    with _given_or_opened(feed) as opened:
        trades = opened.recent_trades(symbol)
    if not trades:
        return 0
    rows = [RecentTrade(symbol=symbol, **trade._asdict()) for trade in trades]
    oldest = min(trade.trade_id for trade in trades)
    same_time = RecentTrade.objects.filter(symbol=symbol, trade_id__gte=oldest)  # not all that were ever stored
    before = same_time.count()
    RecentTrade.objects.bulk_create(rows, ignore_conflicts=True, batch_size=500)
    return same_time.count() - before


def _klines_since(symbol: str, interval: str, start_ms: int, feed: BinanceFeed | None) -> pd.DataFrame:
    length, since = require_interval(interval), from_ms(start_ms)
    wanted = np.arange(-(-start_ms // length) * length, _end_ms(interval), length, dtype=np.int64)
    stored = read_klines(symbol, interval, since=since)
    missing = _missing(wanted, stored, _holes(symbol, interval, wanted))
    if len(missing):
        with _given_or_opened(feed) as opened:
            for first, last in _ranges(missing, length):
                rows = opened.klines(symbol, interval, start_ms=first, end_ms=last + length)
                bring(opened, symbol, rows, interval)
        stored = read_klines(symbol, interval, since=since)
        _remember_holes(symbol, interval, np.setdiff1d(missing, _open_ms(stored)))
    gaps = find_gaps(_open_ms(stored), length)
    if gaps:
        n_missing = sum(gap.n_missing for gap in gaps)
        logger.bind(symbol=symbol, interval=interval, gaps=len(gaps), missing=n_missing).debug("klines with gaps")
    stored.attrs["gaps"] = gaps
    return stored


def _end_ms(interval: str) -> int:
    """Return when the first bar opens that is not closed by now."""
    return newest_closed_open_ms(interval, market_now_ms()) + require_interval(interval)


def _open_ms(klines: pd.DataFrame) -> Ints:
    open_ms: Ints = klines.index.as_unit("ms").asi8  # type: ignore[attr-defined]  # of times
    return open_ms


def _missing(wanted: Ints, stored: pd.DataFrame, holes: Ints) -> Ints:
    """Return the open times of klines that may be at the exchange and are not stored."""
    missing: Ints = np.setdiff1d(np.setdiff1d(wanted, _open_ms(stored)), holes)
    return missing


def _holes(symbol: str, interval: str, wanted: Ints) -> Ints:
    """Return the open times among the wanted ones for which the exchange is known to have no kline."""
    if not len(wanted):
        return wanted
    known = KlineHole.objects.filter(
        symbol=symbol,
        interval=interval,
        first_ms__lte=int(wanted[-1]),
        last_ms__gte=int(wanted[0]),
        asked_at__gt=clock.wall_now() - BELIEVED_FOR,
    )
    is_hole = np.full(len(wanted), False)
    for first, last in known.values_list("first_ms", "last_ms"):
        is_hole |= (wanted >= first) & (wanted <= last)
    holes: Ints = wanted[is_hole]
    return holes


def _remember_holes(symbol: str, interval: str, absent: Ints) -> None:
    """Keep what the exchange does not have; what is young may still come."""
    settled = absent[absent < market_now_ms() - SETTLED_MS]
    holes = [
        KlineHole(symbol=symbol, interval=interval, first_ms=first, last_ms=last)
        for first, last in _runs(settled, require_interval(interval))
    ]
    KlineHole.objects.bulk_create(
        holes,
        update_conflicts=True,
        unique_fields=["symbol", "interval", "first_ms", "last_ms"],
        update_fields=["asked_at"],
        batch_size=500,
    )


def _ranges(missing: Ints, length: int) -> list[tuple[int, int]]:
    """Return what to ask for: each run of missing klines, or all at once when they are many."""
    runs = _runs(missing, length)
    return runs if len(runs) <= MOST_RANGES else [(runs[0][0], runs[-1][1])]


def _runs(open_ms: Ints, length: int) -> list[tuple[int, int]]:
    """Return the first and the last of each run of times that are ``length`` apart."""
    if not len(open_ms):
        return []
    breaks = np.flatnonzero(np.diff(open_ms) > length)
    firsts, lasts = open_ms[[0, *(breaks + 1)]], open_ms[[*breaks, -1]]
    return list(zip(firsts.tolist(), lasts.tolist(), strict=True))


@contextmanager
def _given_or_opened(feed: BinanceFeed | None) -> Iterator[BinanceFeed]:
    if feed is not None:
        yield feed
        return
    opened = BinanceFeed.open(feed_config())
    try:
        yield opened
    finally:
        opened.close()
