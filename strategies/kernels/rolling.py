"""Rolling windows by two-block sums: no value is ever subtracted from a running sum.

Time is cut into blocks of ``window`` bars, so that every window is the end of one block plus the start of the next:
backward sums over a block, forward sums over the next one, and one addition a bar. Running sums that add and
subtract keep the rounding of a spike, and a NaN, for ever; here both are forgotten when they leave the window.

A window with a NaN in it gives NaN, as pandas does with ``min_periods=window``. Infinities are not expected.
"""

from __future__ import annotations

import numpy as np

from strategies.kernels.jit import Floats, compiled


def rolling_mean_py(x: Floats, window: int) -> Floats:
    """Return the mean of the last ``window`` values, NaN while warming up.

    Parameters
    ----------
    x : ndarray of shape (n_bars,), float64
    window : int
        Bars, at least 1. Callers check it: kernels do not raise.

    Returns
    -------
    ndarray of shape (n_bars,), float64
        Same unit as ``x``. NaN in the first ``window - 1`` entries and in windows with a NaN.
    """
    n = x.size
    out = np.full(n, np.nan)
    tail = np.empty(window)
    share = 1.0 / window
    for start in range(0, n - window + 1, window):
        total = 0.0
        for k in range(window - 1, -1, -1):
            total += x[start + k]
            tail[k] = total
        last = start + window - 1
        head = 0.0
        out[last] = tail[0] * share
        for k in range(1, min(window, n - last)):
            head += x[last + k]
            out[last + k] = (tail[k] + head) * share
    return out


def rolling_extremes_py(x: Floats, window: int) -> tuple[Floats, Floats]:
    """Return the largest and the smallest of the last ``window`` values, NaN while warming up.

    Parameters and shape as ``rolling_mean_py``; a pair, largest first.
    """
    n = x.size
    largest = np.full(n, np.nan)
    smallest = np.full(n, np.nan)
    tail_high = np.empty(window)
    tail_low = np.empty(window)
    for start in range(0, n - window + 1, window):
        high = -np.inf
        low = np.inf
        for k in range(window - 1, -1, -1):
            value = x[start + k]
            # "or value != value" lets a NaN in, and no comparison lets it out again.
            high = value if value > high or value != value else high
            low = value if value < low or value != value else low
            tail_high[k] = high
            tail_low[k] = low
        last = start + window - 1
        largest[last] = high
        smallest[last] = low
        high = -np.inf
        low = np.inf
        for k in range(1, min(window, n - last)):
            value = x[last + k]
            high = value if value > high or value != value else high
            low = value if value < low or value != value else low
            largest[last + k] = high if high > tail_high[k] or high != high else tail_high[k]
            smallest[last + k] = low if low < tail_low[k] or low != low else tail_low[k]
    return largest, smallest


def rolling_mean_std_py(x: Floats, window: int) -> tuple[Floats, Floats]:
    """Return mean and standard deviation (``ddof=1``) of the last ``window`` values, NaN while warming up.

    Parameters
    ----------
    x : ndarray of shape (n_bars,), float64
        An offset of 1e8 over a deviation of 1 costs no accuracy: sums are of distances from a value of the block.
    window : int
        Bars, at least 2. Callers check it.

    Returns
    -------
    mean, std : ndarray of shape (n_bars,), float64
        Same unit as ``x``. In a window of equal values the deviation is exactly 0.
    """
    n = x.size
    mean = np.full(n, np.nan)
    std = np.full(n, np.nan)
    tail = np.empty((2, window))
    share = 1.0 / window
    freedom = 1.0 / (window - 1)
    for start in range(0, n - window + 1, window):
        centre = _centre(x, start, window)
        total = 0.0
        squares = 0.0
        for k in range(window - 1, -1, -1):
            distance = x[start + k] - centre
            total += distance
            squares += distance * distance
            tail[0, k] = total
            tail[1, k] = squares
        last = start + window - 1
        total = 0.0
        squares = 0.0
        for k in range(min(window, n - last)):
            if k > 0:
                distance = x[last + k] - centre
                total += distance
                squares += distance * distance
            offset = (tail[0, k] + total) * share
            mean[last + k] = centre + offset
            spread = tail[1, k] + squares - window * offset * offset
            # Not max(spread, 0): which of the two a NaN gives depends on their order.
            std[last + k] = np.sqrt(0.0 if spread < 0.0 else spread * freedom)
    _set_constant(x, window, mean, std)
    return mean, std


def rolling_slope_py(x: Floats, window: int) -> Floats:
    """Return the least-squares slope of the last ``window`` values against bar number, NaN while warming up.

    The source's ``fast_func``.

    Parameters
    ----------
    x : ndarray of shape (n_bars,), float64
    window : int
        Bars, at least 2. Callers check it.

    Returns
    -------
    ndarray of shape (n_bars,), float64
        Unit of ``x`` per bar. NaN in the first ``window - 1`` entries and in windows with a NaN.
    """
    n = x.size
    out = np.full(n, np.nan)
    tail = np.empty((2, window))
    half = (window - 1) / 2.0
    scale = 12.0 / (window * (window * window - 1.0))  # 1 / sum((k - half) ** 2)
    for start in range(0, n - window + 1, window):
        centre = _centre(x, start, window)
        total = 0.0
        moment = 0.0
        for k in range(window - 1, -1, -1):
            total += x[start + k] - centre
            moment += k * (x[start + k] - centre)
            tail[0, k] = total
            tail[1, k] = moment
        last = start + window - 1
        total = 0.0
        moment = 0.0
        for k in range(min(window, n - last)):
            if k > 0:
                total += x[last + k] - centre
                moment += (window - 1 + k) * (x[last + k] - centre)
            # Bar numbers count from the start of the block; the window begins k bars later.
            out[last + k] = (tail[1, k] + moment - (k + half) * (tail[0, k] + total)) * scale
    return out


def _centre_py(x: Floats, start: int, window: int) -> float:
    """Return a value of the block to measure distances from: of three, the middle one, so never a lone spike."""
    first, middle, end = x[start], x[start + window // 2], x[start + window - 1]
    centre: float = max(min(first, middle), min(max(first, middle), end))
    if not np.isfinite(centre):
        centre = 0.0
        for k in range(start, start + window):
            if np.isfinite(x[k]):
                centre = x[k]
    return centre


def _set_constant_py(x: Floats, window: int, mean: Floats, std: Floats) -> None:
    """Put the exact mean and a deviation of 0 where rounding made something of equal values."""
    run = 1
    for t in range(1, x.size):
        run = run + 1 if x[t] == x[t - 1] else 1
        if run >= window:
            mean[t] = x[t]
            std[t] = 0.0


_centre = compiled(_centre_py)
_set_constant = compiled(_set_constant_py)
rolling_mean = compiled(rolling_mean_py)
rolling_extremes = compiled(rolling_extremes_py)
rolling_mean_std = compiled(rolling_mean_std_py)
rolling_slope = compiled(rolling_slope_py)
