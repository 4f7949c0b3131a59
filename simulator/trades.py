"""The exchange's trades: each tick of the path is one, with its share of the minute's volume."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.hourbars import HOUR_MS
from simulator.market import Market
from simulator.path import MINUTES, TICKS

TICKS_AN_HOUR = MINUTES * TICKS
TRADE_DTYPE = np.dtype(
    [("id", "<i8"), ("time_ms", "<i8"), ("price", "<f8"), ("quantity", "<f8"), ("buyer_is_maker", "?")]
)


def trades_since(market: Market, symbol: str, *, from_ms: int, to_ms: int, limit: int) -> NDArray[Any]:
    """Return the first ``limit`` trades in ``[from_ms, to_ms]``."""
    bars = market.hour_bars(symbol)
    first, last = bars.rows_opening_in(from_ms - HOUR_MS + 1, to_ms + 1)
    found = np.empty(0, TRADE_DTYPE)
    for row in range(first, last):
        found = np.concatenate([found, _inside(_hour(market, symbol, row), from_ms, to_ms)])
        if len(found) >= limit:
            break
    return found[:limit]


def trades_until(market: Market, symbol: str, *, to_ms: int, limit: int) -> NDArray[Any]:
    """Return the last ``limit`` trades at or before a moment."""
    found = np.empty(0, TRADE_DTYPE)
    for row in range(market.hour_bars(symbol).row_at_or_before(to_ms), -1, -1):
        found = np.concatenate([_inside(_hour(market, symbol, row), 0, to_ms), found])
        if len(found) >= limit:
            break
    return found[max(0, len(found) - limit) :]


def trades_from_id(market: Market, symbol: str, *, first_id: int, to_ms: int, limit: int) -> NDArray[Any]:
    """Return the first ``limit`` trades from an id on, at or before a moment."""
    hour_ms = first_id // TICKS_AN_HOUR * HOUR_MS
    found = trades_since(market, symbol, from_ms=hour_ms, to_ms=to_ms, limit=limit + TICKS_AN_HOUR)
    return found[found["id"] >= first_id][:limit]


def _hour(market: Market, symbol: str, row: int) -> NDArray[Any]:
    """Return the trades of an hour; ids count all hours since 1970, so that they only ever grow."""
    open_ms = int(market.hour_bars(symbol).open_ms[row])
    path = market.path(symbol, open_ms)
    points = path.ticks.reshape(-1)
    out = np.empty(TICKS_AN_HOUR, TRADE_DTYPE)
    out["id"] = open_ms // HOUR_MS * TICKS_AN_HOUR + np.arange(TICKS_AN_HOUR)
    out["time_ms"] = path.tick_ms.reshape(-1)
    out["price"] = points / 10.0 ** market.symbols[symbol].digits
    out["quantity"] = np.repeat(path.flow.volume.reshape(-1) / TICKS, TICKS)
    out["buyer_is_maker"] = np.diff(points, prepend=points[:1]) < 0  # a falling price: the seller came to the buyer
    return out


def _inside(trades: NDArray[Any], from_ms: int, to_ms: int) -> NDArray[Any]:
    times = trades["time_ms"]
    return trades[times.searchsorted(from_ms) : times.searchsorted(to_ms, side="right")]
