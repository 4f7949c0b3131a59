"""What all strategies share: checks, fitting, and the way from a score to a position.

A strategy turns bars into ``Indicators`` by its parameters alone. Fitting reads three numbers off them (the median
volatility, the size of the strategy's own pnl swings, the scale to the target volatility), and a position follows:

    exposure = target_vol / v * s * tilt,   raw = exposure * decay,   pos = raw * to_target_scaler_ * strat_weight
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from market.bars import BarArrays, Floats, bar_arrays
from market.errors import BarsError
from strategies import blocks
from strategies.estimators import history
from strategies.estimators.parameters import YES_OR_NO, Allowed, Number, OneOf, Whole, check_parameters

Rows = npt.NDArray[np.intp]
OHLC = ("open", "high", "low", "close")

TILT_PARAMETERS: Mapping[str, Allowed] = {
    "weibull_c": Number(0, above=True),
    "alpha": Number(0, 1),
}
DECAY_PARAMETERS: Mapping[str, Allowed] = {
    "fit_decay": YES_OR_NO,
    "decay_mode": OneOf(tuple(blocks.DECAY_MODES)),
}


@dataclass(frozen=True, slots=True, eq=False)
class Indicators:
    """What a strategy sees in bars, by its parameters alone: nothing in it was fitted, and all of it is causal.

    Attributes
    ----------
    index : DatetimeIndex of shape (n_bars,)
    returns : ndarray of shape (n_bars,), float64
        Fraction of price, from the bar before; NaN on the first.
    v : ndarray of shape (n_bars,), float64
        Volatility, fraction a year; NaN while warming up.
    s : ndarray of shape (n_bars,), float64
        Score, -2..2; NaN while warming up.
    strength : ndarray of shape (n_bars,), float64, or 1.0
        0..1, how sure the score is, of strategies that tilt by it instead of by volatility.
    """

    index: pd.DatetimeIndex
    returns: Floats
    v: Floats
    s: Floats
    strength: Floats | float = 1.0


class BaseStrategy(BaseEstimator, ABC):
    """A position for every bar, in fractions of capital, decided at its close and held over the next.

    Subclasses store parameters in ``__init__`` (and do nothing else there), say what those may be in ``allowed``, and
    implement ``warm_up``, ``small`` and ``_indicators_of``.

    Parameters
    ----------
    vol_window : int, default=720
        Bars of the volatility estimate and of the deviations that scores are measured in.
    target_vol : float, default=0.2
        Volatility of the pnl to aim at, fraction a year.
    strat_weight : float, default=1.0
        Last factor of the position: this model's share of the portfolio.
    min_values : int, default=720
        Bars with a value, after the warm-up, that fitting and predicting want.

    Attributes
    ----------
    to_target_scaler_ : float
        Factor that brings the pnl of the fitted bars to ``target_vol``.
    cdf_median_ : float or None
        Median volatility of the fitted bars; None without a volatility tilt.
    defactor_ : float or None
        Standard deviation of the smoothed pnl of the fitted bars; None without decay.
    """

    allowed: ClassVar[Mapping[str, Allowed]] = {
        "vol_window": Whole(2),
        "target_vol": Number(0, above=True),
        "strat_weight": Number(0),
        "min_values": Whole(2),
    }
    has_vol_tilt: ClassVar[bool] = False
    has_decay: ClassVar[bool] = False

    vol_window: int
    target_vol: float
    strat_weight: float
    min_values: int
    weibull_c: float  # with a volatility tilt
    alpha: float  # with a tilt
    fit_decay: bool  # with decay
    decay_mode: str  # with decay

    to_target_scaler_: float
    cdf_median_: float | None
    defactor_: float | None

    @classmethod
    @abstractmethod
    def small(cls) -> Self:
        """Return a strategy with windows of 5 to 30 bars, for tests on a few hundred bars."""

    @property
    def required_columns(self) -> tuple[str, ...]:
        """Columns without which there is no signal."""
        return OHLC

    @property
    @abstractmethod
    def warm_up(self) -> int:
        """The number of first bars that have no value."""

    @property
    def min_bars(self) -> int:
        """The fewest bars to fit or predict on: the warm-up and ``min_values`` bars with a value."""
        return self.warm_up + self.min_values

    def fit(self, bars: pd.DataFrame | BarArrays, y: object = None) -> Self:
        """Learn scales from bars; nothing after their end has any influence.

        Parameters
        ----------
        bars : DataFrame or BarArrays of shape (n_bars, n_columns)
            Closed bars, see ``market.bars.as_bars``; at least ``min_bars`` with ``required_columns``.
        y : None
            Not used; scikit-learn passes it.

        Raises
        ------
        ParameterError, MissingColumnError, InsufficientHistoryError, MissingHoursError, BarsError
        """
        return self.calibrate(self.indicators(bars))

    def predict(self, bars: pd.DataFrame | BarArrays) -> pd.Series:
        """Return the position of every bar, 0 while warming up, on the index of ``bars``. Raises as ``fit``."""
        self._check_fitted()
        indicators = self.indicators(bars)
        return pd.Series(self._checked_positions(indicators), index=indicators.index, name="pos", copy=False)

    def one_step_predict(self, bars: pd.DataFrame | BarArrays) -> float:
        """Return the position after the last bar: the last entry of ``predict``. Raises as ``fit``."""
        self._check_fitted()
        raw = self._raw(self.indicators(bars))
        history.require_values(self._name, raw, self.min_values)
        return float(self._sized(raw[-1:])[0])

    def signal(self, bars: pd.DataFrame | BarArrays) -> pd.DataFrame:
        """Return what a position is made of, as columns ``v, s, tilt, decay, raw, pos``. Raises as ``fit``.

        All but ``pos`` are NaN where they have no value yet; ``raw`` is before ``to_target_scaler_`` and weight.
        """
        self._check_fitted()
        seen = self.indicators(bars)
        positions = self._checked_positions(seen)
        tilt = self._tilt(seen, self.cdf_median_)
        raw, decay = self._decayed(seen, self._exposure(seen, tilt), self.defactor_)
        columns = {"v": seen.v, "s": seen.s, "tilt": tilt, "decay": decay, "raw": raw, "pos": positions}
        return pd.DataFrame(columns, index=seen.index)

    def indicators(self, bars: pd.DataFrame | BarArrays) -> Indicators:
        """Return what the strategy sees in ``bars``, which it checks first. Raises as ``fit``.

        On ``BarArrays`` they are kept with the bars, so that fitting and then predicting computes them once.
        """
        checked = self._checked(bars)
        key = (type(self), *(getattr(self, name) for name in self.allowed))
        return checked.derive(key, lambda: self._indicators_of(checked))

    def calibrate(self, indicators: Indicators, rows: Rows | None = None) -> Self:
        """Learn scales from the given rows of indicators, each as often as it is named; from all rows by default.

        For cross-validation: indicators are computed once over a whole series, and a fold fits on its own rows.

        Raises
        ------
        InsufficientHistoryError
            If fewer than ``min_values`` rows have a value, or they give no scale.
        """
        chosen: slice | Rows = slice(None) if rows is None else rows
        cdf_median = self._fit_tilt(indicators.v[chosen]) if self.has_vol_tilt else None
        exposure = self._exposure(indicators, self._tilt(indicators, cdf_median))
        history.require_values(self._name, exposure[chosen], self.min_values)
        defactor = self._fit_decay(indicators, exposure, chosen) if self.has_decay and self.fit_decay else None
        raw, _ = self._decayed(indicators, exposure, defactor)
        pnl = blocks.pnl(raw, indicators.returns)[chosen]
        swing = blocks.deviation(pnl, where=pnl)
        scaler = self.target_vol / (blocks.ANNUAL_ROOT * history.require_swing(self._name, swing, "pnl"))
        self.cdf_median_, self.defactor_, self.to_target_scaler_ = cdf_median, defactor, scaler
        return self

    def positions(self, indicators: Indicators) -> Floats:
        """Return the position of every bar of ``indicators``, 0 while warming up."""
        self._check_fitted()
        return self._sized(self._raw(indicators))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "to_target_scaler_")

    @abstractmethod
    def _indicators_of(self, bars: BarArrays) -> Indicators:
        """Return what the strategy sees in bars that were checked."""

    def _fit_tilt(self, v: Floats) -> float:
        history.require_values(self._name, v, self.min_values)
        return blocks.median(v)

    def _tilt(self, indicators: Indicators, cdf_median: float | None) -> Floats | float:
        if cdf_median is None:
            return 1.0
        tilt = blocks.vol_tilt(indicators.v, cdf_median=cdf_median, weibull_c=self.weibull_c)
        return blocks.blended(tilt, self.alpha)

    def _exposure(self, indicators: Indicators, tilt: Floats | float) -> Floats:
        """Return the position before decay and scale."""
        exposure = self.target_vol / indicators.v
        exposure *= indicators.s  # in place: a new array costs as much as what is written to it
        if not isinstance(tilt, float) or tilt != 1.0:
            exposure *= tilt
        return exposure

    def _fit_decay(self, indicators: Indicators, exposure: Floats, chosen: slice | Rows) -> float:
        earned = blocks.recent_pnl(exposure, indicators.returns)[chosen]
        swing = blocks.deviation(earned, where=exposure[chosen])
        return history.require_swing(self._name, swing, "smoothed pnl")

    def _decayed(
        self, indicators: Indicators, exposure: Floats, defactor: float | None
    ) -> tuple[Floats, Floats | float]:
        """Return the position after decay, and the decay."""
        if defactor is None:
            return exposure, 1.0
        return blocks.apply_decay(exposure, indicators.returns, defactor=defactor, mode=self.decay_mode)

    def _raw(self, indicators: Indicators) -> Floats:
        exposure = self._exposure(indicators, self._tilt(indicators, self.cdf_median_))
        return self._decayed(indicators, exposure, self.defactor_)[0]

    def _sized(self, raw: Floats) -> Floats:
        positions = raw * (self.to_target_scaler_ * self.strat_weight)
        positions[np.isnan(positions)] = 0.0
        return positions

    def _checked_positions(self, indicators: Indicators) -> Floats:
        raw = self._raw(indicators)
        history.require_values(self._name, raw, self.min_values)
        return self._sized(raw)

    @property
    def _name(self) -> str:
        return type(self).__name__

    def _check_fitted(self) -> None:
        if not self.__sklearn_is_fitted__():
            raise NotFittedError(f"this {self._name} is not fitted yet: call fit(bars) before predicting")

    def _checked(self, bars: pd.DataFrame | BarArrays) -> BarArrays:
        check_parameters(self._name, self.allowed, vars(self))
        if not isinstance(bars, pd.DataFrame | BarArrays):
            raise BarsError(f"{self._name}: bars must be a DataFrame, was {type(bars).__name__}")
        history.require_columns(self._name, bars.columns, self.required_columns)
        history.require_bars(self._name, len(bars), warm_up=self.warm_up, values=self.min_values)
        checked = bars if isinstance(bars, BarArrays) else bar_arrays(bars, self.required_columns)
        history.require_hours(self._name, checked, self.required_columns)
        return checked
