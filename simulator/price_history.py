"""Bars and ticks as MetaTrader 5 copies them: in server time, oldest first, the current bar still forming.

Bars follow the server's clock: a day bar opens at its midnight, a four-hour bar at 0, 4, 8 .. of its hours, a week on
Sunday, a month on its first. A bar opens only at a time later than the last one's: in the hour of November that the
clock shows twice the last bar goes on until the clock is past it, and in March one hour has no bars.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simulator import constants as mt5
from simulator.readings import MAX_BARS
from simulator.server_time import DAY_MS, HOUR_MS, server_times_ms, to_server_ms, to_utc_ms, utc_times_ms
from simulator.structs import RATES_DTYPE, TICKS_DTYPE

if TYPE_CHECKING:
    from simulator.account import Account
    from simulator.market import Market

MINUTE_MS = HOUR_MS // 60
# Lengths of those that are a fixed time; names carry minutes or hours.
LENGTHS_MS = {
    value: int(name.removeprefix("TIMEFRAME_")[1:]) * (MINUTE_MS if "_M" in name else HOUR_MS)
    for name, value in vars(mt5).items()
    if name.startswith(("TIMEFRAME_M", "TIMEFRAME_H")) and name != "TIMEFRAME_MN1"
}
LENGTHS_MS |= {mt5.TIMEFRAME_D1: DAY_MS, mt5.TIMEFRAME_W1: 7 * DAY_MS, mt5.TIMEFRAME_MN1: 31 * DAY_MS}
COPIED = tuple(name for name in RATES_DTYPE.names or () if name != "time")
FIRST_SUNDAY_MS = 3 * DAY_MS  # 1970-01-04: weeks are counted from it
Ints = NDArray[np.int64]


def bar_opens_ms(timeframe: int, from_ms: int, to_ms: int) -> Ints:
    """Return the server times at which bars open, from the one that holds ``from_ms`` to beyond ``to_ms``."""
    if timeframe == mt5.TIMEFRAME_MN1:
        first, last = (np.datetime64(t, "ms").astype("datetime64[M]") for t in (from_ms, to_ms))
        months = np.arange(first, last + 2)
        return months.astype("datetime64[ms]").astype(np.int64)
    length = LENGTHS_MS[timeframe]
    origin = FIRST_SUNDAY_MS if timeframe == mt5.TIMEFRAME_W1 else 0
    first_i, last_i = (from_ms - origin) // length, (to_ms - origin) // length
    return origin + length * np.arange(first_i, last_i + 2, dtype=np.int64)


def bars_between(account: Account, symbol: str, timeframe: int, from_ms: int, to_ms: int) -> NDArray[Any]:
    """Return the bars that open at server times in ``[from_ms, to_ms]``, as they look now."""
    market, now_ms = account.market, account.now_ms
    to_ms = min(to_ms, to_server_ms(now_ms))
    from_ms = max(from_ms, _earliest_ms(market, timeframe))
    if from_ms > to_ms:
        return np.empty(0, RATES_DTYPE)
    opens = bar_opens_ms(timeframe, from_ms, to_ms)
    bars = market.rates_between(symbol, np.unique(utc_times_ms(opens)), now_ms=now_ms)
    # The bar's place on the grid: in March it may open where the clock has just jumped over that.
    server_ms = opens[np.searchsorted(opens, server_times_ms(bars["open_ms"]), side="right") - 1]
    out = np.empty(len(bars), RATES_DTYPE)
    out["time"] = server_ms // 1000
    for name in COPIED:
        out[name] = bars[name]
    return out[(server_ms >= from_ms) & (server_ms <= to_ms)][-MAX_BARS:]


def last_bars(account: Account, symbol: str, timeframe: int, count: int, until_ms: int | None = None) -> NDArray[Any]:
    """Return the last ``count`` bars that open at or before a server time, now by default; closed hours have none."""
    now_ms = to_server_ms(account.now_ms)
    until_ms = now_ms if until_ms is None else min(until_ms, now_ms)
    earliest_ms = _earliest_ms(account.market, timeframe)
    count = min(count, MAX_BARS)
    span_ms = (count + 1) * LENGTHS_MS[timeframe]
    while True:
        bars = bars_between(account, symbol, timeframe, until_ms - span_ms, until_ms)
        if len(bars) >= count or until_ms - span_ms <= earliest_ms:
            return bars[-count:]
        span_ms *= 2


def ticks_between(account: Account, symbol: str, from_ms: int, to_ms: int) -> NDArray[Any]:
    """Return the ticks at server times in ``[from_ms, to_ms]`` that have happened by now."""
    first, last = to_utc_ms(from_ms), min(to_utc_ms(to_ms), account.now_ms)
    ticks = account.market.ticks(symbol, max(first, account.market.start_ms) - 1, last)
    out = np.zeros(len(ticks), TICKS_DTYPE)
    server_ms = server_times_ms(ticks["time_ms"])
    out["time"], out["time_msc"] = server_ms // 1000, server_ms
    out["bid"], out["ask"] = ticks["bid"], ticks["ask"]
    out["flags"] = mt5.TICK_FLAG_BID | mt5.TICK_FLAG_ASK
    return out


def ticks_from(account: Account, symbol: str, from_ms: int, count: int) -> NDArray[Any]:
    """Return the first ``count`` ticks at or after a server time."""
    parts = [np.empty(0, TICKS_DTYPE)]
    found, end_ms = 0, to_server_ms(account.now_ms)
    start_ms = max(from_ms, to_server_ms(account.market.start_ms))
    while found < count and start_ms <= end_ms:
        parts.append(ticks_between(account, symbol, start_ms, start_ms + DAY_MS - 1))
        found += len(parts[-1])
        start_ms += DAY_MS
    return np.concatenate(parts)[:count]


def _earliest_ms(market: Market, timeframe: int) -> int:
    """Return a server time before which no bar of the market opens."""
    return to_server_ms(market.start_ms) - LENGTHS_MS[timeframe]
