"""Follow the trend between two averages, less of it when the market is wild."""

from __future__ import annotations

from typing import ClassVar, Self

from market.bars import BarArrays
from strategies import blocks
from strategies.estimators.base import DECAY_PARAMETERS, TILT_PARAMETERS, BaseStrategy, Indicators
from strategies.estimators.parameters import Whole


class EmaVolStrategy(BaseStrategy):
    """Trade the spread of a fast and a slow average, in its own deviations.

    ``d = ema(close, fast) - ema(close, slow)`` and ``s = clip(d / ewm_std(d, vol_window), -2, 2)``, tilted by
    volatility and decayed by the strategy's own pnl.

    Parameters
    ----------
    fast_ema_window : int, default=24
        Span of the fast average, bars.
    slow_ema_multiplier : int, default=4
        The slow span is this many fast ones.
    weibull_c : float, default=2.0
        Shape of the volatility tilt: the larger, the more it is a switch.
    alpha : float, default=0.5
        How much of the tilt is taken, 0..1.
    fit_decay : bool, default=True
        Whether recent success changes the size.
    decay_mode : {"contrarian", "protective"}, default="contrarian"
        Which way: ``contrarian`` is the source's formula (smaller after success), ``protective`` its prose (smaller
        after failure) [chosen: both].
    vol_window, target_vol, strat_weight, min_values
        See ``BaseStrategy``.
    """

    allowed: ClassVar = {
        **BaseStrategy.allowed,
        **TILT_PARAMETERS,
        **DECAY_PARAMETERS,
        "fast_ema_window": Whole(1),
        "slow_ema_multiplier": Whole(2),
    }
    has_vol_tilt = True
    has_decay = True

    def __init__(
        self,
        *,
        fast_ema_window: int = 24,
        slow_ema_multiplier: int = 4,
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
        return max(blocks.volatility_warm_up(self.vol_window), blocks.trend_warm_up(slow, self.vol_window))

    def _indicators_of(self, bars: BarArrays) -> Indicators:
        slow = self.fast_ema_window * self.slow_ema_multiplier
        level = blocks.trend_level(bars, self.fast_ema_window, slow, self.vol_window)
        v = blocks.volatility(bars, self.vol_window)
        return Indicators(bars.index, blocks.returns(bars), v, blocks.clip_score(level))
