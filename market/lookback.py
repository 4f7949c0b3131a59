"""The exchange's klines of the last days or bars: from the database, and from the exchange what it lacks.

The names are those of the feed; here the database is in between, so that a second call asks for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from market.connections import feed_config, market_now_ms
from market.feeds.binance import BinanceFeed
from market.intervals import DAY_MS, newest_closed_open_ms, require_interval
from market.models import RecentTrade, from_ms
from market.raw import Ints
from market.reading import read_klines
from market.updating import bring

if TYPE_CHECKING:
    import pandas as pd

MOST_RANGES = 10  # more holes than this are asked for as one


def fetch_historical_data(
    symbol: str, interval: str, lookback_days: float, *, feed: BinanceFeed | None = None
) -> pd.DataFrame:
    """Return the closed klines of the last days, oldest first; frame as ``read_klines``.

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
    stored = read_klines(symbol, interval, since=since)
    ranges = _missing_ranges(stored, interval, -(-start_ms // length) * length)
    if not ranges:
        return stored
    with _given_or_opened(feed) as opened:
        for first, last in ranges:
            rows = opened.klines(symbol, interval, start_ms=first, end_ms=last + length)
            bring(opened, symbol, rows, interval)
    return read_klines(symbol, interval, since=since)


def _missing_ranges(stored: pd.DataFrame, interval: str, start_ms: int) -> list[tuple[int, int]]:
    """Return the first and last open time of each run of closed klines that are not stored."""
    length = require_interval(interval)
    wanted = np.arange(start_ms, newest_closed_open_ms(interval, market_now_ms()) + 1, length, dtype=np.int64)
    missing: Ints = np.setdiff1d(wanted, stored.index.as_unit("ms").asi8)  # type: ignore[attr-defined]  # of times
    if not len(missing):
        return []
    breaks = np.flatnonzero(np.diff(missing) > length)
    if len(breaks) >= MOST_RANGES:
        return [(int(missing[0]), int(missing[-1]))]
    firsts, lasts = missing[[0, *(breaks + 1)]], missing[[*breaks, -1]]
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
