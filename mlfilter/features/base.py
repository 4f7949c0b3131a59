"""What every group of features reads, and what it says of itself.

Features are one row a bar and causal: row ``t`` is made of the bars up to ``t`` only. Indicators are TA-Lib's;
fractions are fractions (0.01 is one per cent), while RSI, MFI and the directional indices keep their 0..100. NaN stands
where the bars are too few, and where a division has nothing to divide by: each group says where that is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import talib

from market.bars import BarArrays, Floats

ATR_BARS = 14


@dataclass(frozen=True, slots=True, eq=False)
class HigherBars:
    """Closed bars of a longer interval, beside the bars that features are made for.

    Attributes
    ----------
    close : ndarray of shape (n_higher,), float64
    newest : ndarray of shape (n_bars,), int64
        At each bar's close: the newest higher bar that is closed then, -1 where none is.
    """

    close: Floats
    newest: np.ndarray[tuple[int, ...], np.dtype[np.int64]]

    def at_bars(self, values: Floats) -> Floats:
        """Return a column of the higher bars as it is known at each bar's close; NaN before the first."""
        return np.concatenate([[np.nan], values])[self.newest + 1]


@dataclass(frozen=True, slots=True, eq=False)
class FeatureBars:
    """Checked bars, with the longer ones beside them. Nobody writes to the arrays.

    ``bars["close"]`` is an ndarray of shape (n_bars,), float64. There are ``open high low close volume`` and, where
    they were fed, ``taker_buy_base_vol`` and the outside columns.
    """

    arrays: BarArrays
    higher: Mapping[str, HigherBars]

    def __getitem__(self, column: str) -> Floats:
        return self.arrays.columns[column]

    def __len__(self) -> int:
        return len(self.arrays)

    @property
    def index(self) -> pd.DatetimeIndex:
        """Return the times at which the bars opened, UTC."""
        return self.arrays.index

    def derive(self, key: str, compute: Callable[[], Floats]) -> Floats:
        """Return ``compute()``, computed the first time that ``key`` is asked for."""
        return self.arrays.derive(key, compute)

    @property
    def atr(self) -> Floats:
        """Return Wilder's average true range over 14 bars, price units."""
        return self.derive("atr", lambda: talib.ATR(self["high"], self["low"], self["close"], ATR_BARS))

    def highest(self, window: int) -> Floats:
        return self.derive(f"highest {window}", lambda: talib.MAX(self["high"], window))

    def lowest(self, window: int) -> Floats:
        return self.derive(f"lowest {window}", lambda: talib.MIN(self["low"], window))


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureGroup:
    """Features that are computed together.

    Parameters
    ----------
    names : tuple of str
        In the order that models are trained and served with.
    calculate : callable
        Returns each of ``names`` as an ndarray of shape (n_bars,).
    warm_up : int
        Bars that come before the first one with a value of all of them. Features of longer bars count those.
    needs : tuple of str
        Columns beyond open, high, low, close and volume. Without them the group is absent, never filled with zeros.
    """

    names: tuple[str, ...]
    calculate: Callable[[FeatureBars], Mapping[str, Floats]]
    warm_up: int
    needs: tuple[str, ...] = ()


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Return the quotient, NaN where there is nothing to divide by."""
    quotient = np.full(len(numerator), np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator != 0.0)
    return quotient


def zscore(close: Floats, window: int) -> Floats:
    """Return how many standard deviations (TA-Lib's, of the population) the close is from its mean.

    NaN where none of the closes differs from the others.
    """
    return ratio(close - talib.SMA(close, window), talib.STDDEV(close, window))
