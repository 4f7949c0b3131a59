"""What a curve of equity amounts to, in passes that run on several bars at once.

Sums are kept in ``LANES`` parts, bar by bar in turn, because additions to one number wait for each other.
"""

from __future__ import annotations

import numpy as np

from strategies.kernels.jit import Floats, compiled

MEAN, SQUARES, LEVELS, WORST, LAST, FIGURES = range(6)
LANES, TILE = 16, 128  # parts of a sum, bars whose extremes are found together


def figures_py(equity: Floats, start: float, returns: Floats) -> Floats:
    """Return the moments of an equity's returns, and its deepest fall.

    Parameters
    ----------
    equity : ndarray of shape (n_bars,), float64
        At each bar's close; at least one.
    start : float
        Before the first bar, above 0.
    returns : ndarray of shape (n_bars,), float64
        Written to: each bar's change as a fraction of the equity before; 0 where nothing was left.

    Returns
    -------
    ndarray of shape (FIGURES,), float64
        ``MEAN`` of the returns, ``SQUARES`` of their distances from it, the sum of ``LEVELS``, the least (``WORST``)
        ratio of equity to its peak so far, start included, and the ``LAST`` equity.
    """
    n = equity.size
    out = np.empty(FIGURES)
    returns[0] = (equity[0] - start) / start
    for t in range(1, n):
        change = (equity[t] - equity[t - 1]) / equity[t - 1]
        returns[t] = change if equity[t - 1] > 0.0 else 0.0
    out[MEAN] = _total(returns) / n
    out[SQUARES] = _squares(returns, out[MEAN])
    out[LEVELS] = _total(equity)
    out[WORST] = _worst(equity, start)
    out[LAST] = equity[n - 1]
    return out


def _total_py(x: Floats) -> float:
    """Return the sum."""
    parts = np.zeros(LANES)
    whole = x.size - x.size % LANES
    for t in range(0, whole, LANES):
        for j in range(LANES):
            parts[j] += x[t + j]
    for t in range(whole, x.size):
        parts[t - whole] += x[t]
    return _added(parts)


def _squares_py(x: Floats, centre: float) -> float:
    """Return the sum of squared distances from ``centre``."""
    parts = np.zeros(LANES)
    whole = x.size - x.size % LANES
    for t in range(0, whole, LANES):
        for j in range(LANES):
            parts[j] += (x[t + j] - centre) * (x[t + j] - centre)
    for t in range(whole, x.size):
        parts[t - whole] += (x[t] - centre) * (x[t] - centre)
    return _added(parts)


def _added_py(parts: Floats) -> float:
    total = 0.0
    for part in parts:
        total += part
    return total


def _worst_py(equity: Floats, start: float) -> float:
    """Return the least ratio to the highest so far: bar by bar only in tiles that reach a new peak."""
    peak, worst = start, 1.0
    highs, lows = np.empty(LANES), np.empty(LANES)
    for begin in range(0, equity.size, TILE):
        end = min(begin + TILE, equity.size)
        _extremes(equity, begin, end, highs, lows)
        if highs.max() <= peak:
            worst = min(worst, lows.min() / peak)
            continue
        for t in range(begin, end):
            peak = max(peak, equity[t])
            if equity[t] < worst * peak:
                worst = min(worst, equity[t] / peak)
    return worst


def _extremes_py(x: Floats, begin: int, end: int, highs: Floats, lows: Floats) -> None:
    """Write the largest and the smallest of every ``LANES``-th bar of a stretch."""
    highs[:] = lows[:] = x[begin]
    whole = end - (end - begin) % LANES
    for t in range(begin, whole, LANES):
        for j in range(LANES):
            value = x[t + j]
            highs[j] = value if value > highs[j] else highs[j]
            lows[j] = value if value < lows[j] else lows[j]
    for t in range(whole, end):
        highs[0], lows[0] = max(highs[0], x[t]), min(lows[0], x[t])


_added = compiled(_added_py)
_total = compiled(_total_py)
_squares = compiled(_squares_py)
_extremes = compiled(_extremes_py)
_worst = compiled(_worst_py)
figures = compiled(figures_py)
