"""Which klines a request gets: a page from a start, or the last ones up to an end, over hours of a closed market."""

from __future__ import annotations

from typing import Any

from simulator.market import Market

INTERVALS_S = {"1m": 60, "3m": 180, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "2h": 7200, "4h": 14_400}
INTERVALS_S |= {"6h": 21_600, "8h": 28_800, "12h": 43_200, "1d": 86_400}
LEAST_REACH = 50  # bars looked at in one go; closed hours have none, so that a page can reach further than it is long

Kline = tuple[Any, ...]


def klines_from(
    market: Market, symbol: str, interval_s: int, start_ms: int, *, end_ms: int, limit: int, now_ms: int
) -> list[Kline]:
    """Return the first ``limit`` klines that open in ``[start_ms, end_ms]``, oldest first."""
    reach = max(limit, LEAST_REACH) * interval_s * 1000
    first, stop = max(start_ms, _first_open(market, interval_s)), min(end_ms, now_ms) + 1
    found: list[Kline] = []
    while len(found) < limit and first < stop:
        found += market.klines(symbol, interval_s, first, min(first + reach, stop), now_ms=now_ms)
        first += reach
    return found[:limit]


def klines_until(market: Market, symbol: str, interval_s: int, end_ms: int, *, limit: int, now_ms: int) -> list[Kline]:
    """Return the last ``limit`` klines that open at or before ``end_ms``, oldest first."""
    reach = max(limit, LEAST_REACH) * interval_s * 1000
    stop, start = min(end_ms, now_ms) + 1, _first_open(market, interval_s)
    found: list[Kline] = []
    while len(found) < limit and stop > start:
        found = market.klines(symbol, interval_s, max(start, stop - reach), stop, now_ms=now_ms) + found
        stop -= reach
    return found[-limit:]


def _first_open(market: Market, interval_s: int) -> int:
    step = interval_s * 1000
    return market.start_ms // step * step
