"""Where the price is between the extremes of the last bars."""

from __future__ import annotations

import math
from collections.abc import Mapping

import talib

from market.bars import Floats
from mlfilter.features.base import FeatureBars, FeatureGroup, ratio

RANGE_BARS, TIGHT_BARS = 50, 20


def structure(bars: FeatureBars) -> Mapping[str, Floats]:
    """Return distances to the lowest low and the highest high in ATR, tightness, and falls and rises of the close.

    ``consolidation_20`` is the range of 20 bars over what a random walk of this ATR would have: small is tight. The
    first three are NaN where the average true range is 0. ``drawdown_50`` is 0 or negative, ``runup_50`` 0 or positive:
    fractions of the highest and the lowest close.
    """
    close, atr = bars["close"], bars.atr
    tight = bars.highest(TIGHT_BARS) - bars.lowest(TIGHT_BARS)
    return {
        "support_dist_50": ratio(close - bars.lowest(RANGE_BARS), atr),
        "resistance_dist_50": ratio(bars.highest(RANGE_BARS) - close, atr),
        "consolidation_20": ratio(tight, atr * math.sqrt(TIGHT_BARS)),
        "drawdown_50": close / talib.MAX(close, RANGE_BARS) - 1.0,
        "runup_50": close / talib.MIN(close, RANGE_BARS) - 1.0,
    }


GROUP = FeatureGroup(
    names=("support_dist_50", "resistance_dist_50", "consolidation_20", "drawdown_50", "runup_50"),
    calculate=structure,
    warm_up=RANGE_BARS - 1,
)
