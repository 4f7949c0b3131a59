"""The way a price takes inside an hour: minutes and ticks that touch the bar's open, high, low and close exactly.

A path is a function of (seed, symbol, hour) and of the hour's bar, whichever hours are built together. It starts at
the open, ends at the close, and reaches the high inside one minute and the low inside another; between these anchors
it is a random bridge folded into the bar's range. A minute starts where the one before ended. All in whole points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.flow import MinuteFlow, minute_flow
from simulator.hourbars import HOUR_MS, HourBars, Ints
from simulator.noise import uniform

MINUTE_MS = 60_000
MINUTES = 60
TICKS = 6  # a minute: open, an extreme, between, the other extreme, between, close
SLOT_MS = MINUTE_MS // TICKS
HALF_MINUTES = 2 * MINUTES
WALK = 0.07  # size of a half-minute's free step, as a part of the hour's range
WICK = 0.04  # longest wick of a minute, as a part of the hour's range
NATURAL_ORDER = 0.75  # share of rising bars that visit their low first, and of falling ones their high

# Which of the hour's random numbers is used for what (first, count).
EXTREMES, WALKS, WICKS = (0, 3), (3, HALF_MINUTES), (123, 2 * MINUTES)
BETWEEN, TIMES, FLOWS = (243, 2 * MINUTES), (363, (TICKS - 1) * MINUTES), (663, 2 * MINUTES)


@dataclass(frozen=True, eq=False, kw_only=True)
class PathBlock:
    """The minutes and ticks of ``n`` hours.

    Parameters
    ----------
    open_ms : int64 (n,)
        The hours' open times.
    open, high, low, close : int64 (n, 60)
        The minutes' bars, points.
    ticks : int64 (n, 60, 6)
        Bids, points, in path order.
    tick_ms : int64 (n, 60, 6)
        Their times, increasing; a minute's first tick is at its start.
    flow : MinuteFlow
        The minutes' volumes.
    """

    open_ms: Ints
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    ticks: Ints
    tick_ms: Ints
    flow: MinuteFlow


def build_paths(bars: HourBars, first: int, last: int, *, key: int, hold_open: bool = False) -> PathBlock:
    """Return the paths of bars ``first .. last``; with ``hold_open`` an hour's first minute stays at its open."""
    rows = slice(first, last)
    hours = bars.open_ms[rows] // HOUR_MS
    noise = uniform(key, hours, first=0, n=FLOWS[0] + FLOWS[1])
    high_minute, low_minute = _extreme_minutes(bars, rows, _part(noise, EXTREMES))
    nodes = _nodes(bars, rows, high_minute, low_minute, _part(noise, WALKS))
    if hold_open:
        nodes[:, :3] = nodes[:, :1]  # no extreme but the open itself is in this minute
    opens, middles, closes = nodes[:, 0:-1:2], nodes[:, 1::2], nodes[:, 2::2]
    span = (bars.high[rows] - bars.low[rows])[:, None]
    wicks = np.rint(_part(noise, WICKS) * span * WICK).astype(np.int64)
    if hold_open:
        wicks[:, [0, MINUTES]] = 0
    tops = np.maximum(np.maximum(opens, middles), closes) + wicks[:, :MINUTES]
    bottoms = np.minimum(np.minimum(opens, middles), closes) - wicks[:, MINUTES:]
    highs, lows = np.minimum(tops, bars.high[rows][:, None]), np.maximum(bottoms, bars.low[rows][:, None])
    return PathBlock(
        open_ms=bars.open_ms[rows],
        open=opens,
        high=highs,
        low=lows,
        close=closes,
        ticks=_ticks(opens, highs, lows, closes, _part(noise, BETWEEN)),
        tick_ms=_tick_times(bars.open_ms[rows], _part(noise, TIMES)),
        flow=minute_flow(bars, rows, (opens + highs + lows + closes) / 4.0, closes - opens, _part(noise, FLOWS)),
    )


def _part(noise: NDArray[np.float64], which: tuple[int, int]) -> NDArray[np.float64]:
    first, count = which
    return noise[:, first : first + count]


