"""Closed klines and recent trades of Binance's spot market, from its public REST interface."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar, Self

from market.errors import FeedReplyError
from market.feeds.addresses import address, open_client
from market.feeds.base import FeedConfig, Kind
from market.feeds.binance_replies import (
    KLINE_COLUMNS,
    ExchangeSymbol,
    Trade,
    parse_klines,
    parse_symbols,
    parse_time,
    parse_trades,
    parse_weight_limit,
)
from market.feeds.rest import RestClient
from market.intervals import DAY_MS, INTERVAL_MS, require_interval
from market.raw import RawBars, joined, no_rows

PUBLIC_BASE = "https://api.binance.com"
KLINES_A_PAGE = 1_000  # the most that Binance gives
TRADES_A_PAGE = 1_000


class BinanceFeed:
    """The exchange's klines.

    Parameters
    ----------
    client : RestClient
    now_ms : callable
        Market time, UTC in ms: no kline that ends later is closed.
    """

    name: ClassVar[str] = "binance"
    kind: ClassVar[Kind] = "klines"

    def __init__(self, client: RestClient, now_ms: Callable[[], int]) -> None:
        self.client = client
        self.now_ms = now_ms
        self._server_ms = 0  # the exchange's time when it was asked last

    @classmethod
    def open(cls, config: FeedConfig) -> Self:
        base = config.binance_base or address(config, PUBLIC_BASE)
        return cls(open_client(base, config.run_dir, "binance"), config.now_ms)

    def closed_bars(self, symbol: str, interval: str, *, since_ms: int) -> RawBars:
        """Return the klines that opened at ``since_ms`` or later and are closed, oldest first."""
        return self.klines(symbol, interval, start_ms=since_ms)

    def fetch_historical_data(self, symbol: str, interval: str, lookback_days: float) -> RawBars:
        """Return the closed klines of the last days."""
        return self.klines(symbol, interval, start_ms=self.now_ms() - round(lookback_days * DAY_MS))

    def get_recent_data(self, symbol: str, interval: str, lookback_candles: int) -> RawBars:
        """Return the last closed klines, at most ``lookback_candles``."""
        length = require_interval(interval)
        start = self.now_ms() // length * length - lookback_candles * length
        return self.klines(symbol, interval, start_ms=start)

    def klines(self, symbol: str, interval: str, *, start_ms: int, end_ms: int | None = None) -> RawBars:
        """Return the closed klines that open in ``[start_ms, end_ms)``, oldest first.

        The exchange's time is asked before its klines: one that closed in between may have been read unfinished.

        Raises
        ------
        FeedError
            As ``RestClient.get``; FeedReplyError also when the reply is not what Binance documents.
        """
        length = require_interval(interval)
        now = self._closed_by(length)
        last = now if end_ms is None else min(now, end_ms - 1)
        pages = list(self._pages(symbol, interval, start_ms, last))
        if not pages:
            return no_rows(KLINE_COLUMNS)
        rows = joined(pages)
        return rows.take((rows["close_ms"] < now) & (rows.open_ms + length <= now))

    def server_ms(self) -> int:
        """Return the exchange's time in ms."""
        self._server_ms = parse_time(self.client.get("/api/v3/time"))
        return self._server_ms

    def exchange_info(self, *symbols: str) -> dict[str, ExchangeSymbol]:
        """Return the listed symbols by name, all without an argument, and learn the limit of weight."""
        quoted = ",".join(f'"{name}"' for name in symbols)
        reply = self.client.get("/api/v3/exchangeInfo", {"symbols": f"[{quoted}]"} if symbols else {})
        self.client.weight_limit = parse_weight_limit(reply) or self.client.weight_limit
        return parse_symbols(reply)

    def recent_trades(self, symbol: str, limit: int = TRADES_A_PAGE) -> list[Trade]:
        """Return the newest trades, oldest first."""
        return parse_trades(self.client.get("/api/v3/trades", {"symbol": symbol, "limit": limit}))

    def close(self) -> None:
        self.client.close()

    def _closed_by(self, length: int) -> int:
        """Return the earlier of the exchange's time and ours: bars that end by then are closed at both.

        The exchange was asked before for another symbol, as a rule. When it had reached our newest full bar then, it
        has now, and asking again would close no other bar.
        """
        ours = self.now_ms()
        if self._server_ms < ours // length * length:
            self.server_ms()
        return min(self._server_ms, ours)

    def _pages(self, symbol: str, interval: str, start_ms: int, last_ms: int) -> Iterator[RawBars]:
        while start_ms <= last_ms:
            query = {"symbol": symbol, "interval": interval, "limit": KLINES_A_PAGE}
            page = parse_klines(self.client.get("/api/v3/klines", query | {"startTime": start_ms, "endTime": last_ms}))
            if not len(page):
                return
            if int(page.open_ms.min()) < start_ms or int(page.open_ms.max()) > last_ms:
                raise FeedReplyError(f"klines of {symbol} were asked for in {start_ms}..{last_ms}, others came")
            yield page
            newest = int(page.open_ms.max())
            if newest + INTERVAL_MS[interval] > last_ms:
                return  # the next one opens later, on the grid or not
            start_ms = newest + 1
