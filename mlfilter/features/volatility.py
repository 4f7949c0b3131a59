"""How much the price moves, and whether it moves more than it did."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import talib

from market.bars import Floats
from mlfilter.features.base import FeatureBars, FeatureGroup, ratio

SHORT_BARS, LONG_BARS = 20, 96  # 96 bars of 15 minutes are a day


def volatility(bars: FeatureBars) -> Mapping[str, Floats]:
    """Return the average true range as a fraction of the close, and standard deviations of log returns.

    ``vol_ratio`` is the short deviation over the long one: NaN where the price has stood still for the long one.
    """
    returns = np.full(len(bars), np.nan)
    returns[1:] = np.diff(np.log(bars["close"]))
    short, long = (talib.STDDEV(returns, window) for window in (SHORT_BARS, LONG_BARS))
    return {
        "atr_pct": bars.atr / bars["close"],
        "ret_std_20": short,
        "ret_std_96": long,
        "vol_ratio": ratio(short, long),
    }


GROUP = FeatureGroup(
    names=("atr_pct", "ret_std_20", "ret_std_96", "vol_ratio"), calculate=volatility, warm_up=LONG_BARS
)
