"""What the longer intervals say, from their closed bars only.

A bar that opens at ``T`` and lasts ``d`` sees the higher bars that are closed at ``T + d``: at the close of the
15-minute bar of 10:45 the hour of 10:00 is closed, at that of 10:30 it is not, and 09:00 is the newest.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import talib

from market.bars import BarArrays, Floats, Ints, bar_arrays
from market.errors import BarsError
from market.intervals import require_interval
from mlfilter.features.base import FeatureBars, FeatureGroup, HigherBars, zscore

HIGHER = ("1h", "4h")
RSI_BARS, ZSCORE_BARS = 14, 20
ONE_BAR = 2  # times are needed to tell how long bars are


def higher_features(bars: FeatureBars) -> Mapping[str, Floats]:
    """Return RSI (0..100) and z-score of each longer interval, as known at the bar's close."""
    columns: dict[str, Floats] = {}
    for interval, longer in bars.higher.items():
        columns[f"rsi_14_{interval}"] = longer.at_bars(talib.RSI(longer.close, RSI_BARS))
        columns[f"zscore_20_{interval}"] = longer.at_bars(zscore(longer.close, ZSCORE_BARS))
    return columns


def higher_bars(bars: BarArrays, fed: Mapping[str, pd.DataFrame]) -> dict[str, HigherBars]:
    """Return the closed bars of each longer interval: those that were fed, or made of the bars themselves.

    Raises
    ------
    BarsError
        If an interval is not one of ``HIGHER``, or the bars are longer than one that was not fed.
    """
    unknown = sorted(set(fed) - set(HIGHER))
    if unknown:
        raise BarsError(f"higher bars may be of {', '.join(HIGHER)}, was {', '.join(unknown)}")
    opened, length = milliseconds(bars.index), bar_length(bars.index)
    found = {}
    for interval in HIGHER:
        whole = require_interval(interval)
        if interval in fed:
            arrays = bar_arrays(fed[interval], ("close",))
            starts, close = milliseconds(arrays.index), arrays["close"]
        else:
            starts, close = aggregated(opened, bars["close"], length, interval)
        newest = np.searchsorted(starts + whole, opened + length, side="right") - 1
        found[interval] = HigherBars(close, newest.astype(np.int64))
    return found


def aggregated(opened: Ints, close: Floats, length: int, interval: str) -> tuple[Ints, Floats]:
    """Return open times and closes of the longer bars that the bars make up.

    The last of them may be unfinished, which ``higher_bars`` sees by its time. The first is left out where the bars
    begin inside of it.
    """
    whole = require_interval(interval)
    if length > whole:
        raise BarsError(f"bars of {length / 60_000:g} minutes do not add up to {interval}: feed bars of {interval}")
    starts = opened // whole * whole
    last = np.flatnonzero(np.diff(starts, append=np.iinfo(np.int64).max))
    skipped = int(len(opened) > 0 and opened[0] != starts[0])
    return starts[last][skipped:], close[last][skipped:]


def bar_length(index: pd.DatetimeIndex) -> int:
    """Return how long bars are in ms, as most of them are: gaps and odd bars do not count. 0 for less than two."""
    if len(index) < ONE_BAR:
        return 0
    return int(np.median(np.diff(milliseconds(index))))


def milliseconds(index: pd.DatetimeIndex) -> Ints:
    """Return times as ms since 1970."""
    return index.as_unit("ms").asi8


GROUP = FeatureGroup(
    names=tuple(f"{name}_{interval}" for interval in HIGHER for name in ("rsi_14", "zscore_20")),
    calculate=higher_features,
    warm_up=ZSCORE_BARS - 1,
)
