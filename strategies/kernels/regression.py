"""Rolling regressions of ``y`` on a constant and one regressor, with t-values, by two-block sums.

Like ``rolling``: moments are summed backwards over one block and forwards over the next, about a centre taken from
the first, so that nothing is subtracted from a running sum. Equal to statsmodels' ``RollingOLS`` and ``RollingWLS``
where those are accurate, and right on price levels, far offsets and after spikes, where their sums cancel.

Degenerate windows, decided here:

- a NaN in the window: NaN in all four results;
- a regressor that is constant over the window: NaN in all four, for constant and slope cannot be told apart;
- a perfect fit: residuals of rounding size or exactly 0, so the t-values are huge, infinite, or NaN where the
  coefficient is 0 too. Callers that use the size of a t-value have to bound it.
"""

from __future__ import annotations

import numpy as np

from strategies.kernels.jit import Floats, compiled

ALPHA, BETA, ALPHA_T, BETA_T = range(4)  # rows of the result


def rolling_ols_py(y: Floats, x: Floats, window: int) -> Floats:
    """Return constant, slope and their t-values of ``y = alpha + beta x`` over the last ``window`` bars.

    Parameters
    ----------
    y, x : ndarray of shape (n_bars,), float64
    window : int
        Bars, at least 3: two coefficients and one degree of freedom. Callers check it.

    Returns
    -------
    ndarray of shape (4, n_bars), float64
        Rows ``ALPHA, BETA, ALPHA_T, BETA_T``; NaN in the first ``window - 1`` entries and in degenerate windows.
    """
    n = y.size
    out = np.full((4, n), np.nan)
    tail = np.empty((5, window))
    head = np.empty((5, window))
    share = 1.0 / window
    freedom = 1.0 / (window - 2)
    for start in range(0, n - window + 1, window):
        centre_x, centre_y = _centre(y, x, start, window)
        last = start + window - 1
        count = min(window, n - last)
        sx = sy = sxx = sxy = syy = 0.0
        for k in range(window - 1, -1, -1):
            dx = x[start + k] - centre_x
            dy = y[start + k] - centre_y
            sx += dx
            sy += dy
            sxx += dx * dx
            sxy += dx * dy
            syy += dy * dy
            tail[0, k], tail[1, k], tail[2, k], tail[3, k], tail[4, k] = sx, sy, sxx, sxy, syy
        sx = sy = sxx = sxy = syy = 0.0
        head[:, 0] = 0.0
        for k in range(1, count):
            dx = x[last + k] - centre_x
            dy = y[last + k] - centre_y
            sx += dx
            sy += dy
            sxx += dx * dx
            sxy += dx * dy
            syy += dy * dy
            head[0, k], head[1, k], head[2, k], head[3, k], head[4, k] = sx, sy, sxx, sxy, syy
        # Nothing is carried from one turn of this loop to the next, so it runs on several bars at once.
        for k in range(count):
            mean_x = (tail[0, k] + head[0, k]) * share
            mean_y = (tail[1, k] + head[1, k]) * share
            cxx = tail[2, k] + head[2, k] - window * mean_x * mean_x
            cxy = tail[3, k] + head[3, k] - window * mean_x * mean_y
            cyy = tail[4, k] + head[4, k] - window * mean_y * mean_y
            inverse = 1.0 / cxx
            beta = cxy * inverse
            at_zero = centre_x + mean_x
            alpha = centre_y + mean_y - beta * at_zero
            noise = (cyy - beta * cxy) * freedom
            noise = 0.0 if noise < 0.0 else noise
            out[0, last + k] = alpha
            out[1, last + k] = beta
            out[2, last + k] = alpha / np.sqrt(noise * (share + at_zero * at_zero * inverse))
            out[3, last + k] = beta / np.sqrt(noise * inverse)
    _blank_constant(x, window, out)
    return out


