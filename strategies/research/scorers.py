"""How well positions foretell what comes next, as scikit-learn scorers of ``OnBars``.

A scorer is called with a fitted ``OnBars``, row numbers and the return of the bar after each row, and more is better.
Rows whose return is NaN are left out. A score that is undefined (the positions are constant, or fewer than two rows
remain) is 0: such a strategy says nothing, and a search could not rank NaN. The functions of arrays give NaN there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from market.bars import Floats
from strategies.blocks import ANNUAL_BARS
from strategies.research.onbars import OnBars
from strategies.research.ratios import sharpe


class Scorer(Protocol):
    """What scikit-learn asks of ``scoring``, on ``OnBars``."""

    def __call__(self, estimator: OnBars, X: object, y: npt.ArrayLike) -> float: ...


def pearson(x: Floats, y: Floats) -> float:
    """Return the correlation of two arrays where both have a value, -1..1.

    NaN if either is constant there, or fewer than two pairs remain.
    """
    both = ~(np.isnan(x) | np.isnan(y))
    x, y = x[both], y[both]
    if x.size < 2 or np.ptp(x) == 0.0 or np.ptp(y) == 0.0:  # a mean rounds: constants must be found before it
        return np.nan
    x, y = _centred(x), _centred(y)
    return float(np.clip(x @ y / np.sqrt((x @ x) * (y @ y)), -1.0, 1.0))


def information_coefficient(estimator: OnBars, X: object, y: npt.ArrayLike) -> float:
    """Return the correlation of position and next return."""
    return _or_zero(pearson(estimator.predict(X), _floats(y)))


def risk_adjusted_coefficient(estimator: OnBars, X: object, y: npt.ArrayLike) -> float:
    """Return the correlation of position and next return in units of the volatility known at the row.

    Wild stretches count no more than calm ones. Rows on which the volatility still warms up are left out.
    """
    return _or_zero(pearson(estimator.predict(X), _floats(y) / estimator.risk(X)))


def smoothness(estimator: OnBars, X: object, y: npt.ArrayLike) -> float:
    """Return the correlation of the sum of pnl so far with time: 1 for a straight way up, -1 for one down.

    Time is the count of rows in the order given, so that rows left out between two test blocks are no flat stretch.
    """
    return _or_zero(straightness(known(estimator.predict(X) * _floats(y))))


def straightness(pnl: Floats) -> float:
    """Return the correlation of ``cumsum(pnl)`` with time; NaN if that sum never moves, or for fewer than two bars."""
    return pearson(np.cumsum(pnl), np.arange(pnl.size, dtype=np.float64))


@dataclass(frozen=True, slots=True)
class SharpeAfterCosts:
    """Score by the annual Sharpe ratio of what is left of the pnl after the costs of trading.

    Parameters
    ----------
    cost : float, default=0.0003
        What trading takes, as a fraction of the notional traded: half the spread, slippage and commission.
    bars_per_year : float, default=8760
        Hours of 365 days.
    """

    cost: float = 0.0003
    bars_per_year: float = ANNUAL_BARS

    def __call__(self, estimator: OnBars, X: object, y: npt.ArrayLike) -> float:
        return _or_zero(sharpe(self.returns(estimator, X, y), bars_per_year=self.bars_per_year))

    def returns(self, estimator: OnBars, X: object, y: npt.ArrayLike) -> Floats:
        """Return what rows ``X`` earned after costs, fractions of capital; rows without a next return left out.

        A row pays for the change from the bar before it, whether or not that bar is in ``X``: the start of a test block
        is not a trade from nothing.
        """
        return known(estimator.predict(X) * _floats(y) - self.cost * estimator.traded(X))


SCORERS: dict[str, Scorer] = {
    "ic": information_coefficient,
    "risk_adjusted_ic": risk_adjusted_coefficient,
    "smoothness": smoothness,
    "sharpe": SharpeAfterCosts(),
}


def known(x: Floats) -> Floats:
    """Return the entries that are not NaN."""
    return x[~np.isnan(x)]


def _centred(x: Floats) -> Floats:
    """Return distances from the mean in units of the largest, whose squares are neither too large nor too small."""
    distances = x - x.mean()
    scaled: Floats = distances / np.abs(distances).max()
    return scaled


def _floats(y: npt.ArrayLike) -> Floats:
    return np.asarray(y, dtype=np.float64)


def _or_zero(score: float) -> float:
    return 0.0 if np.isnan(score) else score
