"""The broker's server clock and UTC, both ways.

MetaTrader 5 gives times as the server's wall clock written as if it were UTC. ``MT5_TZ`` says which clock that is:

- ``GMT±n``: fixed, and ``GMT+2`` means UTC+2 (the names under ``Etc/`` mean the opposite, so they are never used);
- an IANA name such as ``Europe/Athens``;
- empty: New York + 7 h, as most brokers keep it, so that a trading day ends at 17:00 New York. It is UTC+2 in winter
  and UTC+3 in summer, and changes on **US** dates: a European rule is wrong for about four weeks a year.

When a clock is put back, an hour is shown twice. Bars arrive in order, so the second showing is known by the server
time that does not increase; a time without such a neighbour is taken as the first showing. When it is put forward,
an hour is never shown. Real brokers put theirs forward some minutes late and leave a bar of those minutes in that
hour (seen in every March of a real BTCUSD history): it has no time of its own in UTC, so it is marked, not placed.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from market.errors import FeedReplyError
from market.intervals import NO_TIME

Ints = NDArray[np.int64]

FIXED = re.compile(r"^GMT([+-]\d{1,2})$")
NEW_YORK = ZoneInfo("America/New_York")
CLOSE_TO_MIDNIGHT_S = 7 * 3600  # 17:00 New York is midnight on the server
FIRST_YEAR, LAST_YEAR = 1990, 2060
DAY_S = 86_400
STEP_S = 900  # every offset in use is a whole number of quarter hours
LIVE_TICK_S = 15.0  # a tick this close to a whole offset is a live one


def server_to_utc_ms(server_s: Ints, zone: str) -> Ints:
    """Return UTC in ms of server times in seconds.

    Parameters
    ----------
    server_s : ndarray of shape (n,), int64
        In the order in which the server gave them.
    zone : str
        As ``MT5_TZ``.

    Returns
    -------
    ndarray of shape (n,), int64
        ``NO_TIME`` where the server's clock never shows the time.
    """
    changes, offsets = _offsets(zone)
    # A clock shows its old offset until it reaches the later of its two readings around the change.
    shown_from = changes[1:] + np.maximum(offsets[:-1], offsets[1:])
    utc_s = server_s - offsets[np.searchsorted(shown_from, server_s, side="right")]
    is_shown = utc_s + offsets_s(utc_s, zone) == server_s
    return np.where(is_shown, _second_showings(server_s, utc_s, zone) * 1000, NO_TIME)


def server_moment_to_utc_ms(server_s: int, zone: str, *, near_ms: int | None = None) -> int:
    """Return UTC in ms of one server time: of a tick, a deal, a position.

    A time that is shown twice is the showing closer to ``near_ms``, the first without it. A time that is never shown
    is read with the old offset: a broker that puts its clock forward some minutes late still keeps it then.
    """
    changes, offsets = _offsets(zone)
    shown_from = changes[1:] + np.maximum(offsets[:-1], offsets[1:])
    at = int(np.searchsorted(shown_from, server_s, side="right"))
    first_ms = (server_s - int(offsets[at])) * 1000
    if near_ms is None or at + 1 >= len(offsets):
        return first_ms
    second_ms = (server_s - int(offsets[at + 1])) * 1000
    is_shown_again = second_ms // 1000 >= int(changes[at + 1])
    return second_ms if is_shown_again and abs(second_ms - near_ms) < abs(first_ms - near_ms) else first_ms


def utc_to_server_s(utc_ms: Ints, zone: str) -> Ints:
    """Return what the server's clock shows, in seconds, at moments of UTC in ms."""
    return utc_ms // 1000 + offsets_s(utc_ms // 1000, zone)


def offsets_s(utc_s: Ints, zone: str) -> Ints:
    """Return the server's offset from UTC in seconds at moments of UTC in seconds."""
    changes, offsets = _offsets(zone)
    return offsets[np.searchsorted(changes[1:], utc_s, side="right")]


