"""What the simulated world says beside prices: funding of perpetual futures, and a fear & greed index.

Pure functions of the market and the time, made from what prices did before it, so that a restart or a jump in time
changes nothing that was said, and nothing knows what comes. Rates follow Binance's rule: the interest of 0.01 % unless
the future's premium is far from it.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from simulator.clock import SimClock
from simulator.exchange_errors import illegal_characters, invalid_symbol, missing
from simulator.exchange_routes import Query, Route
from simulator.hourbars import HOUR_MS
from simulator.market import Market
from simulator.noise import symbol_key, uniform

FUNDING_MS = 8 * HOUR_MS
DAY_MS = 24 * HOUR_MS
INTEREST = 0.0001
DAMPER = 0.0005  # how far the interest pulls a premium
RATE_CAP = 0.003
PREMIUM_OF_RETURN = 0.02  # of the last day's log return
PREMIUM_NOISE = 0.0006
LATEST_STAMP_MS = 6  # a settlement is stamped a little after the hour
MOODS = ((25, "Extreme Fear"), (46, "Fear"), (54, "Neutral"), (75, "Greed"), (100, "Extreme Greed"))
NUMBER = r"^[0-9]{1,20}$"


def premium(market: Market, symbol: str, t_ms: int) -> float:
    """Return how far the future is above the spot price, as a fraction, in the hour of the moment."""
    noise = uniform(_key(market, symbol), np.array([t_ms // HOUR_MS]), first=0, n=1)[0, 0]
    return float(PREMIUM_OF_RETURN * _log_return(market, symbol, t_ms, DAY_MS) + PREMIUM_NOISE * (noise - 0.5))


def funding_rate(market: Market, symbol: str, t_ms: int) -> float:
    """Return what longs pay to shorts at the settlement of a moment, as a fraction, to eight decimals."""
    ahead = premium(market, symbol, t_ms)
    rate = ahead + float(np.clip(INTEREST - ahead, -DAMPER, DAMPER))
    return round(float(np.clip(rate, -RATE_CAP, RATE_CAP)), 8)


def mark_price(market: Market, symbol: str, t_ms: int) -> float:
    """Return the future's fair price, in quote currency."""
    return _spot(market, symbol, t_ms) * (1 + premium(market, symbol, t_ms))


