"""Bars in, features out: all bars of a backtest at once, or the last ones of a live bot."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from market.bars import KLINE_NAMES, BarArrays, Flags, bar_arrays
from market.errors import BarsError
from market.intervals import require_interval
from mlfilter.features.base import FeatureBars, FeatureGroup
from mlfilter.features.higher import HIGHER, higher_bars

INPUT_COLUMNS = ("open", "high", "low", "close", "volume")
OUTSIDE_COLUMNS = ("funding_rate", "book_imbalance", "fear_greed")
TAKER_COLUMN = "taker_buy_base_vol"

# How many bars of its own interval a feature needs until it no longer shows where the bars began: the averages of
# Wilder and the exponential ones never quite forget. EMA50 forgets slowest of the bars' own, RSI14 of the higher ones.
WARMUP_BARS = 500
HIGHER_WARMUP_BARS = 250


def warmup_bars(interval: str) -> int:
    """Return how many closed bars a live bot reads, so that its last row is that of a whole history.

    The higher bars are made of these: 4,000 bars of 15 minutes for 250 of 4 hours.
    """
    own = require_interval(interval)
    return max(WARMUP_BARS, *(HIGHER_WARMUP_BARS * require_interval(longer) // own for longer in HIGHER))


def calculate(
    groups: Mapping[str, FeatureGroup],
    bars: pd.DataFrame,
    *,
    higher: Mapping[str, pd.DataFrame] | None = None,
    outside: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return the features of all groups that the columns allow; see ``features.calculate_features``."""
    arrays = _checked(bars, outside)
    inputs = FeatureBars(arrays, higher_bars(arrays, higher or {}))
    columns: dict[str, object] = {}
    for group in present(groups, arrays.columns):
        columns.update(group.calculate(inputs))
    names = feature_names(groups, arrays.columns)
    return pd.DataFrame({name: columns[name] for name in names}, index=arrays.index, dtype=np.float64)


def feature_names(groups: Mapping[str, FeatureGroup], columns: Collection[str] | None) -> list[str]:
    """Return the features that the groups make of these columns, in their order."""
    fed = {KLINE_NAMES.get(name, name) for name in (() if columns is None else columns)}
    return [name for group in present(groups, fed) for name in group.names]


def present(groups: Mapping[str, FeatureGroup], columns: Collection[str]) -> list[FeatureGroup]:
    """Return the groups whose columns are there."""
    return [group for group in groups.values() if set(group.needs) <= set(columns)]


def _checked(bars: pd.DataFrame, outside: pd.DataFrame | None) -> BarArrays:
    """Return all columns that features read, checked, on the index of the bars."""
    frame = bars.rename(columns=KLINE_NAMES) if isinstance(bars, pd.DataFrame) else bars
    taker = [TAKER_COLUMN] if TAKER_COLUMN in getattr(frame, "columns", ()) else []
    arrays = bar_arrays(frame, [*INPUT_COLUMNS, *taker])
    _require_volume(arrays)
    if outside is not None:
        arrays.columns.update(_outside(arrays.index, outside))
    return arrays


def _require_volume(arrays: BarArrays) -> None:
    """Raise where a bar does not say its volume: running sums would not say anything any more after it."""
    missing = np.isnan(arrays["volume"])
    if missing.any():
        at = arrays.index[int(np.argmax(missing))]
        raise BarsError(
            f"column volume must be finite and at least 0: {int(missing.sum())} of {len(arrays)} bars had none, "
            f"first {at}"
        )


def _outside(index: pd.DatetimeIndex, outside: pd.DataFrame) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    unknown = [str(name) for name in outside.columns if name not in OUTSIDE_COLUMNS]
    if unknown:
        raise BarsError(f"outside columns may be {', '.join(OUTSIDE_COLUMNS)}, was {', '.join(unknown)}")
    if not outside.index.equals(index):
        raise BarsError("the index of outside columns must be that of the bars: what was known at each bar's close")
    found = {str(name): outside[name].to_numpy(dtype=np.float64) for name in outside.columns}
    for name, values in found.items():
        _require_finite(name, np.isinf(values))
    return found


def _require_finite(name: str, infinite: Flags) -> None:
    if infinite.any():
        raise BarsError(f"outside column {name} must be finite, or NaN while unknown: {int(infinite.sum())} were not")
