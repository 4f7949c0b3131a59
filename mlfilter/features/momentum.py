"""How far the price has come in some bars."""

from __future__ import annotations

from collections.abc import Mapping

import talib

from market.bars import Floats
from mlfilter.features.base import FeatureBars, FeatureGroup

MOMENTUM_BARS, RATE_BARS = 10, (3, 10, 24)


def momentum(bars: FeatureBars) -> Mapping[str, Floats]:
    """Return the move over 10 bars as a fraction of this close, and rates of change as fractions of the old one."""
    close = bars["close"]
    rates = {f"roc_{window}": talib.ROCP(close, window) for window in RATE_BARS}
    return {"mom_10": talib.MOM(close, MOMENTUM_BARS) / close, **rates}


GROUP = FeatureGroup(names=("mom_10", "roc_3", "roc_10", "roc_24"), calculate=momentum, warm_up=max(RATE_BARS))
