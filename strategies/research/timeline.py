"""Bars of one or more symbols on one axis, and what happens on each: slots, nights and funding.

Slots are the live session's (``docs/backtest.md``, Timing): a bar's open is the moment ``H:00:45``, which acts on the
bar that closed at ``H``. The early hour's slot comes before its hour: it acts five minutes before the bar of the hour
before ends, on the decision that this hour's own slot already had, and the early hour's open has no slot.

A slot acts only on the bar that closed just then, as a session skips a symbol whose newest bar is stale. Where the only
missing bar is the early hour's own (a venue's daily break) the bar before the break is the newest there is, and acts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from market.bars import BarArrays, bar_arrays
from market.feeds.server_time import offsets_s
from ops.errors import ExitCode
from strategies.errors import ParameterError
from strategies.estimators.parameters import Whole
from strategies.kernels.backtest import CARRY, EARLY, SLOT, Course, Marks
from strategies.kernels.jit import Floats, Integers
from strategies.research.errors import ResearchError

Flags = npt.NDArray[np.bool_]

HOUR = timedelta(hours=1)
DAY_S = 86_400
HOUR_S = 3_600
FUNDING_S = 8 * HOUR_S  # 00, 08 and 16 UTC
FIRST_WEEKDAY = 3  # the day 0 of Unix time was a Thursday


class BacktestError(ResearchError):
    """Bars and positions that do not fit together, or that an account cannot be run on."""

    exit_code = ExitCode.DATA


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineRules:
    """When slots act and when nights end.

    Parameters
    ----------
    interval : timedelta, default=1 hour
        Of the bars.
    early_hour : int or None, default=22
        UTC hour whose slot comes before it, as in the session's settings; None where there is no such hour.
    server_zone : str, default=""
        The broker's clock, as ``MT5_TZ``: a night ends at its midnight. Empty is New York + 7 h.
    triple_swap_weekday : int or None, default=None
        Day of the week, Monday 0, whose night counts three times, for Saturday's and Sunday's that then count none.
        None counts every night once, as the simulator does.

    Raises
    ------
    ParameterError
        For an interval, hour or weekday outside what it may be.
    """

    interval: timedelta = HOUR
    early_hour: int | None = 22
    server_zone: str = ""
    triple_swap_weekday: int | None = None

    def __post_init__(self) -> None:
        if self.interval <= timedelta(0):
            raise ParameterError(f"timeline: interval must be above 0, was {self.interval}")
        for name, last in (("early_hour", 23), ("triple_swap_weekday", 6)):
            value = getattr(self, name)
            if value is not None and (value not in Whole(0) or value > last):
                raise ParameterError(f"timeline: {name} must be None or a whole number from 0 to {last}, was {value!r}")
        if self.early_hour is not None and self.interval != HOUR:
            raise ParameterError(f"timeline: early_hour must be None for bars of {self.interval}: its slot is hourly")


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """Checked prices and events of one or more symbols; rows of all arrays are symbols, columns are bars.

    Attributes
    ----------
    index : DatetimeIndex of shape (n_bars,)
        Open times of every bar that any symbol has, UTC.
    symbols : tuple of str
    arrays : Course of arrays of shape (n_symbols, n_bars)
    present : ndarray of shape (n_symbols, n_bars), bool
        Where a symbol has a bar of its own.
    interval : timedelta
    has_funding : bool
        Whether ``arrays.funding`` holds recorded rates times prices, not prices alone.
    """

    index: pd.DatetimeIndex
    symbols: tuple[str, ...]
    arrays: Course
    present: Flags
    interval: timedelta
    has_funding: bool = False

    def __len__(self) -> int:
        return len(self.index)

    @property
    def bars_per_year(self) -> float:
        """Bars in 365 days without a gap."""
        return timedelta(days=365) / self.interval

    @property
    def most_fills(self) -> int:
        """How many slots there are: no run has more fills."""
        marks = self.arrays.marks
        return int(np.count_nonzero(marks & SLOT) + np.count_nonzero(marks & EARLY))

    def course(self, row: int) -> Course:
        """Return one symbol's arrays, of shape (n_bars,)."""
        return Course(*(array[row] for array in self.arrays))


