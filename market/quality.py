"""Which raw rows are bars, and what is wrong with the others.

A source's rows are judged before they are stored. Rows that pass are *good*; the others keep a reason each and go
to quarantine, so that nothing is lost and nothing wrong is traded on. Some oddities of real exchanges are good:

- **short bars**, whose ``close_ms`` is early: the exchange stopped for maintenance inside the bar. Its prices were
  traded and it is final. A ``close_ms`` that is late by milliseconds occurs too (2017), so it is not judged at all;
- **zero-volume bars** during a halt: the price was simply not traded.

What no check of a single file can see: a bar that was recorded before it closed and has since been followed by
others. It is inside its own high and low, on the grid and in order. Only a second source tells, which is why an
import is compared with the bars that are already stored (``market.store``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from market.intervals import NO_TIME, require_interval
from market.raw import PRICES, Flags, Floats, Ints, RawBars

COUNTS = ("volume", "tick_volume", "real_volume", "spread", "quote_volume", "n_trades")
TAKER_PARTS = (("taker_buy_base_volume", "volume"), ("taker_buy_quote_volume", "quote_volume"))
FLOAT_SLACK = 1e-9  # relative: sums of decimal strings as floats

MAX_JUMP = 10.0  # factor; the largest hourly move of a listed coin's close in the real data is below 2
NEIGHBOURS = 4  # bars on each side that say what a price should be about
FEWEST_NEIGHBOURS = 3  # fewer say nothing

REPEATED = "repeated row"
DISAGREEING = "rows of the same time disagree"
JUMP = "price jump beyond a factor of 10"


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """What the checks made of raw rows.

    Attributes
    ----------
    good : RawBars
        Sorted, one row a time, closed.
    bad : RawBars
        The others, sorted.
    reasons : tuple of str
        One for each row of ``bad``: the first check that it failed.
    n_reordered : int
        Rows that came after a later one. Order alone makes no row bad.
    """

    good: RawBars
    bad: RawBars
    reasons: tuple[str, ...]
    n_reordered: int


class Gap(NamedTuple):
    """Bars that are missing between two that are there."""

    after_ms: int
    until_ms: int
    n_missing: int


class Rules(NamedTuple):
    """What rows are held to."""

    interval_ms: int
    now_ms: int | None


RowCheck = Callable[[RawBars, Rules], Flags]


def _not_finite(raw: RawBars, rules: Rules) -> Flags:
    required = [name for name in (*PRICES, "volume", "tick_volume") if name in raw.columns]
    others = set(raw.columns) - set(required)
    broken = [~np.isfinite(raw[name]) for name in required]
    return _any_of(raw, broken + [np.isinf(raw[name]) for name in others])


def _not_positive(raw: RawBars, rules: Rules) -> Flags:
    return _any_of(raw, [raw[name] <= 0 for name in PRICES])


def _negative(raw: RawBars, rules: Rules) -> Flags:
    names = [name for name in (*COUNTS, *(part for part, _ in TAKER_PARTS)) if name in raw.columns]
    return _any_of(raw, [raw[name] < 0 for name in names])


def _any_of(raw: RawBars, flags: Sequence[Flags]) -> Flags:
    together = np.zeros(len(raw), bool)
    for flag in flags:
        together |= flag
    return together


def _outside_range(raw: RawBars, rules: Rules) -> Flags:
    highest, lowest = np.maximum(raw["open"], raw["close"]), np.minimum(raw["open"], raw["close"])
    return (raw["high"] < highest) | (raw["low"] > lowest)


def _taker_exceeds(raw: RawBars, rules: Rules) -> Flags:
    exceeds = np.zeros(len(raw), bool)
    for part, whole in TAKER_PARTS:
        if part in raw.columns and whole in raw.columns:
            exceeds |= raw[part] > raw[whole] * (1 + FLOAT_SLACK)
    return exceeds


def _off_grid(raw: RawBars, rules: Rules) -> Flags:
    off: Flags = raw.open_ms % rules.interval_ms != 0
    return off


def _no_time(raw: RawBars, rules: Rules) -> Flags:
    unplaced: Flags = raw.open_ms == NO_TIME
    return unplaced


def _unfinished(raw: RawBars, rules: Rules) -> Flags:
    if rules.now_ms is None:
        return np.zeros(len(raw), bool)
    unfinished: Flags = raw.open_ms + rules.interval_ms > rules.now_ms
    return unfinished


# The reason that is stored, and the check. The first that a row fails names it.
ROW_CHECKS: tuple[tuple[str, RowCheck], ...] = (
    ("at a time that the server's clock never shows", _no_time),
    ("not a finite number", _not_finite),
    ("price not above 0", _not_positive),
    ("negative volume", _negative),
    ("open or close outside low..high", _outside_range),
    ("taker volume above volume", _taker_exceeds),
    ("open time not on the interval's grid", _off_grid),
    ("unfinished when it was taken", _unfinished),
)


def check_rows(raw: RawBars, *, interval: str, now_ms: int | None = None, before: Floats | None = None) -> Checked:
    """Split raw rows into good ones and ones to quarantine.

    Parameters
    ----------
    interval : str
        A key of ``market.intervals.INTERVAL_MS``; bars open at its multiples in UTC.
    now_ms : int, optional
        Bars that end later are unfinished. None asks nothing.
    before : ndarray of shape (n,), float64, optional
        Recent closes before the first row, oldest first, which a jump is measured against too.
    """
    rules = Rules(require_interval(interval), now_ms)
    order = np.argsort(raw.open_ms, kind="stable")
    rows = raw.take(order)
    verdicts = np.full(len(rows), "", dtype=object)
    for reason, check in ROW_CHECKS:
        verdicts[(verdicts == "") & check(rows, rules)] = reason
    _judge_repeats(rows, verdicts)
    _judge_jumps(rows, verdicts, np.empty(0) if before is None else before)
    bad = verdicts != ""
    return Checked(
        good=rows.take(~bad),
        bad=rows.take(bad),
        reasons=tuple(verdicts[bad]),
        n_reordered=int((np.diff(raw.open_ms) < 0).sum()),
    )


def _judge_repeats(rows: RawBars, verdicts: NDArray[np.object_]) -> None:
    """Keep one of equal rows; where rows of one time differ nobody can say which is right, so none is kept."""
    alive = np.flatnonzero(verdicts == "")
    times = rows.open_ms[alive]
    if len(times) < 2 or (np.diff(times) > 0).all():
        return
    starts = np.flatnonzero(np.diff(times, prepend=times[0] - 1))
    first = np.repeat(starts, np.diff(starts, append=len(times)))
    same = np.ones(len(times), bool)
    for values in rows.columns.values():
        value = values[alive]
        same &= (value == value[first]) | (np.isnan(value) & np.isnan(value[first]))
    agrees = np.logical_and.reduceat(same, starts)[np.searchsorted(starts, first)]
    verdicts[alive[agrees & (np.arange(len(times)) != first)]] = REPEATED
    verdicts[alive[~agrees]] = DISAGREEING


def _judge_jumps(rows: RawBars, verdicts: NDArray[np.object_], before: Floats) -> None:
    """Mark prices that are far from the median close of their neighbours.

    The window reaches to both sides, so that a lasting change of level (another unit, a redenomination) is accepted
    as soon as it has lasted for five bars, while a lone absurd bar never is.
    """
    alive = np.flatnonzero(verdicts == "")
    if not len(alive):
        return
    closes = rows["close"][alive]
    usual = _median_of_neighbours(closes, before)
    highest, lowest = rows["high"][alive], rows["low"][alive]
    verdicts[alive[(highest > usual * MAX_JUMP) | (lowest < usual / MAX_JUMP)]] = JUMP


def _median_of_neighbours(closes: Floats, before: Floats) -> Floats:
    """Return the median close of up to nine bars around each; NaN, which no comparison exceeds, where too few."""
    width = 2 * NEIGHBOURS + 1
    padding = np.full(NEIGHBOURS, np.nan)
    left = np.concatenate([padding, before])[-NEIGHBOURS:]
    windows = np.sort(sliding_window_view(np.concatenate([left, closes, padding]), width), axis=1)  # NaN last
    counts = width - np.isnan(windows).sum(axis=1)
    at = np.arange(len(closes))
    median = (windows[at, (counts - 1) // 2] + windows[at, counts // 2]) / 2
    return np.where(counts >= FEWEST_NEIGHBOURS, median, np.nan)


def find_gaps(open_ms: Ints, interval_ms: int) -> list[Gap]:
    """Return where bars are missing between sorted open times."""
    steps = np.diff(open_ms)
    at = np.flatnonzero(steps > interval_ms)
    return [Gap(int(open_ms[i]), int(open_ms[i + 1]), int(-(-steps[i] // interval_ms) - 1)) for i in at]
