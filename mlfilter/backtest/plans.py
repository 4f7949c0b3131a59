"""Bars and wishes as the arrays that the kernels read."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from market.bars import Floats, bar_arrays
from market.errors import BarsError
from mlfilter.backtest import kernels
from mlfilter.setups import STOP_RANGE, TARGET_RANGE
from strategies.kernels.jit import Integers

PRICES = ("open", "high", "low", "close")
DAY_S = 86_400
ROUNDING = 1e-9  # relative: a fraction worked out of two prices is not exactly what it was made of
PerBar = float | pd.Series | Floats  # one number, or one a bar: twice the ATR as a fraction, for instance
Wanted = pd.Series | npt.NDArray[np.int8]  # 1 long, -1 short, 0 nothing, one a bar


def price_arrays(bars: pd.DataFrame) -> tuple[kernels.Prices, pd.DatetimeIndex]:
    """Return the four prices of checked bars, and their times."""
    arrays = bar_arrays(bars, PRICES)
    return kernels.Prices(*(arrays[name] for name in PRICES)), arrays.index


def make_plan(index: pd.DatetimeIndex, direction: Wanted, stop_pct: PerBar, target_pct: PerBar) -> kernels.Plan:
    """Return what is wanted at each bar, checked.

    Raises
    ------
    BarsError
        If directions are not -1, 0 or 1, or something is not one a bar on the index of the bars.
    ValueError
        If a fraction is outside what a stop or a target may be.
    """
    signs = _per_bar(index, "direction", direction)
    if not np.isin(signs, (-1.0, 0.0, 1.0)).all():
        raise BarsError("direction must be 1 (long), -1 (short) or 0 at every bar")
    return kernels.Plan(
        sign=signs.astype(np.int8),
        stop=_fractions(index, "stop_pct", stop_pct, STOP_RANGE),
        target=_fractions(index, "target_pct", target_pct, TARGET_RANGE),
        day_before=days_before(index),
    )


def days_before(index: pd.DatetimeIndex) -> Integers:
    """Return the last bar of the day (UTC) before that of each bar, -1 on the first day."""
    days = index.as_unit("s").asi8 // DAY_S
    return np.asarray(np.searchsorted(days, days, side="left") - 1, dtype=np.int64)


def _per_bar(index: pd.DatetimeIndex, name: str, values: PerBar | Wanted) -> Floats:
    """Return values one a bar, float64."""
    if isinstance(values, pd.Series) and not values.index.equals(index):
        raise BarsError(f"{name} must be on the index of the bars")
    array = np.asarray(values, dtype=np.float64)
    if array.ndim and array.shape != (len(index),):
        raise BarsError(f"{name} must be one for each of {len(index)} bars, its shape was {array.shape}")
    return np.ascontiguousarray(np.broadcast_to(array, (len(index),)))


def _fractions(index: pd.DatetimeIndex, name: str, values: PerBar, allowed: tuple[float, float]) -> Floats:
    array = _per_bar(index, name, values)
    low, high = allowed
    wrong = (array < low * (1.0 - ROUNDING)) | (array > high * (1.0 + ROUNDING))  # NaN is neither
    if wrong.any():
        raise ValueError(f"{name} must be within {low:g}..{high:g}, was {array[wrong][0]:g}")
    return array.copy()