def rolling_wls_py(y: Floats, x: Floats, weights: Floats, window: int) -> Floats:
    """Return constant, slope and their t-values of a weighted fit over the last ``window`` bars.

    Parameters and result as ``rolling_ols_py``, and:

    weights : ndarray of shape (n_bars,), float64
        One positive weight an observation (not a lag): the inverse of its variance, up to a factor.
    """
    n = y.size
    out = np.full((4, n), np.nan)
    tail = np.empty((6, window))
    head = np.empty((6, window))
    freedom = 1.0 / (window - 2)
    for start in range(0, n - window + 1, window):
        centre_x, centre_y = _centre(y, x, start, window)
        last = start + window - 1
        count = min(window, n - last)
        s = sx = sy = sxx = sxy = syy = 0.0
        for k in range(window - 1, -1, -1):
            weight = weights[start + k]
            dx = x[start + k] - centre_x
            dy = y[start + k] - centre_y
            s += weight
            sx += weight * dx
            sy += weight * dy
            sxx += weight * dx * dx
            sxy += weight * dx * dy
            syy += weight * dy * dy
            tail[0, k], tail[1, k], tail[2, k], tail[3, k], tail[4, k], tail[5, k] = sx, sy, sxx, sxy, syy, s
        s = sx = sy = sxx = sxy = syy = 0.0
        head[:, 0] = 0.0
        for k in range(1, count):
            weight = weights[last + k]
            dx = x[last + k] - centre_x
            dy = y[last + k] - centre_y
            s += weight
            sx += weight * dx
            sy += weight * dy
            sxx += weight * dx * dx
            sxy += weight * dx * dy
            syy += weight * dy * dy
            head[0, k], head[1, k], head[2, k], head[3, k], head[4, k], head[5, k] = sx, sy, sxx, sxy, syy, s
        for k in range(count):
            total = tail[5, k] + head[5, k]
            share = 1.0 / total
            mean_x = (tail[0, k] + head[0, k]) * share
            mean_y = (tail[1, k] + head[1, k]) * share
            cxx = tail[2, k] + head[2, k] - total * mean_x * mean_x
            cxy = tail[3, k] + head[3, k] - total * mean_x * mean_y
            cyy = tail[4, k] + head[4, k] - total * mean_y * mean_y
            inverse = 1.0 / cxx
            beta = cxy * inverse
            at_zero = centre_x + mean_x
            alpha = centre_y + mean_y - beta * at_zero
            noise = (cyy - beta * cxy) * freedom
            noise = 0.0 if noise < 0.0 else noise
            out[0, last + k] = alpha
            out[1, last + k] = beta
            out[2, last + k] = alpha / np.sqrt(noise * (share + at_zero * at_zero * inverse))
            out[3, last + k] = beta / np.sqrt(noise * inverse)
    _blank_constant(x, window, out)
    return out


def _centre_py(y: Floats, x: Floats, start: int, window: int) -> tuple[float, float]:
    """Return values of the block to measure distances from: of three, the middle one, so never a lone spike."""
    middle = start + window // 2
    end = start + window - 1
    centre_x = max(min(x[start], x[middle]), min(max(x[start], x[middle]), x[end]))
    centre_y = max(min(y[start], y[middle]), min(max(y[start], y[middle]), y[end]))
    if not (np.isfinite(centre_x) and np.isfinite(centre_y)):
        centre_x = centre_y = 0.0
        for k in range(start, start + window):
            if np.isfinite(x[k]) and np.isfinite(y[k]):
                centre_x = x[k]
                centre_y = y[k]
    return centre_x, centre_y


def _blank_constant_py(x: Floats, window: int, out: Floats) -> None:
    """Put NaN where the regressor was constant: its centred square is 0 or what rounding made of 0."""
    run = 1
    for t in range(1, x.size):
        run = run + 1 if x[t] == x[t - 1] else 1
        if run >= window:
            out[:, t] = np.nan


_centre = compiled(_centre_py)
_blank_constant = compiled(_blank_constant_py)
rolling_ols = compiled(rolling_ols_py)
rolling_wls = compiled(rolling_wls_py)
