"""Cross-validate a strategy without ever cutting its bars.

scikit-learn slices ``X[train]``. Bars cut and glued together have a false return at every join, and indicators on them
would warm up on what they should not see. So here ``X`` is row numbers: indicators are computed once over the whole
series, each from its past alone, and a fold fits and is scored on its own rows of them.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from market.bars import BarArrays, Floats, bar_arrays
from strategies import blocks
from strategies.estimators.base import BaseStrategy
from strategies.research.errors import RowsError

Rows = npt.NDArray[np.intp]


class OnBars(BaseEstimator):
    """A strategy on a given series of bars, as an estimator whose ``X`` is row numbers of them.

    ``set_params(strategy__vol_window=240)`` and grids of such names reach the strategy.

    Parameters
    ----------
    strategy : BaseStrategy
        Not changed: a clone is fitted.
    bars : BarArrays or DataFrame of shape (n_bars, n_columns)
        The whole series. Clones share it; check it once with ``market.bars.bar_arrays`` to fit fast.
    risk_window : int, default=720
        Bars of the volatility in ``risk``: the same whatever the strategy, so that scores compare.

    Attributes
    ----------
    strategy_ : BaseStrategy
        Fitted on the rows.
    positions_, risk_ : ndarray of shape (n_bars,), float64
        Its position at every bar, fraction of capital, 0 while warming up; the volatility of one bar, fraction of
        price, NaN while warming up.
    """

    strategy_: BaseStrategy
    positions_: Floats
    risk_: Floats

    def __init__(self, strategy: BaseStrategy, bars: BarArrays | pd.DataFrame, risk_window: int = 720) -> None:
        self.strategy = strategy
        self.bars = bars
        self.risk_window = risk_window

    def fit(self, X: object, y: object = None) -> Self:
        """Learn the strategy's scales from rows ``X``, each as often as it is named.

        Parameters
        ----------
        X : array-like of shape (n_rows,) or (n_rows, 1), whole numbers in 0..n_bars - 1
        y : None
            Not used; scikit-learn passes it.

        Raises
        ------
        RowsError
            If ``X`` is anything else.
        ParameterError, MissingColumnError, InsufficientHistoryError, MissingHoursError, BarsError
            As ``BaseStrategy.fit``; ``min_values`` of the rows must have a value.
        """
        given = self.bars if isinstance(self.bars, BarArrays) else bar_arrays(self.bars)
        # What is derived goes with this object: kept with the shared bars, a search would keep it for every trial.
        bars = BarArrays(given.index, given.columns)
        rows = as_rows(X, len(bars))
        strategy: BaseStrategy = clone(self.strategy)
        seen = strategy.indicators(bars)
        self.strategy_ = strategy.calibrate(seen, rows)
        self.positions_ = strategy.positions(seen)
        self.risk_ = blocks.volatility(bars, self.risk_window) / blocks.ANNUAL_ROOT
        return self

    def predict(self, X: object) -> Floats:
        """Return the positions of rows ``X``, fractions of capital, held over the bar after each."""
        rows = self._rows(X)
        return self.positions_[rows]

    def traded(self, X: object) -> Floats:
        """Return how much rows ``X`` trade: the distance from the position of the bar before, in ``X`` or not."""
        rows = self._rows(X)
        return np.abs(np.diff(self.positions_, prepend=0.0))[rows]

    def risk(self, X: object) -> Floats:
        """Return the volatility of one bar, known at rows ``X``: fraction of price, NaN while warming up."""
        rows = self._rows(X)
        return self.risk_[rows]

    def _rows(self, X: object) -> Rows:
        check_is_fitted(self, "positions_")
        return as_rows(X, self.positions_.size)

    def __sklearn_clone__(self) -> Self:
        """Return an unfitted copy on the same bars: scikit-learn would copy them for every fold."""
        return type(self)(clone(self.strategy), self.bars, self.risk_window)


def as_rows(X: object, n_bars: int) -> Rows:
    """Return row numbers as an array of shape (n_rows,).

    Raises
    ------
    RowsError
        If they are not whole numbers, one a row, or not all in ``0..n_bars - 1``.
    """
    rows = np.asarray(X)
    if rows.ndim == 2 and rows.shape[1] == 1:
        rows = rows[:, 0]
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        raise RowsError(f"X must be row numbers of shape (n_rows,) or (n_rows, 1), was {rows.dtype} of {rows.shape}")
    if rows.size and not (rows.min() >= 0 and rows.max() < n_bars):
        raise RowsError(f"row numbers must be in 0..{n_bars - 1}, were in {rows.min()}..{rows.max()}")
    return rows.astype(np.intp, copy=False)


def rows_and_returns(bars: BarArrays | pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """Return ``X`` and ``y`` to cross-validate ``OnBars`` with: row numbers, and the return of the bar after each.

    The last bar is left out, nothing is known to follow it.

    Returns
    -------
    X : DataFrame of shape (n_bars - 1, 1), column ``row``
    y : Series of shape (n_bars - 1,), fractions of price
        Both on the open times of the bars whose close decides the position.
    """
    checked = bars if isinstance(bars, BarArrays) else bar_arrays(bars)
    index = checked.index[:-1]
    rows = pd.DataFrame({"row": np.arange(len(index))}, index=index)
    return rows, pd.Series(blocks.returns(checked)[1:], index=index, name="next_return")
