"""How far the price has gone from where it usually is."""

from __future__ import annotations

from collections.abc import Mapping

import talib

from market.bars import Floats
from mlfilter.features.base import FeatureBars, FeatureGroup, ratio, zscore

RSI_BARS, BAND_BARS, BAND_WIDTH, LONG_BARS = 14, 20, 2.0, 50


def mean_reversion(bars: FeatureBars) -> Mapping[str, Floats]:
    """Return RSI (0..100), place in and width of the Bollinger bands, and z-scores.

    The position is 0 at the lower band and 1 at the upper one; NaN where all closes of the bands are equal, as are the
    z-scores.
    """
    close = bars["close"]
    upper, middle, lower = talib.BBANDS(close, BAND_BARS, BAND_WIDTH, BAND_WIDTH)
    return {
        "rsi_14": talib.RSI(close, RSI_BARS),
        "bb_position": ratio(close - lower, upper - lower),
        "bb_width": ratio(upper - lower, middle),
        "zscore_20": zscore(close, BAND_BARS),
        "zscore_50": zscore(close, LONG_BARS),
    }


GROUP = FeatureGroup(
    names=("rsi_14", "bb_position", "bb_width", "zscore_20", "zscore_50"),
    calculate=mean_reversion,
    warm_up=LONG_BARS - 1,
)
