"""The ratios and tails of returns. Arrays in, one number out; NaN where it is undefined, never an infinity.

``returns`` are fractions of capital, one finite number a bar. Nothing is subtracted for a riskless rate. The libraries
quantstats and empyrical-reloaded define the same unless a docstring says how they differ.
"""

from __future__ import annotations

import math

import numpy as np

from market.bars import Floats

TAIL = 5.0  # per cent on either side


def mean(x: Floats) -> float:
    """Return the mean, NaN of nothing."""
    return float(x.mean()) if x.size else np.nan


def deviation(returns: Floats) -> float:
    """Return the standard deviation (``ddof=1``) of a bar; exactly 0 of equal returns, NaN for fewer than two."""
    if returns.size < 2:
        return np.nan
    return float(returns.std(ddof=1)) if np.ptp(returns) else 0.0  # a mean rounds, and equal returns would deviate


def sharpe(returns: Floats, *, bars_per_year: float) -> float:
    """Return mean over standard deviation of a bar, times ``sqrt(bars_per_year)``.

    NaN for equal returns or fewer than two (the libraries: an infinity for equal returns that are not 0).
    """
    return _ratio(mean(returns), deviation(returns)) * math.sqrt(bars_per_year)


def sortino(returns: Floats, *, bars_per_year: float) -> float:
    """Return mean over downside deviation of a bar, times ``sqrt(bars_per_year)``.

    The downside deviation is the root of the mean, over all bars, of the squares of the negative returns. NaN without
    any (empyrical-reloaded: an infinity), and for fewer than two bars.
    """
    if returns.size < 2:
        return np.nan
    downside = math.sqrt(mean(np.square(np.minimum(returns, 0.0))))
    return _ratio(mean(returns), downside) * math.sqrt(bars_per_year)


def annual_growth(total: float, years: float) -> float:
    """Return the yearly return that compounds to ``total``, a fraction, in so many years.

    -1 once everything is lost; NaN for no time, or where the figure is beyond what a float holds.
    """
    if total <= -1.0:
        return -1.0
    exponent = math.log1p(total) / years if years > 0 else math.inf
    return math.expm1(exponent) if exponent < math.log(np.finfo(np.float64).max) else np.nan


def value_at_risk(returns: Floats) -> float:
    """Return the return of one bar that 95 % of bars are better than: the historical 5 % quantile, interpolated.

    A loss is negative, as in empyrical-reloaded. quantstats gives the quantile of a normal distribution instead.
    """
    return float(np.percentile(returns, TAIL)) if returns.size else np.nan


def expected_shortfall(returns: Floats) -> float:
    """Return the mean of the returns at or below ``value_at_risk``, as quantstats with ``method="historical"``.

    empyrical-reloaded takes the worst ``int(0.05 * (n - 1)) + 1`` bars, which with ties and few bars differs.
    """
    return mean(returns[returns <= value_at_risk(returns)]) if returns.size else np.nan


def hit_rate(returns: Floats) -> float:
    """Return the share of winning bars among those that won or lost; NaN if none did (quantstats: 0)."""
    return _ratio(float(np.count_nonzero(returns > 0)), float(np.count_nonzero(returns)))


def profit_factor(returns: Floats) -> float:
    """Return what winning bars won over what losing bars lost; NaN without a losing bar (quantstats: inf or 0)."""
    return _ratio(float(np.maximum(returns, 0.0).sum()), -float(np.minimum(returns, 0.0).sum()))


def tail_ratio(returns: Floats) -> float:
    """Return the size of the 95 % quantile over that of the 5 % quantile; NaN where that is 0."""
    if not returns.size:
        return np.nan
    low, high = np.percentile(returns, [TAIL, 100.0 - TAIL])
    return _ratio(abs(float(high)), abs(float(low)))


def calmar(cagr: float, max_drawdown: float) -> float:
    """Return the yearly return over the size of the deepest drawdown; NaN without one."""
    return _ratio(cagr, -max_drawdown)


def _ratio(numerator: float, denominator: float) -> float:
    """Return the ratio, NaN where it is undefined or larger than a float can be."""
    if not denominator > 0.0:
        return np.nan
    ratio = numerator / denominator
    return ratio if math.isfinite(ratio) else np.nan
