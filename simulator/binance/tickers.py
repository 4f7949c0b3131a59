"""The last day of a symbol in one row, as ``ticker/24hr`` tells it."""

from __future__ import annotations

from typing import Any

from simulator.market import Market

DAY_MS, BAR_S = 86_400_000, 900


def day_ticker(market: Market, name: str, now_ms: int) -> dict[str, Any]:
    """Return prices and volumes of the last 24 hours, from bars of fifteen minutes; all zero before the first."""
    spec = market.symbols[name]
    bars = market.klines(spec.binance_symbol, BAR_S, now_ms - DAY_MS, now_ms + 1, now_ms=now_ms)
    quote = market.quote(name, now_ms)
    opened = float(bars[0][1]) if bars else quote.bid
    volume, value = (sum(float(bar[i]) for bar in bars) for i in (5, 7))
    change = quote.bid - opened
    prices = {
        "priceChange": change,
        "weightedAvgPrice": value / volume if volume else 0.0,
        "prevClosePrice": opened,
        "lastPrice": quote.bid,
        "lastQty": 0.0,
        "bidPrice": quote.bid,
        "bidQty": 0.0,
        "askPrice": quote.ask,
        "askQty": 0.0,
        "openPrice": opened,
        "highPrice": max((float(bar[2]) for bar in bars), default=quote.bid),
        "lowPrice": min((float(bar[3]) for bar in bars), default=quote.bid),
        "volume": volume,
        "quoteVolume": value,
    }
    return {
        "symbol": spec.binance_symbol,
        **{key: f"{number:.8f}" for key, number in prices.items()},
        "priceChangePercent": f"{100 * change / opened:.3f}",
        "openTime": now_ms - DAY_MS,
        "closeTime": now_ms,
        "firstId": -1,
        "lastId": -1,
        "count": sum(int(bar[8]) for bar in bars),
    }
