"""When a bar opened, on circles: 23:45 is next to 00:00, and Sunday next to Monday."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from market.bars import Floats
from mlfilter.features.base import FeatureBars, FeatureGroup

HOURS, DAYS = 24.0, 7.0


def calendar(bars: FeatureBars) -> Mapping[str, Floats]:
    """Return the time of day (UTC, minutes count) and the weekday (Monday 0) as sine and cosine."""
    hour = (bars.index.hour + bars.index.minute / 60.0).to_numpy(dtype=np.float64)
    weekday = bars.index.day_of_week.to_numpy(dtype=np.float64)
    day, week = 2.0 * np.pi * hour / HOURS, 2.0 * np.pi * weekday / DAYS
    return {
        "hour_sin": np.sin(day),
        "hour_cos": np.cos(day),
        "weekday_sin": np.sin(week),
        "weekday_cos": np.cos(week),
    }


GROUP = FeatureGroup(names=("hour_sin", "hour_cos", "weekday_sin", "weekday_cos"), calculate=calendar, warm_up=0)
