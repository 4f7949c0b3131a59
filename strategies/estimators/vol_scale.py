"""Hold the market, more of it when it is calm."""

from __future__ import annotations

from typing import Self

import numpy as np

from market.bars import BarArrays
from strategies import blocks
from strategies.estimators.base import BaseStrategy, Indicators


class VolScaleStrategy(BaseStrategy):
    """Be long with constant risk: ``raw = target_vol / v``.

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
        return cls(vol_window=20, min_values=30)

    @property
    def warm_up(self) -> int:
        return blocks.volatility_warm_up(self.vol_window)

    def _indicators_of(self, bars: BarArrays) -> Indicators:
        v = blocks.volatility(bars, self.vol_window)
        return Indicators(bars.index, blocks.returns(bars), v, np.ones(len(bars)))
