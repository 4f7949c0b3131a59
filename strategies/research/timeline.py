"""Bars of one or more symbols on one axis, with what happens on each: what a backtest runs on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from market.bars import BarArrays, bar_arrays
from strategies.kernels.backtest import CARRY, EARLY, SLOT
from strategies.kernels.course import Course
from strategies.kernels.jit import Floats
from strategies.research.events import (
    BacktestError,
    TimelineRules,
    assumed_funding,
    night_prices,
    recorded_funding,
    seconds_of,
    slot_marks,
)

__all__ = ["BacktestError", "Timeline", "TimelineRules", "build_timeline"]

Flags = npt.NDArray[np.bool_]


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
    most_fills : int
        How many slots there are: no run has more fills.
    has_funding : bool
        Whether ``arrays.funding`` holds recorded rates times prices, not prices alone.
    """

    index: pd.DatetimeIndex
    symbols: tuple[str, ...]
    arrays: Course
    present: Flags
    interval: timedelta
    most_fills: int
    has_funding: bool = False

    def __len__(self) -> int:
        return len(self.index)

    @property
    def bars_per_year(self) -> float:
        """Bars in 365 days without a gap."""
        return timedelta(days=365) / self.interval

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
    arrays = Course(*(np.stack(parts) for parts in zip(*(course for course, _ in placed), strict=True)))
    slots = np.count_nonzero(arrays.marks & SLOT) + np.count_nonzero(arrays.marks & EARLY)
    return Timeline(
        index=index,
        symbols=tuple(checked),
        arrays=arrays,
        present=np.stack([present for _, present in placed]),
        interval=rules.interval,
        most_fills=int(slots),
        has_funding=funding is not None,
    )


def _checked(name: str, bars: pd.DataFrame | BarArrays, rules: TimelineRules) -> BarArrays:
    arrays = bars if isinstance(bars, BarArrays) else bar_arrays(bars, ("open", "close"))
    if not len(arrays):
        raise BacktestError(f"{name} must have at least one bar, had 0")
    seconds, step = seconds_of(arrays.index), int(rules.interval.total_seconds())
    off = seconds % step != 0
    if off.any():
        first = arrays.index[int(np.argmax(off))]
        raise BacktestError(
            f"bars of {name} must open on whole multiples of {rules.interval}, the first off is {first}"
        )
    return arrays


def _symbol_course(
    bars: BarArrays, rules: TimelineRules, funding: pd.Series | None, early_prices: pd.Series | None
) -> Course:
    """Return what happens on a symbol's own bars."""
    seconds = seconds_of(bars.index)
    open_, close = bars["open"], bars["close"]
    nights = night_prices(seconds, open_, close, rules)
    if funding is None:
        due = assumed_funding(seconds, open_, close)
    else:
        due = recorded_funding(funding, seconds, open_, close)
    marks = slot_marks(seconds, rules)
    marks[(nights != 0) | (due != 0)] |= CARRY
    early = close if early_prices is None else _early(early_prices, bars.index, close)
    decided = np.maximum(np.arange(seconds.size, dtype=np.int32) - 1, 0)
    return Course(open_, close, early, nights, due, decided, marks)


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
