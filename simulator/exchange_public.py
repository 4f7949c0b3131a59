"""The simulated Binance's public endpoints: one function each, over the market and its clock."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.binance.tickers import day_ticker
from simulator.clock import SimClock
from simulator.exchange_errors import (
    illegal_characters,
    invalid_interval,
    invalid_symbol,
    invalid_value,
    missing,
)
from simulator.exchange_klines import INTERVALS_S, klines_from, klines_until
from simulator.exchange_routes import Query, Route
from simulator.exchange_rules import exchange_info
from simulator.hourbars import HOUR_MS
from simulator.market import Market
from simulator.noise import uniform
from simulator.trades import trades_from_id, trades_since, trades_until

SYMBOL = r"^[A-Z0-9-_.]{1,20}$"
NUMBER = r"^[0-9]{1,20}$"
DEPTH_LIMIT = 5000
DEEPEST = 1000  # levels a side that the book has
LEVEL_VALUE = 10_000.0  # quote currency, about what a level holds


class PublicApi:
    """What the endpoints need; each method is one of them and returns what is sent as JSON."""

    def __init__(self, market: Market, clock: SimClock) -> None:
        self.market = market
        self.clock = clock

    def ping(self, query: Query) -> dict[str, Any]:
        """Answer that it is there."""
        return {}

    def time(self, query: Query) -> dict[str, Any]:
        """Tell the market time."""
        return {"serverTime": self.clock.now_ms()}

    def exchange_info(self, query: Query) -> dict[str, Any]:
        """Tell the rules of all symbols, of ``symbol``, or of the JSON list ``symbols``."""
        return exchange_info(self.market, self._chosen(query), self.clock.now_ms())

    def klines(self, query: Query) -> list[tuple[Any, ...]]:
        """List klines, the forming one included: from startTime on, or the last ones up to endTime."""
        name = self.market.symbols[self._symbol(query)].binance_symbol
        interval_s = INTERVALS_S.get(_required(query, "interval"))
        if interval_s is None:
            raise invalid_interval()
        now_ms, limit = self.clock.now_ms(), _limit(query)
        start, end = _number(query, "startTime"), _number(query, "endTime")
        end = now_ms if end is None else end
        if start is None:
            return klines_until(self.market, name, interval_s, end, limit=limit, now_ms=now_ms)
        return klines_from(self.market, name, interval_s, start, end_ms=end, limit=limit, now_ms=now_ms)

    def trades(self, query: Query) -> list[dict[str, Any]]:
        """List the last trades."""
        found = trades_until(self.market, self._symbol(query), to_ms=self.clock.now_ms(), limit=_limit(query))
        return [
            {
                "id": int(one["id"]),
                "price": f"{one['price']:.8f}",
                "qty": f"{one['quantity']:.8f}",
                "quoteQty": f"{one['price'] * one['quantity']:.8f}",
                "time": int(one["time_ms"]),
                "isBuyerMaker": bool(one["buyer_is_maker"]),
                "isBestMatch": True,
            }
            for one in found
        ]

    def agg_trades(self, query: Query) -> list[dict[str, Any]]:
        """List trades from an id, from a time, or the last ones."""
        return [
            {
                "a": int(one["id"]),
                "p": f"{one['price']:.8f}",
                "q": f"{one['quantity']:.8f}",
                "f": int(one["id"]),
                "l": int(one["id"]),
                "T": int(one["time_ms"]),
                "m": bool(one["buyer_is_maker"]),
                "M": True,
            }
            for one in self._agg_trades(query)
        ]

    def ticker_price(self, query: Query) -> dict[str, str] | list[dict[str, str]]:
        """Tell the last price of one symbol or of all."""
        prices = [
            {"symbol": self.market.symbols[name].binance_symbol, "price": f"{self._last(name):.8f}"}
            for name in self._chosen(query)
        ]
        return prices[0] if query.get("symbol") else prices

    def tickers(self, query: Query) -> list[dict[str, Any]]:
        """Return the best bid and ask of the chosen symbols."""
        return [self._ticker(name) for name in self._chosen(query)]

    def book_ticker(self, query: Query) -> dict[str, Any] | list[dict[str, Any]]:
        """Tell the best bid and ask of one symbol or of all."""
        told = self.tickers(query)
        return told[0] if query.get("symbol") else told

    def day_ticker(self, query: Query) -> dict[str, Any] | list[dict[str, Any]]:
        """Tell the last 24 hours of one symbol or of all."""
        now_ms = self.clock.now_ms()
        told = [day_ticker(self.market, name, now_ms) for name in self._chosen(query)]
        return told[0] if query.get("symbol") else told

    def depth(self, query: Query) -> dict[str, Any]:
        """List an order book around the last quote: a level a point away from the next, of random sizes."""
        name, now_ms = self._symbol(query), self.clock.now_ms()
        levels = min(_limit(query, default=100, largest=DEPTH_LIMIT), DEEPEST)
        spec, bid = self.market.symbols[name], self._last(name)
        ask = bid + spec.spread_points * spec.point
        noise = uniform(now_ms, np.array([now_ms // HOUR_MS]), first=0, n=2 * levels)[0]
        sizes = (0.1 + noise) * LEVEL_VALUE / bid
        bids = [[f"{bid - i * spec.point:.8f}", f"{sizes[i]:.8f}"] for i in range(levels) if bid > i * spec.point]
        asks = [[f"{ask + i * spec.point:.8f}", f"{sizes[levels + i]:.8f}"] for i in range(levels)]
        return {"lastUpdateId": now_ms, "bids": bids, "asks": asks}

    def _ticker(self, name: str) -> dict[str, Any]:
        spec, bid = self.market.symbols[name], self._last(name)
        ask, size = bid + spec.spread_points * spec.point, LEVEL_VALUE / bid
        return {
            "symbol": spec.binance_symbol,
            "bidPrice": f"{bid:.8f}",
            "bidQty": f"{size:.8f}",
            "askPrice": f"{ask:.8f}",
            "askQty": f"{size:.8f}",
        }

    def _agg_trades(self, query: Query) -> NDArray[Any]:
        name, now_ms, limit = self._symbol(query), self.clock.now_ms(), _limit(query)
        first_id, start, end = (_number(query, key) for key in ("fromId", "startTime", "endTime"))
        to_ms = now_ms if end is None else min(end, now_ms)
        if first_id is not None:
            return trades_from_id(self.market, name, first_id=first_id, to_ms=to_ms, limit=limit)
        if start is not None:
            return trades_since(self.market, name, from_ms=start, to_ms=to_ms, limit=limit)
        return trades_until(self.market, name, to_ms=to_ms, limit=limit)

    def _last(self, name: str) -> float:
        now_ms = self.clock.now_ms()
        if now_ms < self.market.hour_bars(name).start_ms:
            raise invalid_symbol()  # not listed yet
        return self.market.quote(name, now_ms).bid

    def _symbol(self, query: Query) -> str:
        return self._name_of(_required(query, "symbol"))

    def _name_of(self, text: str) -> str:
        if not re.match(SYMBOL, text):
            raise illegal_characters("symbol", SYMBOL)
        try:
            return self.market.name_of(text)
        except KeyError:
            raise invalid_symbol() from None

    def _chosen(self, query: Query) -> list[str]:
        if query.get("symbol"):
            return [self._symbol(query)]
        if not query.get("symbols"):
            return list(self.market.symbols)
        try:
            names = json.loads(query["symbols"])
        except ValueError:
            names = None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise illegal_characters("symbols", r"^\[(\"[A-Z0-9-_.]{1,20}\"(,\"[A-Z0-9-_.]{1,20}\"){0,}){0,1}\]$")
        return [self._name_of(name) for name in names]


def _required(query: Query, name: str) -> str:
    text = query.get(name, "")
    if not text:
        raise missing(name)
    return text


def _number(query: Query, name: str) -> int | None:
    text = query.get(name)
    if text is None:
        return None
    if not re.match(NUMBER, text):
        raise illegal_characters(name, NUMBER)
    return int(text)


def _limit(query: Query, *, default: int = 500, largest: int = 1000) -> int:
    limit = _number(query, "limit")
    if limit == 0:
        raise invalid_value("limit")
    return default if limit is None else min(limit, largest)


def _depth_weight(query: Query) -> int:
    limit = int(query["limit"]) if query.get("limit", "").isdecimal() else 100
    return next(weight for most, weight in ((100, 5), (500, 25), (1000, 50), (10**20, 250)) if limit <= most)


def public_routes(api: PublicApi) -> dict[tuple[str, str], Route]:
    """Return the public part of the handler table, with Binance's weights."""
    return {
        ("GET", "/api/v3/ping"): Route(api.ping, 1),
        ("GET", "/api/v3/time"): Route(api.time, 1),
        ("GET", "/api/v3/exchangeInfo"): Route(api.exchange_info, 20),
        ("GET", "/api/v3/klines"): Route(api.klines, 2),
        ("GET", "/api/v3/trades"): Route(api.trades, 25),
        ("GET", "/api/v3/aggTrades"): Route(api.agg_trades, 4),
        ("GET", "/api/v3/ticker/price"): Route(api.ticker_price, lambda query: 2 if query.get("symbol") else 4),
        ("GET", "/api/v3/ticker/bookTicker"): Route(api.book_ticker, lambda query: 2 if query.get("symbol") else 4),
        ("GET", "/api/v3/ticker/24hr"): Route(api.day_ticker, lambda query: 2 if query.get("symbol") else 80),
        ("GET", "/api/v3/depth"): Route(api.depth, _depth_weight),
    }
