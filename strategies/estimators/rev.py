"""Go against a move that came with much volume."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np

from market.bars import BarArrays, Floats
from strategies import blocks
from strategies.estimators.base import OHLC, BaseStrategy, Indicators
from strategies.estimators.parameters import Number, OneOf, Whole
from strategies.kernels.ewm import ema
from strategies.kernels.rolling import rolling_extremes


class RevStrategy(BaseStrategy):
    """Be short after a rise, long after a fall, where the move is large and volume is high in its range; else flat.

    ``x = ema(volume, reversal_window)`` and ``vlm_z`` is its place, 0..1, in its own range over ``vol_window``, NaN
    where that range is empty; ``ret_z = ema(r, reversal_window) / (v / A)``; ``s = -sign(ret_z)`` where
    ``abs(ret_z) > reversal_threshold`` and ``vlm_z > volume_threshold``, else 0, NaN while either is. No
    tilt, no decay.

    Parameters
    ----------
    reversal_window : int, default=24
        Span of the averages of returns and volume, bars.
    reversal_threshold : float, default=0.3
        Size of a move, in deviations of one bar.
    volume_threshold : float, default=0.3
        Place of volume in its range, 0..1.
    volume_column : {"volume", "tick_volume"}, default="volume"
        Binance's volume, or the terminal's over the whole series; never one where the other is missing.
    vol_window, target_vol, strat_weight, min_values
        See ``BaseStrategy``.
    """

    allowed: ClassVar = {
        **BaseStrategy.allowed,
        "reversal_window": Whole(1),
        "reversal_threshold": Number(0),
        "volume_threshold": Number(0, 1),
        "volume_column": OneOf(("volume", "tick_volume")),
    }

    def __init__(
        self,
        *,
        reversal_window: int = 24,
        reversal_threshold: float = 0.3,
        volume_threshold: float = 0.3,
        volume_column: str = "volume",
        vol_window: int = 720,
        target_vol: float = 0.2,
        strat_weight: float = 1.0,
        min_values: int = 720,
    ) -> None:
        self.reversal_window = reversal_window
        self.reversal_threshold = reversal_threshold
        self.volume_threshold = volume_threshold
        self.volume_column = volume_column
        self.vol_window = vol_window
        self.target_vol = target_vol
        self.strat_weight = strat_weight
        self.min_values = min_values

    @classmethod
    def small(cls) -> Self:
        return cls(reversal_window=5, vol_window=20, min_values=30)

    @property
    def required_columns(self) -> tuple[str, ...]:
        return (*OHLC, self.volume_column)

    @property
    def warm_up(self) -> int:
        volume = self.reversal_window + self.vol_window - 2
        return max(blocks.volatility_warm_up(self.vol_window), volume, self.reversal_window)

    def _indicators_of(self, bars: BarArrays) -> Indicators:
        bar_returns = blocks.returns(bars)
        v = blocks.volatility(bars, self.vol_window)
        move = ema(bar_returns, self.reversal_window) / (v / blocks.ANNUAL_ROOT)
        place = self._volume_place(bars[self.volume_column])
        against = (np.abs(move) > self.reversal_threshold) & (place > self.volume_threshold)
        s = np.where(against, -np.sign(move), 0.0)
        s[np.isnan(move) | np.isnan(place)] = np.nan
        return Indicators(bars.index, bar_returns, v, s)

    def _volume_place(self, volume: Floats) -> Floats:
        """Return where smoothed volume is in its recent range, 0..1; NaN where that is a single value."""
        smooth = ema(volume, self.reversal_window)
        high, low = rolling_extremes(smooth, self.vol_window)
        with np.errstate(invalid="ignore"):
            return (smooth - low) / (high - low)