def build_timeline(
    bars: Mapping[str, pd.DataFrame | BarArrays],
    rules: TimelineRules | None = None,
    *,
    funding: Mapping[str, pd.Series] | None = None,
    early_prices: Mapping[str, pd.Series] | None = None,
) -> Timeline:
    """Return the timeline of some symbols' bars.

    Parameters
    ----------
    bars : mapping of str to DataFrame or BarArrays
        Closed bars of each symbol, with ``open`` and ``close``; see ``market.bars.as_bars``.
    rules : TimelineRules, optional
    funding : mapping of str to Series, optional
        Recorded funding rates on the times they were due; for all symbols or for none. Without it, the assumed rate of
        ``Costs`` is due at 00, 08 and 16 UTC.
    early_prices : mapping of str to Series, optional
        Prices at early slots, on the open times of the bars they fall into; the bar's close where there is none.

    Raises
    ------
    BarsError
        If bars are not what ``as_bars`` promises.
    BacktestError
        Without symbols or bars, for bars off the interval's grid, or if funding or early prices do not fit the bars.
    """
    rules = rules or TimelineRules()
    if not bars:
        raise BacktestError("a timeline needs the bars of at least one symbol, there were none")
    checked = {name: _checked(name, frame, rules) for name, frame in bars.items()}
    if funding is not None and set(funding) != set(bars):
        raise BacktestError(f"funding must be given for every symbol ({', '.join(bars)}) or none, was for {[*funding]}")
    rows = [
        _symbol_course(own, rules, (funding or {}).get(name), (early_prices or {}).get(name))
        for name, own in checked.items()
    ]
    index = _union([own.index for own in checked.values()])
    placed = [_placed(course, own.index, index) for course, own in zip(rows, checked.values(), strict=True)]
    return Timeline(
        index=index,
        symbols=tuple(checked),
        arrays=Course(*(np.stack(parts) for parts in zip(*(course for course, _ in placed), strict=True))),
        present=np.stack([present for _, present in placed]),
        interval=rules.interval,
        has_funding=funding is not None,
    )


def _checked(name: str, bars: pd.DataFrame | BarArrays, rules: TimelineRules) -> BarArrays:
    arrays = bars if isinstance(bars, BarArrays) else bar_arrays(bars, ("open", "close"))
    if not len(arrays):
        raise BacktestError(f"{name} must have at least one bar, had 0")
    seconds, step = _seconds(arrays.index), int(rules.interval.total_seconds())
    off = seconds % step != 0
    if off.any():
        first = arrays.index[int(np.argmax(off))]
        raise BacktestError(f"bars of {name} must open on whole multiples of {rules.interval}, the first off is {first}")
    return arrays


def _symbol_course(
    bars: BarArrays, rules: TimelineRules, funding: pd.Series | None, early_prices: pd.Series | None
) -> Course:
    """Return what happens on a symbol's own bars."""
    seconds = _seconds(bars.index)
    open_, close = bars["open"], bars["close"]
    nights = _night_prices(seconds, open_, close, rules)
    due = _assumed_funding(seconds, open_, close) if funding is None else _recorded(funding, seconds, open_, close)
    marks = _slots(seconds, rules)
    marks[(nights != 0) | (due != 0)] |= CARRY
    early = close.copy()
    if early_prices is not None:
        early = _early(early_prices, bars.index, close)
    decided = np.maximum(np.arange(seconds.size, dtype=np.int32) - 1, 0)
    return Course(open_.copy(), close.copy(), early, nights, due, decided, marks)


def _slots(seconds: Integers, rules: TimelineRules) -> Marks:
    """Return which bars have a slot at their open, and which an early one before their end."""
    marks = np.zeros(seconds.size, np.uint8)
    step = int(rules.interval.total_seconds())
    since = np.diff(seconds, prepend=seconds[0])
    fresh = since == step
    if rules.early_hour is None:
        marks[fresh] = SLOT
        return marks
    hour = seconds // HOUR_S % 24
    after_break = (since == 2 * step) & (hour == (rules.early_hour + 1) % 24)
    marks[(fresh | after_break) & (hour != rules.early_hour)] = SLOT
    marks[fresh & (hour == (rules.early_hour - 1) % 24)] |= EARLY
    return marks