def measured_offset(tick_s: float, now_s: float) -> int | None:
    """Return the offset that a live tick shows, in seconds; None when the tick is too old to tell.

    An old tick lies anywhere between two whole offsets, a live one at most a few seconds below one.
    """
    apparent = tick_s - now_s
    measured = round(apparent / STEP_S) * STEP_S
    return measured if abs(apparent - measured) <= LIVE_TICK_S else None


def check_offset(tick_s: float, now_s: float, zone: str) -> None:
    """Raise when the newest tick shows another server clock than ``MT5_TZ`` says.

    Parameters
    ----------
    tick_s : float
        Server time of the newest tick of any symbol, seconds.
    now_s : float
        UTC at which it was read, seconds.

    Raises
    ------
    FeedReplyError
        If a live tick disagrees, or any tick lies in the future.
    """
    expected = int(offsets_s(np.array([now_s], np.int64), zone)[0])
    measured = measured_offset(tick_s, now_s)
    in_future = tick_s - now_s - expected > STEP_S / 2
    if in_future or measured not in (None, expected):
        raise FeedReplyError(
            f"the terminal's clock is not what MT5_TZ={zone!r} says: its newest tick shows UTC"
            f"{(tick_s - now_s) / 3600:+.2f} h, expected UTC{expected / 3600:+.2f} h; correct MT5_TZ or this clock"
        )


def zone_of(text: str) -> tzinfo:
    """Return the zone of an ``MT5_TZ``; for the empty one New York, whose clock is 7 h behind the server's.

    Raises
    ------
    ValueError
        If it is neither ``GMT±n`` nor a known name.
    """
    if not text:
        return NEW_YORK
    fixed = FIXED.match(text)
    if fixed:
        return timezone(timedelta(hours=int(fixed[1])))
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(
            f"no time zone {text!r}: use GMT+2 (UTC+2), a name like Europe/Athens, or nothing for New York + 7 h"
        ) from None


@lru_cache(maxsize=8)
def _offsets(text: str) -> tuple[Ints, Ints]:
    """Return when each offset begins (UTC seconds) and what it is (seconds); the first holds since ever."""
    zone, extra = zone_of(text), 0 if text else CLOSE_TO_MIDNIGHT_S
    day = int(datetime(FIRST_YEAR, 1, 1, tzinfo=UTC).timestamp())
    end = int(datetime(LAST_YEAR, 1, 1, tzinfo=UTC).timestamp())
    changes, offsets = [day], [_offset(zone, day)]
    while not isinstance(zone, timezone) and day < end:
        day += DAY_S
        if _offset(zone, day) != offsets[-1]:
            changes.append(_change_between(zone, day - DAY_S, day))
            offsets.append(_offset(zone, day))
    return np.array(changes, np.int64), np.array(offsets, np.int64) + extra


def _offset(zone: tzinfo, utc_s: int) -> int:
    local = datetime.fromtimestamp(utc_s, UTC).astimezone(zone)
    return round((local.replace(tzinfo=UTC) - datetime.fromtimestamp(utc_s, UTC)).total_seconds())


def _change_between(zone: tzinfo, before: int, after: int) -> int:
    """Return the first second with the later offset: changes are at least a day apart."""
    old = _offset(zone, before)
    while after - before > 1:
        middle = (before + after) // 2
        before, after = (middle, after) if _offset(zone, middle) == old else (before, middle)
    return after


def _second_showings(server_s: Ints, utc: Ints, zone: str) -> Ints:
    """Move the times that are a repeated hour's second showing to it."""
    changes, offsets = _offsets(zone)
    result = utc.copy()
    for i in np.flatnonzero(np.diff(offsets) < 0) + 1:
        back = int(offsets[i - 1] - offsets[i])
        showing = np.flatnonzero((utc >= changes[i] - back) & (utc < changes[i]))
        repeats = showing[np.flatnonzero(np.diff(server_s[showing]) <= 0) + 1]
        if len(repeats):
            result[showing[showing >= repeats[0]]] += back
    return result
