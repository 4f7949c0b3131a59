"""Follow the side that takes: buyers' share of the volume against its own history."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np

from market.bars import BarArrays
from strategies import blocks
from strategies.estimators.base import OHLC, TILT_PARAMETERS, BaseStrategy, Indicators
from strategies.estimators.parameters import Whole
from strategies.kernels.ewm import ema
from strategies.kernels.rolling import rolling_mean_std


class BuySellVolStrategy(BaseStrategy):
    """Trade the z-score of takers' buy volume as a share of all volume, both Binance's.

    ``bsr = ema(ema(taker_buy_base_vol, volume_window) / ema(volume, volume_window), smooth_window)``;
    ``s = clip((bsr - rolling_mean(bsr, vol_window)) / rolling_std(bsr, vol_window), -2, 2)``, tilted by volatility; no
    decay. The averages skip missing klines.

    Parameters
    ----------
    volume_window : int, default=24
        Span of the averages of volume, bars.
    smooth_window : int, default=24
        Span of the average of their ratio, bars.
    weibull_c, alpha
        See ``EmaVolStrategy``.
    vol_window, target_vol, strat_weight, min_values
        See ``BaseStrategy``.
    """

    allowed: ClassVar = {
        **BaseStrategy.allowed,
        **TILT_PARAMETERS,
        "volume_window": Whole(1),
        "smooth_window": Whole(1),
    }
    has_vol_tilt = True

    def __init__(
        self,
        *,
        volume_window: int = 24,
        smooth_window: int = 24,
        weibull_c: float = 2.0,
        alpha: float = 0.5,
        vol_window: int = 720,
        target_vol: float = 0.2,
        strat_weight: float = 1.0,
        min_values: int = 720,
    ) -> None:
        self.volume_window = volume_window
        self.smooth_window = smooth_window
        self.weibull_c = weibull_c
        self.alpha = alpha
        self.vol_window = vol_window
        self.target_vol = target_vol
        self.strat_weight = strat_weight
        self.min_values = min_values

    @classmethod
    def small(cls) -> Self:
        return cls(volume_window=5, smooth_window=5, vol_window=20, min_values=30)

    @property
    def required_columns(self) -> tuple[str, ...]:
        return (*OHLC, "volume", "taker_buy_base_vol")

    @property
    def warm_up(self) -> int:
        share = self.volume_window + self.smooth_window + self.vol_window - 3
        return max(blocks.volatility_warm_up(self.vol_window), share)

    def _indicators_of(self, bars: BarArrays) -> Indicators:
        bought, traded = (ema(bars[column], self.volume_window) for column in ("taker_buy_base_vol", "volume"))
        with np.errstate(invalid="ignore", divide="ignore"):  # no volume at all: no share, which the average skips
            share = ema(bought / traded, self.smooth_window)
            mean, std = rolling_mean_std(share, self.vol_window)
            s = blocks.clip_score((share - mean) / std)
        return Indicators(bars.index, blocks.returns(bars), blocks.volatility(bars, self.vol_window), s)