def _extreme_minutes(bars: HourBars, rows: slice, noise: NDArray[np.float64]) -> tuple[Ints, Ints]:
    """Return the minutes that hold the high and the low, which are never the same one."""
    o, h, low, c = bars.open[rows], bars.high[rows], bars.low[rows], bars.close[rows]
    early = 1 + (noise[:, 0] * (MINUTES - 3)).astype(np.int64)  # 1 .. 57
    late = early + 1 + (noise[:, 1] * (MINUTES - 2 - early)).astype(np.int64)  # early + 1 .. 58
    high_first = (noise[:, 2] < NATURAL_ORDER) == (c < o)
    high_minute, low_minute = np.where(high_first, early, late), np.where(high_first, late, early)
    # A bar that opens or closes at its extreme need not come back to it.
    high_minute = np.where(h == o, 0, np.where(h == c, MINUTES - 1, high_minute))
    low_minute = np.where(low == o, 0, np.where(low == c, MINUTES - 1, low_minute))
    return high_minute, np.where(low_minute == high_minute, MINUTES // 2, low_minute)  # equal: the bar is flat


def _nodes(bars: HourBars, rows: slice, high_minute: Ints, low_minute: Ints, noise: NDArray[np.float64]) -> Ints:
    """Return the path at every half-minute, ends included: int64 (n, 121) points."""
    o, h, low, c = (x[rows].astype(np.float64) for x in (bars.open, bars.high, bars.low, bars.close))
    span = h - low
    walk = np.zeros((len(o), HALF_MINUTES + 1))
    np.cumsum((noise - 0.5) * (2.0 * WALK) * span[:, None], axis=1, out=walk[:, 1:])
    high_first = high_minute < low_minute
    knots = np.stack([np.minimum(high_minute, low_minute), np.maximum(high_minute, low_minute)], axis=1) * 2 + 1
    anchors = np.stack([o, np.where(high_first, h, low), np.where(high_first, low, h), c], axis=1)
    places = np.concatenate([np.zeros_like(knots[:, :1]), knots, np.full_like(knots[:, :1], HALF_MINUTES)], axis=1)
    bridge = walk + _through(places, anchors - np.take_along_axis(walk, places, axis=1))
    above = np.abs(bridge - low[:, None])  # fold at the low, then at the high
    folded = low[:, None] + np.abs(span[:, None] - np.abs(span[:, None] - above))
    return np.rint(np.clip(folded, low[:, None], h[:, None])).astype(np.int64)


def _through(places: Ints, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the straight lines through four points a row, at half-minutes 0 .. 120: float64 (n, 121)."""
    t = np.arange(HALF_MINUTES + 1)
    x, y = places[:, :, None], values[:, :, None]
    slopes = (y[:, 1:] - y[:, :-1]) / (x[:, 1:] - x[:, :-1])
    lines = y[:, :-1] + slopes * (t - x[:, :-1])
    return np.asarray(np.where(t < x[:, 1], lines[:, 0], np.where(t < x[:, 2], lines[:, 1], lines[:, 2])))


def _ticks(opens: Ints, highs: Ints, lows: Ints, closes: Ints, noise: NDArray[np.float64]) -> Ints:
    """Return six bids a minute; one that rises visits its low first."""
    rising = closes >= opens
    one, other = np.where(rising, lows, highs), np.where(rising, highs, lows)
    between = one + np.rint(noise[:, :MINUTES] * (other - one)).astype(np.int64)
    ending = other + np.rint(noise[:, MINUTES:] * (closes - other)).astype(np.int64)
    return np.stack([opens, one, between, other, ending, closes], axis=2)


def _tick_times(open_ms: Ints, noise: NDArray[np.float64]) -> Ints:
    """Return the ticks' times: the first at the minute's start, the others somewhere in their own ten seconds."""
    offsets = np.zeros((len(open_ms), MINUTES, TICKS), np.int64)
    offsets[:, :, 1:] = (noise * SLOT_MS).astype(np.int64).reshape(-1, MINUTES, TICKS - 1)
    grid = np.arange(MINUTES)[:, None] * MINUTE_MS + np.arange(TICKS) * SLOT_MS
    return open_ms[:, None, None] + grid + offsets
