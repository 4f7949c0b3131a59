"""Exponentially weighted averages and deviations, equal to pandas' ``ewm(span, adjust=False, ignore_na=False)``.

Missing values (NaN, and infinities, which pandas treats alike) inside a series are skipped while time goes on: the
last result is repeated, and the weight of what is old goes on decaying, so that the next value counts for more.
A result appears once ``span`` values have been seen (``min_periods=span``).

pandas 3.0 and 3.1 give the mean after a gap another weight for ``span=3`` alone, a known fault of theirs (pandas issue
66521); here a span of three is like every other.
"""

from __future__ import annotations

import numpy as np

from strategies.kernels.jit import Floats, compiled


def ema_py(x: Floats, span: int) -> Floats:
    """Return the exponentially weighted mean of ``x``, NaN while warming up.

    Parameters
    ----------
    x : ndarray of shape (n_bars,), float64
        NaN is skipped, see the module.
    span : int
        Bars, at least 1; the weight of the newest value is ``2 / (span + 1)``. Callers check it.

    Returns
    -------
    ndarray of shape (n_bars,), float64
        Same unit as ``x``; NaN until ``span`` values have been seen.
    """
    n = x.size
    out = np.full(n, np.nan)
    alpha = 2.0 / (span + 1.0)
    beta = 1.0 - alpha
    kept = beta  # what a unit of old weight has become
    mean = 0.0
    seen = 0
    for t in range(n):
        value = x[t]
        if value - value == 0.0:  # finite
            seen += 1
            if seen == 1:
                mean = value
            elif mean != value:  # a constant series stays exactly constant
                mean = kept * mean + alpha * value
                if kept != beta:
                    mean /= kept + alpha
            kept = beta
        else:
            kept *= beta
        if seen >= span:
            out[t] = mean
    return out


def ewm_std_py(x: Floats, span: int) -> Floats:
    """Return the exponentially weighted standard deviation of ``x`` (``bias=False``), NaN while warming up.

    Parameters
    ----------
    x : ndarray of shape (n_bars,), float64
        NaN is skipped, see the module.
    span : int
        Bars, at least 2; one value has no deviation. Callers check it.

    Returns
    -------
    ndarray of shape (n_bars,), float64
        Same unit as ``x``, exactly 0 while ``x`` has been constant; NaN until ``span`` values have been seen.

    Notes
    -----
    With ``g`` the weight of the new value, ``d`` its distance from the mean and ``q`` the sum of squared weights:
    ``var = (1 - g) * (var + g * d**2)``, ``q = (1 - g)**2 * q + g**2``, and ``var / (1 - q)`` is unbiased.
    """
    n = x.size
    variances = np.full(n, np.nan)
    weights = np.ones(n)
    alpha = 2.0 / (span + 1.0)
    beta = 1.0 - alpha
    kept = beta
    mean = np.nan
    variance = 0.0
    squares = 1.0
    seen = 0
    for t in range(n):
        value = x[t]
        if value - value != 0.0:  # not finite
            kept *= beta
        else:
            seen += 1
            if mean != mean:
                mean = value
            else:
                gain = alpha if kept == beta else alpha / (kept + alpha)
                distance = value - mean
                if distance != 0.0:  # a constant series keeps its mean exactly
                    mean = (1.0 - gain) * mean + gain * value
                variance = (1.0 - gain) * (variance + gain * distance * distance)
                squares = (1.0 - gain) * (1.0 - gain) * squares + gain * gain
            kept = beta
        if seen >= span:
            variances[t] = variance
            weights[t] = 1.0 - squares
    # Apart from the loop above, whose steps wait for each other, roots and divisions run on several bars at once.
    return np.sqrt(variances / weights)


def ema_spread_py(close: Floats, fast: int, slow: int) -> Floats:
    """Return ``ema(close, fast) - ema(close, slow)`` in one pass, which costs about as much as one average alone.

    Parameters
    ----------
    close : ndarray of shape (n_bars,), float64
        Prices, finite: bars that were checked.
    fast, slow : int
        Bars, ``1 <= fast < slow``. Callers check them.

    Returns
    -------
    ndarray of shape (n_bars,), float64
        Same unit as ``close``, exactly 0 while prices have never moved; NaN in the first ``slow - 1`` entries.
    """
    n = close.size
    out = np.full(n, np.nan)
    a = 2.0 / (fast + 1.0)
    b = 2.0 / (slow + 1.0)
    quick = close[0] if n else 0.0
    calm = quick
    for t in range(n):
        price = close[t]
        if price != quick:
            quick = (1.0 - a) * quick + a * price
        if price != calm:
            calm = (1.0 - b) * calm + b * price
        if t >= slow - 1:
            out[t] = quick - calm
    return out


ema = compiled(ema_py)
ewm_std = compiled(ewm_std_py)
ema_spread = compiled(ema_spread_py)
