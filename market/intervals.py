"""How long bars are. Bars of an interval open at its multiples since 1970 in UTC."""

from __future__ import annotations

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
INTERVAL_MS = {
    "1m": MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": HOUR_MS,
    "4h": 4 * HOUR_MS,
    "1d": DAY_MS,
}
NO_TIME = -1  # in place of an open time that cannot be placed in UTC


def require_interval(interval: str) -> int:
    """Return the interval's length in ms; ValueError with the known ones."""
    if interval not in INTERVAL_MS:
        raise ValueError(f"interval must be one of {', '.join(INTERVAL_MS)}, was {interval!r}")
    return INTERVAL_MS[interval]


def newest_closed_open_ms(interval: str, now_ms: int) -> int:
    """Return when the newest bar that is closed by ``now_ms`` opened, if the market traded."""
    length = require_interval(interval)
    return now_ms // length * length - length


def bars_behind(interval: str, last_open_ms: int, now_ms: int) -> int:
    """Return how many closed bars are newer than the one that opened at ``last_open_ms``, if the market traded."""
    return max(0, (newest_closed_open_ms(interval, now_ms) - last_open_ms) // INTERVAL_MS[interval])
