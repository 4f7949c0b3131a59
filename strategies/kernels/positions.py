"""What holding a series of positions would have earned, and the numbers that scale it."""

from __future__ import annotations

import numpy as np

from strategies.kernels.jit import Floats, compiled


def pnl_ema_py(exposure: Floats, returns: Floats, span: int) -> Floats:
    """Return the exponentially weighted mean of ``exposure[t - 1] * returns[t]``, NaN counted as 0.

    Parameters
    ----------
    exposure : ndarray of shape (n_bars,), float64
        Fraction of capital, decided at the close of a bar and held over the next.
    returns : ndarray of shape (n_bars,), float64
        Fraction of price, from the bar before.
    span : int
        Bars, at least 1. Callers check it.

    Returns
    -------
    ndarray of shape (n_bars,), float64
        Fraction of capital per bar; never NaN, 0 until something was held.
    """
    n = exposure.size
    out = np.zeros(n)
    alpha = 2.0 / (span + 1.0)
    beta = 1.0 - alpha
    mean = 0.0
    for t in range(1, n):
        pnl = exposure[t - 1] * returns[t]
        mean = beta * mean + (alpha * pnl if pnl - pnl == 0.0 else 0.0)
        out[t] = mean
    return out


def decayed_py(
    exposure: Floats,
    returns: Floats,
    span: int,
    defactor: float,
    line: tuple[float, float, float, float],
) -> tuple[Floats, Floats]:
    """Return ``exposure`` after decay, and the decay factors: both in the pass that follows its pnl.

    Parameters
    ----------
    exposure, returns, span
        See ``pnl_ema_py``.
    defactor : float
        Unit of the pnl average, positive.
    line : (base, slope, low, high)
        The factor is ``base + slope * clip(pnl_ema / defactor, low, high)``.

    Returns
    -------
    decayed, factors : ndarray of shape (n_bars,), float64
        ``decayed`` is NaN where ``exposure`` is; ``factors`` never are.
    """
    n = exposure.size
    decayed = np.empty(n)
    factors = np.empty(n)
    base, slope, low, high = line
    alpha = 2.0 / (span + 1.0)
    beta = 1.0 - alpha
    mean = 0.0
    for t in range(n):
        if t > 0:
            pnl = exposure[t - 1] * returns[t]
            mean = beta * mean + (alpha * pnl if pnl - pnl == 0.0 else 0.0)
        score = min(max(mean / defactor, low), high)
        factors[t] = base + slope * score
        decayed[t] = exposure[t] * factors[t]
    return decayed, factors


def finite_std_py(x: Floats, where: Floats) -> float:
    """Return the standard deviation (``ddof=1``) of the entries at which neither ``x`` nor ``where`` is NaN.

    NaN for fewer than two such entries.
    """
    count = 0
    total = 0.0
    for t in range(x.size):
        if x[t] + where[t] == x[t] + where[t]:
            count += 1
            total += x[t]
    if count < 2:
        return np.nan
    mean = total / count
    squares = 0.0
    for t in range(x.size):
        if x[t] + where[t] == x[t] + where[t]:
            squares += (x[t] - mean) * (x[t] - mean)
    return float(np.sqrt(squares / (count - 1)))


pnl_ema = compiled(pnl_ema_py)
decayed = compiled(decayed_py)
finite_std = compiled(finite_std_py)
