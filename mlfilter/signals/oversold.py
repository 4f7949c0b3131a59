"""Buy what has fallen too far too fast, sell what has risen so: RSI, Bollinger bands and z-score have to agree."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from mlfilter.ranges import require_fractions
from mlfilter.signals.base import SignalFamily, require_features

NEEDS = ("rsi_14", "bb_position", "zscore_20")


@dataclass(frozen=True, slots=True, kw_only=True)
class OversoldThresholds:
    """Where a price is oversold (long) or overbought (short). Each is passed, not just met.

    Raises
    ------
    ValueError
        For a threshold beyond its side of the middle: a setup is never long and short at once.
    """

    long_rsi: float = 30.0  # RSI below it, 0..100
    long_bb_position: float = 0.2  # place in the bands below it: 0 is the lower band, 1 the upper one
    long_zscore: float = -1.5  # standard deviations below it
    short_rsi: float = 70.0
    short_bb_position: float = 0.8
    short_zscore: float = 1.5

    def __post_init__(self) -> None:
        require_fractions((0.0, 50.0), long_rsi=self.long_rsi)
        require_fractions((50.0, 100.0), short_rsi=self.short_rsi)
        require_fractions((-1.0, 0.5), long_bb_position=self.long_bb_position)
        require_fractions((0.5, 2.0), short_bb_position=self.short_bb_position)
        require_fractions((-10.0, 0.0), long_zscore=self.long_zscore)
        require_fractions((0.0, 10.0), short_zscore=self.short_zscore)


DEFAULTS = OversoldThresholds()


def identify_long_setups(features: pd.DataFrame, thresholds: OversoldThresholds = DEFAULTS) -> pd.Series:
    """Return at which bars all three are below their thresholds: False where one of them is NaN."""
    require_features(features, NEEDS)
    return (
        (features["rsi_14"] < thresholds.long_rsi)
        & (features["bb_position"] < thresholds.long_bb_position)
        & (features["zscore_20"] < thresholds.long_zscore)
    ).rename("long")


def identify_short_setups(features: pd.DataFrame, thresholds: OversoldThresholds = DEFAULTS) -> pd.Series:
    """Return at which bars all three are above their thresholds: False where one of them is NaN."""
    require_features(features, NEEDS)
    return (
        (features["rsi_14"] > thresholds.short_rsi)
        & (features["bb_position"] > thresholds.short_bb_position)
        & (features["zscore_20"] > thresholds.short_zscore)
    ).rename("short")


FAMILY = SignalFamily(
    long=identify_long_setups, short=identify_short_setups, thresholds=OversoldThresholds, needs=NEEDS
)
