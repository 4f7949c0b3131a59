"""The simulated broker's clock: New York + 7 h, so that a trading day ends at 17:00 New York.

That is UTC+2, and UTC+3 while the United States keep summer time. The rule in force since 2007 is computed here
(from 2:00 on the second Sunday of March to 2:00 on the first Sunday of November), so that it needs no time zone
database; it is used for earlier years too. All moments are whole milliseconds: UTC ones since 1970, server ones the
server's wall clock written as if it were UTC, as MetaTrader 5 does.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from itertools import chain

import numpy as np
from numpy.typing import NDArray

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
WINTER_MS, SUMMER_MS = 2 * HOUR_MS, 3 * HOUR_MS
YEARS = range(1970, 2101)  # outside it is winter

Ints = NDArray[np.int64]


def _sunday(year: int, month: int, nth: int) -> datetime:
    """Return midnight UTC of the n-th Sunday of a month, counted from 1."""
    first = datetime(year, month, 1, tzinfo=UTC)
    return first + timedelta(days=(6 - first.weekday()) % 7 + 7 * (nth - 1))


def _year_of_switches(year: int) -> tuple[int, int]:
    """Return the UTC moments at which a year's summer time begins (2:00 EST) and ends (2:00 EDT)."""
    begins = _sunday(year, 3, 2) + timedelta(hours=7)
    ends = _sunday(year, 11, 1) + timedelta(hours=6)
    return int(begins.timestamp()) * 1000, int(ends.timestamp()) * 1000


_SWITCHES = list(chain.from_iterable(map(_year_of_switches, YEARS)))  # into summer, out of it, into it ...
# The same on the server's clock, from which on the new offset is meant: after the hour that is left out in March,
# and after the first showing of the hour that is shown twice in November.
_SERVER_SWITCHES = [t + SUMMER_MS for t in _SWITCHES]
_SWITCH_ARRAY: Ints = np.array(_SWITCHES, np.int64)
_SERVER_SWITCH_ARRAY: Ints = np.array(_SERVER_SWITCHES, np.int64)


def to_server_ms(utc_ms: int) -> int:
    """Return what the server's clock shows at a moment."""
    return utc_ms + (SUMMER_MS if bisect_right(_SWITCHES, utc_ms) % 2 else WINTER_MS)


def to_server_s(utc_ms: int) -> int:
    """Return what the server's clock shows at a moment, in whole seconds."""
    return to_server_ms(utc_ms) // 1000


def to_utc_ms(server_ms: int) -> int:
    """Return the moment at which the server's clock shows a time.

    A time that is shown twice (one hour in November) is the first of the two, one that is never shown (one hour in
    March) is the moment when the clock jumps over it, plus as much.
    """
    return server_ms - (SUMMER_MS if bisect_right(_SERVER_SWITCHES, server_ms) % 2 else WINTER_MS)


def server_times_ms(utc_ms: Ints) -> Ints:
    """Return :func:`to_server_ms` of each moment; int64 (n,) to int64 (n,)."""
    summer = np.searchsorted(_SWITCH_ARRAY, utc_ms, side="right") % 2 == 1
    return utc_ms + np.where(summer, SUMMER_MS, WINTER_MS)


def utc_times_ms(server_ms: Ints) -> Ints:
    """Return :func:`to_utc_ms` of each server time; int64 (n,) to int64 (n,)."""
    summer = np.searchsorted(_SERVER_SWITCH_ARRAY, server_ms, side="right") % 2 == 1
    return server_ms - np.where(summer, SUMMER_MS, WINTER_MS)


def next_midnight_ms(utc_ms: int) -> int:
    """Return the first moment after the given one at which the server's clock shows midnight."""
    return to_utc_ms((to_server_ms(utc_ms) // DAY_MS + 1) * DAY_MS)
