"""Follow the move of the range from one block of bars to the next."""

from __future__ import annotations

from typing import ClassVar, Self

from market.bars import BarArrays
from strategies import blocks
from strategies.estimators.base import DECAY_PARAMETERS, TILT_PARAMETERS, BaseStrategy, Indicators
from strategies.estimators.parameters import Whole
from strategies.kernels.ewm import ema
from strategies.kernels.rolling import rolling_extremes


class BlockVolStrategy(BaseStrategy):
    """Trade how far the range of closes has moved since the block before, in widths of the range.

    ``h, l`` = rolling max and min of close over ``block_window``;
    ``s_raw = (h.diff(block_window) + l.diff(block_window)) / 2 / (h - l)``, 0 where ``h == l``;
    ``s = clip(ema(s_raw, smooth_window), -2, 2)``, tilted by volatility and decayed by the strategy's own pnl.

    Parameters
    ----------
    block_window : int, default=120
        Bars of a block.
    smooth_window : int, default=24
        Span of the smoothing average, bars.
    weibull_c, alpha, fit_decay, decay_mode
        See ``EmaVolStrategy``.
    vol_window, target_vol, strat_weight, min_values
        See ``BaseStrategy``.
    """

    allowed: ClassVar = {
        **BaseStrategy.allowed,
        **TILT_PARAMETERS,
        **DECAY_PARAMETERS,
        "block_window": Whole(2),
        "smooth_window": Whole(1),
    }
    has_vol_tilt = True
    has_decay = True

    def __init__(
        self,
        *,
        block_window: int = 120,
        smooth_window: int = 24,
        weibull_c: float = 2.0,
        alpha: float = 0.5,
        fit_decay: bool = True,
        decay_mode: str = "contrarian",
        vol_window: int = 720,
        target_vol: float = 0.2,
        strat_weight: float = 1.0,
        min_values: int = 720,
    ) -> None:
        self.block_window = block_window
        self.smooth_window = smooth_window
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
        return cls(block_window=15, smooth_window=5, vol_window=20, min_values=30)

    @property
    def warm_up(self) -> int:
        return max(blocks.volatility_warm_up(self.vol_window), 2 * self.block_window + self.smooth_window - 2)

    def _indicators_of(self, bars: BarArrays) -> Indicators:
        high, low = rolling_extremes(bars["close"], self.block_window)
        moved = blocks.difference(high, self.block_window) + blocks.difference(low, self.block_window)
        s = blocks.clip_score(ema(blocks.ratio_or_zero(moved / 2, high - low), self.smooth_window))
        return Indicators(bars.index, blocks.returns(bars), blocks.volatility(bars, self.vol_window), s)
