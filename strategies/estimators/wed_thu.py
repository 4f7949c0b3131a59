"""Long over Wednesdays, short over Thursdays."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from market.bars import BarArrays, Floats
from strategies import blocks
from strategies.estimators.base import BaseStrategy, Indicators
from strategies.kernels.ewm import ewm_std

Hours = npt.NDArray[np.int32]

HOUR_S = 3600
UNITS_A_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
WEEK_BARS = 7 * 24
WEDNESDAY, THURSDAY = 2, 3  # Monday is 0
EPOCH_WEEKDAY = THURSDAY  # of 1970-01-01


class WedThuStrategy(BaseStrategy):
    """Hold +1 over bars that open on a Wednesday, -1 on a Thursday (UTC [chosen]), each at its own day's volatility.

    ``raw = s * target_vol / v``, exactly 0 on other days. ``v`` is the exponentially weighted deviation of the returns
    of that weekday's bars alone, with span ``max(2, round(vol_window / 7))``, carried forward from day to day
    ([chosen]: interpolating would look ahead), floored at 1 % a year. Bar ``t`` takes the day that bar ``t + 1`` opens
    on, an hour after ``t`` whatever gap follows; there is no ``v`` where that is another day.

    Parameters
    ----------
    vol_window, target_vol, strat_weight, min_values
        See ``BaseStrategy``.
    """

    def __init__(
        self, *, vol_window: int = 720, target_vol: float = 0.2, strat_weight: float = 1.0, min_values: int = 720
    ) -> None:
        self.vol_window = vol_window
        self.target_vol = target_vol
        self.strat_weight = strat_weight
        self.min_values = min_values

    @classmethod
    def small(cls) -> Self:
        return cls(vol_window=14, min_values=30)

    @property
    def required_columns(self) -> tuple[str, ...]:
        return ("close",)

    @property
    def warm_up(self) -> int:
        """Bars until both days have a volatility, whatever the hour and weekday of the first bar."""
        # Worst is a start at 23:00 of the day itself: its one bar has no return, and the next such day is 145 bars on.
        weeks, hours = divmod(self._day_span - 1, 24)
        return 145 + weeks * WEEK_BARS + hours

    @property
    def _day_span(self) -> int:
        return max(2, round(self.vol_window / 7))

    def _indicators_of(self, bars: BarArrays) -> Indicators:
        hours = bars.derive("hours", lambda: hours_since_1970(bars.index))
        today, ahead = weekday(hours), weekday(hours + 1)
        bar_returns = blocks.returns(bars)
        v = np.full(len(bars), np.nan)
        for day in (WEDNESDAY, THURSDAY):
            v = np.where(ahead == day, self._day_volatility(bar_returns, today == day), v)
        s = np.where(ahead == WEDNESDAY, 1.0, np.where(ahead == THURSDAY, -1.0, 0.0))
        return Indicators(bars.index, bar_returns, v, s)

    def _day_volatility(self, bar_returns: Floats, on_day: npt.NDArray[np.bool_]) -> Floats:
        """Return the volatility of one weekday's bars, known at every bar: the last one is carried forward."""
        own = blocks.ANNUAL_ROOT * ewm_std(bar_returns[on_day], self._day_span)
        floored = np.concatenate([[np.nan], np.maximum(own, blocks.VOLATILITY_FLOOR)])
        carried: Floats = floored[np.cumsum(on_day)]
        return carried

    def _exposure(self, indicators: Indicators, tilt: Floats | float) -> Floats:
        exposure = indicators.s * self.target_vol / indicators.v
        exposure[indicators.s == 0.0] = 0.0
        return exposure


def hours_since_1970(index: pd.DatetimeIndex) -> Hours:
    """Return the whole hours that have passed at each time; 32 bits, in which division runs on many at once."""
    units_an_hour = HOUR_S * UNITS_A_SECOND[index.unit]
    return (index.asi8 // units_an_hour).astype(np.int32)


def weekday(hours: Hours) -> Hours:
    """Return the weekdays, Monday 0, of hours since 1970 UTC."""
    days = hours // np.int32(24) + np.int32(EPOCH_WEEKDAY)
    return days - np.int32(7) * (days // np.int32(7))  # NumPy's % by a constant is several times slower than its //