def _night_prices(seconds: Integers, open_: Floats, close: Floats, rules: TimelineRules) -> Floats:
    """Return, for each bar, the sum of the prices that the nights since the last bar's open are charged on.

    A night that ends at the bar's open is charged on the open, one that ended in a gap on the last close before it.
    """
    server = seconds + offsets_s(seconds, rules.server_zone)
    day = server // DAY_S
    nights = np.diff(_weight_before(day, rules.triple_swap_weekday), prepend=0.0)
    nights[0] = 0.0
    ends_now = (server % DAY_S == 0) & (np.diff(day, prepend=day[0]) > 0)
    tonight = np.where(ends_now, _weight_before(day, rules.triple_swap_weekday, -1), 0.0)
    before = np.concatenate([close[:1], close[:-1]])
    return np.asarray(tonight * open_ + (nights - tonight) * before)


def _weight_before(day: Integers, triple: int | None, last: int | None = None) -> Floats:
    """Return the weight of all nights of days before ``day``; of the one before alone with ``last`` of -1."""
    weights = np.ones(7)
    if triple is not None:
        weights[5:] = 0.0
        weights[triple] = 3.0
    weekday = (day + FIRST_WEEKDAY) % 7
    if last is not None:
        return np.asarray(weights[(weekday + last) % 7])
    whole_weeks = (day + FIRST_WEEKDAY) // 7
    return np.asarray(whole_weeks * 7.0 + np.concatenate([[0.0], np.cumsum(weights)])[weekday])


def _assumed_funding(seconds: Integers, open_: Floats, close: Floats) -> Floats:
    """Return, for each bar, the sum of the prices at the funding times since the last bar's open."""
    times = np.diff(seconds // FUNDING_S, prepend=seconds[0] // FUNDING_S).astype(np.float64)
    now = (seconds % FUNDING_S == 0) & (times > 0)
    before = np.concatenate([close[:1], close[:-1]])
    return np.asarray(now * open_ + (times - now) * before)


def _recorded(rates: pd.Series, seconds: Integers, open_: Floats, close: Floats) -> Floats:
    """Return, for each bar, the sum of rate times price over the funding times since the last bar's open."""
    if not isinstance(rates.index, pd.DatetimeIndex) or str(rates.index.tz) != "UTC":
        raise BacktestError("funding rates must be on times in UTC")
    known = rates.to_numpy(dtype=np.float64)
    if not np.isfinite(known).all():
        raise BacktestError(f"funding rates must be finite, {int((~np.isfinite(known)).sum())} were not")
    due = _seconds(rates.index) // 60 * 60  # venues stamp some milliseconds after the hour
    row = np.searchsorted(seconds, due)
    kept = (due > seconds[0]) & (row < seconds.size)
    due, row, known = due[kept], row[kept], known[kept]
    price = np.where(seconds[row] == due, open_[row], close[row - 1])
    return np.bincount(row, weights=known * price, minlength=seconds.size)


def _early(prices: pd.Series, index: pd.DatetimeIndex, close: Floats) -> Floats:
    known = prices.reindex(index).to_numpy(dtype=np.float64)
    early = np.where(np.isnan(known), close, known)
    if not ((early > 0) & np.isfinite(early)).all():
        raise BacktestError("early prices must be finite and above 0")
    return np.asarray(early)


def _union(indexes: list[pd.DatetimeIndex]) -> pd.DatetimeIndex:
    union = indexes[0]
    for index in indexes[1:]:
        if not union.equals(index):
            union = union.union(index)
    return union


def _placed(course: Course, own: pd.DatetimeIndex, index: pd.DatetimeIndex) -> tuple[Course, Flags]:
    """Put a symbol's own bars on the common axis; where it has none its last close stands, and nothing happens."""
    if len(own) == len(index):
        return course, np.ones(len(index), np.bool_)
    rows = index.get_indexer(own)
    present = np.zeros(len(index), np.bool_)
    present[rows] = True
    last = np.maximum(np.cumsum(present) - 1, 0)  # the newest own bar
    fields = {}
    for name in ("open_", "close", "early"):
        fields[name] = np.where(present, getattr(course, name)[last], course.close[last])
    for name in ("nights", "funding", "marks"):
        array = getattr(course, name)
        fields[name] = np.where(present, array[last], array.dtype.type(0))
    decided = np.where(present, rows[course.decided[last]], 0).astype(np.int32)
    return course._replace(decided=decided, **fields), present


def _seconds(index: pd.DatetimeIndex) -> Integers:
    return np.asarray(index.as_unit("s").asi8)


