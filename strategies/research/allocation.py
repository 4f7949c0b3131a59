"""Shares of a portfolio's symbols and the scale of its capital, estimated from past hourly closes.

Everything is estimated from the table of returns that it is given. ``window_returns`` cuts that from closes and reads
none after the time it is asked for, so no share knows more than was known then. Shares are fractions of the sizing
capital; volatilities are fractions a year of 365 days.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm, rankdata

from market.bars import Floats
from strategies.blocks import ANNUAL_ROOT
from strategies.errors import InsufficientHistoryError, ParameterError
from strategies.estimators.parameters import Number, Whole, check_parameters
from strategies.research.errors import ReturnsError
from strategies.research.ratios import deviation

Allocation = Callable[[Floats, Floats], Floats]

LONGEST_GAP = pd.Timedelta(hours=96)  # a long weekend; closes that are missing for longer are no history
MOST_STEPS = 20  # of Newton's method
EQUAL_RISK = 1e-6  # how far a share of the risk may be from 1 / n
SMALLEST = float(np.finfo(np.float64).tiny)
ALIKE = 1e-12  # correlations that differ by no more differ by rounding


def window_returns(closes: pd.Series, *, until: datetime, lookback: int) -> pd.Series:
    """Return the returns of the last ``lookback`` hours, none of them later than ``until``.

    Hours without a bar (the market was closed, or the bar is not there yet) keep the close before them, so that all
    symbols have the same hours and a year has ``ANNUAL_BARS`` of them.

    Parameters
    ----------
    closes : Series of shape (n_bars,), float64
        Prices by bar-open time: aware UTC, increasing. Later ones than ``until`` are not looked at.
    until : datetime
        Open time of the newest bar that counts, a full hour in UTC.
    lookback : int
        Hours, at least 2.

    Returns
    -------
    Series of shape (lookback,), float64
        ``close_t / close_{t-1} - 1`` by hour, oldest first; the last is that of the bar ``until``.

    Raises
    ------
    InsufficientHistoryError
        If closes begin after the window does, or are missing for more than ``LONGEST_GAP`` within it.
    ReturnsError
        If closes are out of order, not finite and above 0, or all the same.
    """
    check_parameters("window_returns", {"lookback": Whole(2)}, {"lookback": lookback})
    hours = pd.date_range(end=until, periods=lookback + 1, freq="h")
    known = closes[closes.index <= until]
    _check_reach(known.index, hours)
    prices = known.reindex(hours, method="ffill")
    _check_prices(prices)
    return (prices / prices.shift(1) - 1.0).iloc[1:]


def _check_reach(known: pd.Index, hours: pd.DatetimeIndex) -> None:
    """Raise unless closes in order reach back to the first hour and leave no long gap, the last hour included."""
    if not known.is_unique or not known.is_monotonic_increasing:
        raise ReturnsError("the times of closes must be strictly increasing without duplicates")
    in_reach = known.searchsorted(hours[0], side="right")
    if not in_reach:
        since = f"begin at {known[0]:%Y-%m-%d %H:%M}" if len(known) else "there are none"
        words = f"closes must reach back {len(hours) - 1} hours, to {hours[0]:%Y-%m-%d %H:%M}: {since}"
        raise InsufficientHistoryError(words, count=len(known), needed=len(hours))
    edges = known[in_reach - 1 :].append(hours[-1:])
    gaps = edges[1:] - edges[:-1]
    if gaps.max() > LONGEST_GAP:
        at = edges[int(np.argmax(gaps > LONGEST_GAP))]
        raise InsufficientHistoryError(
            f"closes may be missing for {LONGEST_GAP / pd.Timedelta(hours=1):.0f} hours at most: "
            f"the one after {at:%Y-%m-%d %H:%M} is missing for longer",
            count=len(known),
            needed=len(hours),
        )


def _check_prices(prices: pd.Series) -> None:
    values = prices.to_numpy(dtype=np.float64)
    fine = (values > 0) & (values < np.inf)  # false for NaN
    if not fine.all():
        at = int(np.argmin(fine))
        raise ReturnsError(f"closes must be finite and above 0, was {values[at]} at {prices.index[at]}")
    if not np.ptp(values):
        raise ReturnsError(f"closes must have changed within {len(values) - 1} hours, all were {values[0]}")


def fixed(returns: Floats, given: Floats) -> Floats:
    """Return the shares as they were given."""
    return given


def inverse_volatility(returns: Floats, given: Floats) -> Floats:
    """Return shares proportional to one over the volatility; correlations do not matter."""
    from skfolio.optimization import InverseVolatility  # type: ignore[import,unused-ignore]  # ships no types

    smallest = returns.std(axis=0, ddof=1).min()  # as the unit: a variance below 1e-15 is none to the library
    return _as_shares(_solved(InverseVolatility(), returns / smallest))


def risk_parity(returns: Floats, given: Floats) -> Floats:
    """Return the shares of which each brings the same part of the portfolio's variance.

    Maillard, Roncalli and Teïletche, "The Properties of Equally Weighted Risk Contribution Portfolios" (2010). Solved
    for returns in units of their own volatility, and divided by it afterwards: the same portfolio, but the variance of
    raw hourly returns is so small that the solver's tolerance is a good part of it.

    Raises
    ------
    ReturnsError
        If there is no such portfolio: some mix of the symbols has no risk at all.
    """
    from skfolio.optimization import RiskBudgeting

    volatility = returns.std(axis=0, ddof=1)
    unit = returns / volatility
    near = _solved(RiskBudgeting(), unit)
    return _as_shares(_refined(near, np.atleast_2d(np.cov(unit, rowvar=False))) / volatility)


def _solved(optimisation: Any, returns: Floats) -> Floats:
    """Return the weights that the library finds."""
    from skfolio.exceptions import SkfolioError  # type: ignore[import,unused-ignore]

    with warnings.catch_warnings():
        # "Inaccurate" is refined and judged below; "not positive definite" are symbols that move alike.
        warnings.simplefilter("ignore", UserWarning)
        try:
            return np.asarray(optimisation.fit(returns).weights_, dtype=np.float64)
        except SkfolioError as error:
            raise ReturnsError(f"no shares were found: {error}") from error


def _refined(near: Floats, covariance: Floats) -> Floats:
    """Return positive weights of equal risk, from ones whose risks differ by some 1e-5 of themselves.

    Newton's steps to the minimum of ``x' C x / 2 - mean(log x)``, at which each ``x_i (C x)_i`` is ``1 / n``: Spinu,
    "An Algorithm for Computing Risk Parity Weights" (2013).
    """
    part = 1.0 / near.size
    x: Floats = near / math.sqrt(max(float(near @ covariance @ near), SMALLEST))
    for _ in range(MOST_STEPS):
        excess = x * (covariance @ x) - part
        if np.abs(excess).max() < EQUAL_RISK**2:
            break
        try:
            step = np.linalg.solve(covariance + np.diag(part / x**2), excess / x)
        except np.linalg.LinAlgError:
            break  # x grew without end, for there is always less risk to be had
        x = np.maximum(x - step, x / 10.0)  # a step too long stays positive
    if not np.abs(x * (covariance @ x) - part).max() < EQUAL_RISK:
        raise ReturnsError("no shares of equal risk were found: some mix of these symbols has next to no risk")
    return x


def minimum_correlation(returns: Floats, given: Floats) -> Floats:
    """Return shares that favour what moves least with the rest, each over its volatility.

    Varadi, Kapler, Bee and Rittenhouse, "The Minimum Correlation Algorithm: A Practical Diversification Tool" (2012):
    correlations become upper tails of the normal distribution with their mean and deviation, symbols are ranked by
    their average tail, the largest first, and the tails are averaged once more with the ranks as weights. Ranks make
    shares jump where two symbols change places. Two symbols, or equal correlations, leave one over the volatility.
    """
    n_symbols, volatility = returns.shape[1], returns.std(axis=0, ddof=1)
    correlation = np.atleast_2d(np.corrcoef(returns, rowvar=False))
    pairs = correlation[np.triu_indices(n_symbols, 1)]
    if n_symbols <= 2 or np.ptp(pairs) < ALIKE:
        return _as_shares(1.0 / volatility)
    tails = norm.sf(correlation, pairs.mean(), pairs.std(ddof=1))
    np.fill_diagonal(tails, 0.0)
    ranks = rankdata(-tails.sum(axis=1))
    return _as_shares(ranks @ tails / volatility)


def _as_shares(x: Floats) -> Floats:
    return np.asarray(x / math.fsum(x), dtype=np.float64)


# How the capital is shared out: from returns of shape (n_hours, n_symbols) and the fixed shares (n_symbols,).
ALLOCATIONS: dict[str, Allocation] = {
    "fixed": fixed,
    "inverse_volatility": inverse_volatility,
    "risk_parity": risk_parity,
    "minimum_correlation": minimum_correlation,
}


def allocate(method: str, returns: pd.DataFrame, given: pd.Series) -> pd.Series:
    """Return each symbol's share of the capital.

    Parameters
    ----------
    method : str
        A key of ``ALLOCATIONS``.
    returns : DataFrame of shape (n_hours, n_symbols or more), float64
        A column a symbol, from ``window_returns``. ``fixed`` does not look at it.
    given : Series of shape (n_symbols,), float64
        The symbols, and what a person gave them.

    Returns
    -------
    Series of shape (n_symbols,), float64
        At least 0 and 1 in sum, on the index of ``given``; ``fixed`` returns what was given, whatever its sum.

    Raises
    ------
    ParameterError
        If nothing is called that.
    InsufficientHistoryError
        If there are no more hours than symbols: their covariance would say nothing.
    ReturnsError
        If returns are not finite, all equal, or allow no such shares.
    """
    if method not in ALLOCATIONS:
        raise ParameterError(f"no weighting {method!r}; known: {', '.join(ALLOCATIONS)}")
    function = ALLOCATIONS[method]
    values = np.empty((0, len(given))) if function is fixed else _checked(returns, given.index)
    return pd.Series(function(values, given.to_numpy(dtype=np.float64)), index=given.index)


def annual_volatility(returns: pd.DataFrame, shares: pd.Series) -> float:
    """Return the volatility a year (``ddof=1``) of holding symbols at their shares; raises as ``allocate``."""
    return deviation(_checked(returns, shares.index) @ shares.to_numpy(dtype=np.float64)) * ANNUAL_ROOT


def _checked(returns: pd.DataFrame, symbols: pd.Index) -> Floats:
    """Return the returns of symbols, from which a covariance can be estimated."""
    n_hours, n_symbols = len(returns), len(symbols)
    if not n_symbols or n_hours <= n_symbols:
        words = f"{n_symbols} symbols need returns of more than {max(n_symbols, 1)} hours, there are {n_hours}"
        raise InsufficientHistoryError(words, count=n_hours, needed=max(n_symbols, 1) + 1)
    if unknown := [str(name) for name in symbols if name not in returns.columns]:
        raise ReturnsError(f"there are no returns of {', '.join(unknown)}")
    values = returns[list(symbols)].to_numpy(dtype=np.float64)
    for name, column in zip(symbols, values.T, strict=True):
        n_wrong = int(np.count_nonzero(~np.isfinite(column)))
        if n_wrong:
            raise ReturnsError(f"the returns of {name} must be finite numbers, {n_wrong} of {n_hours} were not")
        if not np.ptp(column):
            raise ReturnsError(f"the returns of {name} must differ, all were {column[0]}")
    return values


def volatility_scale(volatility: float, *, target: float, max_scale: float) -> float:
    """Return what the capital is multiplied by to bring its volatility to ``target``, at most ``max_scale``.

    Both volatilities are fractions a year. Without any, the scale is ``max_scale``.

    Raises
    ------
    ParameterError
        If the target or ``max_scale`` is not above 0, the volatility is below 0, or one of them is not finite.
    """
    above_zero = Number(0.0, above=True)
    check_parameters(
        "volatility_scale",
        {"volatility": Number(0.0), "target": above_zero, "max_scale": above_zero},
        {"volatility": volatility, "target": target, "max_scale": max_scale},
    )
    return min(target / volatility, max_scale) if volatility else max_scale
