"""Whether the price has a direction, and which."""

from __future__ import annotations

from collections.abc import Mapping

import talib

from market.bars import Floats
from mlfilter.features.base import FeatureBars, FeatureGroup, ratio

DI_BARS, FAST_BARS, SLOW_BARS = 14, 20, 50


def trend(bars: FeatureBars) -> Mapping[str, Floats]:
    """Return Wilder's directional indices (0..100), and how many ATR the fast average is above the slow one.

    ``ema_gap`` is NaN where the average true range is 0.
    """
    prices = bars["high"], bars["low"], bars["close"]
    fast, slow = (talib.EMA(bars["close"], window) for window in (FAST_BARS, SLOW_BARS))
    return {
        "adx_14": talib.ADX(*prices, DI_BARS),
        "plus_di_14": talib.PLUS_DI(*prices, DI_BARS),
        "minus_di_14": talib.MINUS_DI(*prices, DI_BARS),
        "ema_gap": ratio(fast - slow, bars.atr),
    }


GROUP = FeatureGroup(names=("adx_14", "plus_di_14", "minus_di_14", "ema_gap"), calculate=trend, warm_up=SLOW_BARS - 1)