def fear_greed(market: Market, day_ms: int) -> int:
    """Return the index of the day that begins at the moment, 1 to 99, from what the first symbol did before it."""
    symbol = next(iter(market.symbols))
    noise = uniform(_key(market, "fear & greed"), np.array([day_ms // HOUR_MS]), first=0, n=1)[0, 0]
    month, week = (_log_return(market, symbol, day_ms, days * DAY_MS) for days in (30, 7))
    mood = 50 + 28 * np.tanh(month / 0.20) + 14 * np.tanh(week / 0.10) + 10 * (noise - 0.5)
    return int(np.clip(round(mood), 1, 99))


class OutsideApi:
    """What the endpoints need; each method is one of them and returns what is sent as JSON."""

    def __init__(self, market: Market, clock: SimClock) -> None:
        self.market = market
        self.clock = clock

    def funding_rates(self, query: Query) -> list[dict[str, Any]]:
        """List settlements, oldest first: from startTime on, or the last ones up to endTime."""
        symbol = self._symbol(query)
        limit = min(_number(query, "limit", 100), 1000)
        start, end = self._settled(symbol, query)
        if "startTime" in query:
            end = min(end, start + (limit - 1) * FUNDING_MS)
        else:
            start = max(start, end - (limit - 1) * FUNDING_MS)
        return [self._settlement(symbol, at_ms) for at_ms in range(start, end + 1, FUNDING_MS)]

    def premium_index(self, query: Query) -> dict[str, Any]:
        """Tell the mark price, and the rate that would be settled now."""
        symbol, now_ms = self._symbol(query), self.clock.now_ms()
        spot, mark = _spot(self.market, symbol, now_ms), mark_price(self.market, symbol, now_ms)
        return {
            "symbol": self.market.symbols[symbol].binance_symbol,
            "markPrice": f"{mark:.8f}",
            "indexPrice": f"{spot:.8f}",
            "estimatedSettlePrice": f"{spot:.8f}",
            "lastFundingRate": f"{funding_rate(self.market, symbol, now_ms):.8f}",
            "nextFundingTime": (now_ms // FUNDING_MS + 1) * FUNDING_MS,
            "interestRate": f"{INTEREST:.8f}",
            "time": now_ms,
        }

    def fear_greed(self, query: Query) -> dict[str, Any]:
        """List the index's days, newest first: ``limit`` of them (1), all for 0."""
        now_ms = self.clock.now_ms()
        today, first = now_ms // DAY_MS * DAY_MS, -(-self.market.start_ms // DAY_MS) * DAY_MS
        n_days = (today - first) // DAY_MS + 1
        limit = _number(query, "limit", 1)
        days = [self._day(today - i * DAY_MS) for i in range(min(limit or n_days, n_days))]
        if days:
            days[0]["time_until_update"] = str((today + DAY_MS - now_ms) // 1000)
        return {"name": "Fear and Greed Index", "data": days, "metadata": {"error": None}}

    def _settled(self, symbol: str, query: Query) -> tuple[int, int]:
        """Return the first and the last settlement that a request may see; the last is earlier when it sees none."""
        now_ms, listed = self.clock.now_ms(), self.market.hour_bars(symbol).start_ms + DAY_MS
        start = max(_number(query, "startTime", 0), listed)
        end = min(_number(query, "endTime", now_ms), now_ms)
        first = -(-start // FUNDING_MS) * FUNDING_MS
        if self._stamp(symbol, first - FUNDING_MS) >= start:
            first -= FUNDING_MS
        last = end // FUNDING_MS * FUNDING_MS
        return first, last if self._stamp(symbol, last) <= end else last - FUNDING_MS

    def _settlement(self, symbol: str, at_ms: int) -> dict[str, Any]:
        price = _closed_at(self.market, symbol, at_ms) * (1 + premium(self.market, symbol, at_ms))
        return {
            "symbol": self.market.symbols[symbol].binance_symbol,
            "fundingTime": self._stamp(symbol, at_ms),
            "fundingRate": f"{funding_rate(self.market, symbol, at_ms):.8f}",
            "markPrice": f"{price:.8f}",
        }

    def _stamp(self, symbol: str, at_ms: int) -> int:
        late = uniform(_key(self.market, symbol), np.array([at_ms // HOUR_MS]), first=1, n=1)[0, 0]
        return at_ms + int(late * LATEST_STAMP_MS)

    def _day(self, day_ms: int) -> dict[str, str]:
        value = fear_greed(self.market, day_ms)
        mood = next(name for most, name in MOODS if value <= most)
        return {"value": str(value), "value_classification": mood, "timestamp": str(day_ms // 1000)}

    def _symbol(self, query: Query) -> str:
        name = query.get("symbol", "")
        if not name:
            raise missing("symbol")
        try:
            symbol = self.market.name_of(name)
        except KeyError:
            raise invalid_symbol() from None
        if self.clock.now_ms() < self.market.hour_bars(symbol).start_ms:
            raise invalid_symbol()  # not listed yet
        return symbol


def outside_routes(api: OutsideApi) -> dict[tuple[str, str], Route]:
    """Return what the world says beside prices, as a part of the handler table."""
    return {
        ("GET", "/fapi/v1/fundingRate"): Route(api.funding_rates, 1),
        ("GET", "/fapi/v1/premiumIndex"): Route(api.premium_index, 1),
        ("GET", "/fng/"): Route(api.fear_greed, 1),
    }


def _log_return(market: Market, symbol: str, t_ms: int, span_ms: int) -> float:
    earlier = max(t_ms - span_ms, market.hour_bars(symbol).start_ms + HOUR_MS)
    return float(np.log(_closed_at(market, symbol, t_ms) / _closed_at(market, symbol, earlier)))


def _closed_at(market: Market, symbol: str, t_ms: int) -> float:
    """Return the close of the last hour that had ended by the moment; the first hour's open before that."""
    bars = market.hour_bars(symbol)
    row = bars.row_at_or_before(t_ms - HOUR_MS)
    return float((bars.close[row] if row >= 0 else bars.open[0]) / 10.0**bars.digits)


def _spot(market: Market, symbol: str, t_ms: int) -> float:
    quote = market.quote(symbol, t_ms)
    return (quote.bid + quote.ask) / 2


def _key(market: Market, name: str) -> int:
    return symbol_key(market.seed, f"outside {name}")  # apart from the streams that make the paths


def _number(query: Query, name: str, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not re.match(NUMBER, text):
        raise illegal_characters(name, NUMBER)
    return int(text)
