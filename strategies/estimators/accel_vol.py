"""Follow the change of a trend."""

from __future__ import annotations

from typing import ClassVar, Self

from market.bars import BarArrays
from strategies import blocks
from strategies.estimators.base import DECAY_PARAMETERS, TILT_PARAMETERS, BaseStrategy, Indicators
from strategies.estimators.parameters import Whole


class AccelVolStrategy(BaseStrategy):
    """Trade the acceleration of the spread that ``EmaVolStrategy`` trades.

    ``level = d / ewm_std(d, vol_window)``, not clipped; ``a = level.diff(fast_ema_window * diff_multiplier)``;
    ``s = clip(a / ewm_std(a, vol_window), -2, 2)``, tilted by volatility and decayed by the strategy's own pnl.

    Parameters
    ----------
    fast_ema_window : int, default=24
        Span of the fast average, bars.
    slow_ema_multiplier : int, default=4
        The slow span is this many fast ones.
    diff_multiplier : int, default=1
        The change is taken over this many fast spans.
    weibull_c, alpha, fit_decay, decay_mode
        See ``EmaVolStrategy``.
    vol_window, target_vol, strat_weight, min_values
        See ``BaseStrategy``.
    """

    allowed: ClassVar = {
        **BaseStrategy.allowed,
        **TILT_PARAMETERS,
        **DECAY_PARAMETERS,
        "fast_ema_window": Whole(1),
        "slow_ema_multiplier": Whole(2),
        "diff_multiplier": Whole(1),
    }
    has_vol_tilt = True
    has_decay = True

    def __init__(
        self,
        *,
        fast_ema_window: int = 24,
        slow_ema_multiplier: int = 4,
        diff_multiplier: int = 1,
        weibull_c: float = 2.0,
        alpha: float = 0.5,
        fit_decay: bool = True,
        decay_mode: str = "contrarian",
        vol_window: int = 720,
        target_vol: float = 0.2,
        strat_weight: float = 1.0,
        min_values: int = 720,
    ) -> None:
        self.fast_ema_window = fast_ema_window
        self.slow_ema_multiplier = slow_ema_multiplier
        self.diff_multiplier = diff_multiplier
        self.weibull_c = weibull_c
        self.alpha = alpha
        self.fit_decay = fit_decay
        self.decay_mode = decay_mode
        self.vol_window = vol_window
        self.target_vol = target_vol
        self.strat_weight = strat_weight
        self.min_values = min_values

    @classmethod
    def small(cls) -> Self:
        return cls(fast_ema_window=5, vol_window=20, min_values=30)

    @property
    def warm_up(self) -> int:
        slow = self.fast_ema_window * self.slow_ema_multiplier
        trend = blocks.trend_warm_up(slow, self.vol_window) + self._lag + self.vol_window - 1
        return max(blocks.volatility_warm_up(self.vol_window), trend)

    @property
    def _lag(self) -> int:
        return self.fast_ema_window * self.diff_multiplier

    def _indicators_of(self, bars: BarArrays) -> Indicators:
        slow = self.fast_ema_window * self.slow_ema_multiplier
        level = blocks.trend_level(bars, self.fast_ema_window, slow, self.vol_window)
        s = blocks.clip_score(blocks.standardize(blocks.difference(level, self._lag), self.vol_window))
        return Indicators(bars.index, blocks.returns(bars), blocks.volatility(bars, self.vol_window), s)
