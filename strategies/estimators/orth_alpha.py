"""Hold what a trend does not explain: the constant of a rolling regression of returns on the trend."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np

from market.bars import BarArrays, Floats
from strategies import blocks
from strategies.estimators.base import DECAY_PARAMETERS, BaseStrategy, Indicators
from strategies.estimators.parameters import Number, Whole
from strategies.kernels.regression import ALPHA, ALPHA_T, rolling_ols

SLOW_MULTIPLIER = 4  # [chosen]: the trend of a horizon is the spread of its average and one four times as slow
FULL_T = 2.0  # t-value from which the constant is believed in full [chosen]


class OrthAlphaStrategy(BaseStrategy):
    """Trade the constant of forward returns, in units of risk, once the trend has had its share.

    With ``fw = forward_window`` and ``dp`` the clipped trend of ``ema(close, fw)`` over ``ema(close, 4 * fw)``, regress
    ``y_t = (close_t / close_{t-fw} - 1) / v_{t-fw}`` on ``[1, dp_{t-fw}]`` over the last ``regression_window`` rows
    that have both; other rows repeat the regression before. ``s = clip(a / ewm_std(a, vol_window), -2, 2)`` of the
    constant ``a``, tilted by ``min(abs(t) / 2, 1)`` of its t-value and decayed by the strategy's own pnl.

    Parameters
    ----------
    forward_window : int, default=24
        Horizon of the returns and span of the trend, bars.
    regression_window : int, default=2160
        Rows of a regression.
    alpha : float, default=0.5
        How much of the tilt is taken, 0..1.
    fit_decay, decay_mode
        See ``EmaVolStrategy``.
    vol_window, target_vol, strat_weight, min_values
        See ``BaseStrategy``.
    """

    allowed: ClassVar = {
        **BaseStrategy.allowed,
        **DECAY_PARAMETERS,
        "alpha": Number(0, 1),
        "forward_window": Whole(1),
        "regression_window": Whole(3),
    }
    has_decay = True

    def __init__(
        self,
        *,
        forward_window: int = 24,
        regression_window: int = 2160,
        alpha: float = 0.5,
        fit_decay: bool = True,
        decay_mode: str = "contrarian",
        vol_window: int = 720,
        target_vol: float = 0.2,
        strat_weight: float = 1.0,
        min_values: int = 720,
    ) -> None:
        self.forward_window = forward_window
        self.regression_window = regression_window
        self.alpha = alpha
        self.fit_decay = fit_decay
        self.decay_mode = decay_mode
        self.vol_window = vol_window
        self.target_vol = target_vol
        self.strat_weight = strat_weight
        self.min_values = min_values

    @classmethod
    def small(cls) -> Self:
        return cls(forward_window=5, regression_window=30, vol_window=20, min_values=30)

    @property
    def warm_up(self) -> int:
        trend = blocks.trend_warm_up(SLOW_MULTIPLIER * self.forward_window, self.vol_window)
        first_row = max(trend, blocks.volatility_warm_up(self.vol_window)) + self.forward_window
        return first_row + self.regression_window - 1 + self.vol_window - 1

    def _indicators_of(self, bars: BarArrays) -> Indicators:
        v = blocks.volatility(bars, self.vol_window)
        constant, t_value = self._constant(bars, v)
        s = blocks.clip_score(blocks.standardize(constant, self.vol_window))
        strength = np.minimum(np.abs(t_value) / FULL_T, 1.0)
        return Indicators(bars.index, blocks.returns(bars), v, s, strength)

    def _constant(self, bars: BarArrays, v: Floats) -> tuple[Floats, Floats]:
        """Return the regression's constant and its t-value at every bar."""
        ahead = self.forward_window
        slow = SLOW_MULTIPLIER * ahead
        trend = blocks.delay(blocks.clip_score(blocks.trend_level(bars, ahead, slow, self.vol_window)), ahead)
        risk = blocks.delay(v, ahead)
        y = (bars["close"] / blocks.delay(bars["close"], ahead) - 1.0) / risk
        complete = ~(np.isnan(y) | np.isnan(trend))
        fits = self._regress(y[complete], trend[complete], risk[complete])
        latest = np.cumsum(complete)  # 0 before the first complete row
        constant, t_value = (np.concatenate([[np.nan], fits[row]])[latest] for row in (ALPHA, ALPHA_T))
        return constant, t_value

    def _regress(self, y: Floats, trend: Floats, risk: Floats) -> Floats:
        return rolling_ols(y, trend, self.regression_window)

    def _tilt(self, indicators: Indicators, cdf_median: float | None) -> Floats | float:
        return blocks.blended(indicators.strength, self.alpha)
