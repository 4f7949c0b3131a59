"""Whether more is traded than usual, and on which side."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import talib
from numpy.lib.stride_tricks import sliding_window_view

from market.bars import Floats
from mlfilter.features.base import FeatureBars, FeatureGroup, ratio

VOLUME_BARS, FLOW_BARS = 20, 14


def volume(bars: FeatureBars) -> Mapping[str, Floats]:
    """Return volume over its mean, and the money flow index (0..100; TA-Lib's is 0 below a flow of 1).

    ``rel_volume_20`` is NaN where nothing was traded at all.
    """
    traded = bars["volume"]
    return {
        "rel_volume_20": ratio(traded, window_sums(traded, VOLUME_BARS) / VOLUME_BARS),
        "mfi_14": talib.MFI(bars["high"], bars["low"], bars["close"], traded, FLOW_BARS),
    }


def taker(bars: FeatureBars) -> Mapping[str, Floats]:
    """Return which share of the volume was bought by takers: NaN where nothing was traded or a bar does not say."""
    bought, traded = bars["taker_buy_base_vol"], bars["volume"]
    return {"taker_ratio_20": ratio(window_sums(bought, VOLUME_BARS), window_sums(traded, VOLUME_BARS))}


def window_sums(x: Floats, window: int) -> Floats:
    """Return the sum of each bar's last ``window`` values.

    Each window is added up anew: a running sum of volumes that differ by millions leaves crumbs behind, and one NaN
    would stay in it for ever.
    """
    sums = np.full(len(x), np.nan)
    if len(x) >= window:
        sums[window - 1 :] = sliding_window_view(x, window).sum(axis=1)
    return sums


GROUP = FeatureGroup(names=("rel_volume_20", "mfi_14"), calculate=volume, warm_up=VOLUME_BARS - 1)
TAKER = FeatureGroup(names=("taker_ratio_20",), calculate=taker, warm_up=VOLUME_BARS - 1, needs=("taker_buy_base_vol",))
