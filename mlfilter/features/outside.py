"""What comes from elsewhere than the bars, passed through where it is fed."""

from __future__ import annotations

from collections.abc import Mapping

from market.bars import Floats
from mlfilter.features.base import FeatureBars, FeatureGroup


def passed_through(column: str) -> FeatureGroup:
    """Return the group of one outside column: its feature is the column itself, NaN where nothing was known yet."""

    def outside(bars: FeatureBars) -> Mapping[str, Floats]:
        return {column: bars[column]}

    return FeatureGroup(names=(column,), calculate=outside, warm_up=0, needs=(column,))
