"""What single bars look like."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import talib

from market.bars import Floats
from mlfilter.features.base import FeatureBars, FeatureGroup, ratio

PATTERNS = {  # TA-Lib's function, and the bars that it looks back: it says 0 there, which is "no pattern"
    "doji": (talib.CDLDOJI, 10),
    "hammer": (talib.CDLHAMMER, 11),
    "engulfing": (talib.CDLENGULFING, 2),
}


def shapes(bars: FeatureBars) -> Mapping[str, Floats]:
    """Return TA-Lib's patterns as -1, 0 or 1, and body and wicks as shares of the bar's range.

    The shares add up to 1; a bar without a range has neither body nor wicks, and all three are 0.
    """
    opening, high, low, close = (bars[name] for name in ("open", "high", "low", "close"))
    found = {name: pattern(bars, name) for name in PATTERNS}
    reach = high - low
    parts = {
        "body_pct": np.abs(close - opening),
        "upper_wick_pct": high - np.maximum(opening, close),
        "lower_wick_pct": np.minimum(opening, close) - low,
    }
    return {**found, **{name: np.where(reach == 0.0, 0.0, ratio(part, reach)) for name, part in parts.items()}}


def pattern(bars: FeatureBars, name: str) -> Floats:
    """Return a pattern's sign, NaN while TA-Lib cannot tell."""
    find, lookback = PATTERNS[name]
    signs = np.sign(find(bars["open"], bars["high"], bars["low"], bars["close"])).astype(np.float64)
    signs[:lookback] = np.nan
    return np.asarray(signs)


GROUP = FeatureGroup(
    names=(*PATTERNS, "body_pct", "upper_wick_pct", "lower_wick_pct"),
    calculate=shapes,
    warm_up=max(lookback for _, lookback in PATTERNS.values()),
)
