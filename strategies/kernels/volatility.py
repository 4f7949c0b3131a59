"""The variance that a bar's range shows, and the exponential that tilts positions by volatility."""

from __future__ import annotations

import numpy as np

from strategies.kernels.jit import Floats, compiled


def rogers_satchell_py(open_: Floats, high: Floats, low: Floats, close: Floats) -> Floats:
    """Return ``ln(h/c) ln(h/o) + ln(l/c) ln(l/o)`` a bar: an estimate of its variance that drift does not bias.

    Parameters
    ----------
    open_, high, low, close : ndarray of shape (n_bars,), float64
        Prices, finite and positive, with open and close inside low..high: bars that were checked.

    Returns
    -------
    ndarray of shape (n_bars,), float64
        Squared fraction of price per bar; 0 where open and close are the two extremes.

    Notes
    -----
    ``ln(a / b) = 2 artanh((a - b) / (a + b))`` by its series up to the 19th power, which is exact to rounding while
    ``a / b`` is in 0.7..1.3 and, unlike a call of ``log``, runs on several bars at once. A wider bar takes ``log``.

    References
    ----------
    Rogers, Satchell (1991): Estimating variance from high, low and closing prices. Annals of Applied Probability 1(4).
    """
    n = close.size
    out = np.empty(n)
    wide = 0
    for t in range(n):
        wide += high[t] > 1.3 * open_[t] or low[t] < 0.7 * open_[t]
        up = _log_ratio(high[t], open_[t])
        down = _log_ratio(low[t], open_[t])
        end = _log_ratio(close[t], open_[t])
        out[t] = up * (up - end) + down * (down - end)
    for t in range(n if wide else 0):
        if high[t] > 1.3 * open_[t] or low[t] < 0.7 * open_[t]:
            up, down, end = np.log(high[t] / open_[t]), np.log(low[t] / open_[t]), np.log(close[t] / open_[t])
            out[t] = up * (up - end) + down * (down - end)
    return out


def _log_ratio_py(a: float, b: float) -> float:
    """Return ``ln(a / b)`` for nearly equal numbers; exactly 0 for equal ones."""
    t = (a - b) / (a + b)
    u = t * t
    tail = 1 / 11 + u * (1 / 13 + u * (1 / 15 + u * (1 / 17 + u / 19)))
    return 2.0 * t * (1.0 + u * (1 / 3 + u * (1 / 5 + u * (1 / 7 + u * (1 / 9 + u * tail)))))


def exp_minus_py(x: Floats) -> Floats:
    """Return ``exp(-x)``, to rounding; unlike a call of ``exp`` it runs on several bars at once.

    Parameters
    ----------
    x : ndarray of shape (n_bars,), float64
        At least 0, or NaN, which stays NaN. From 700 on the result is ``exp(-700)``, about 1e-304.

    Notes
    -----
    ``exp(-x) = 2**k exp(r)`` with ``k`` whole and ``abs(r) <= ln(2) / 2``, where Taylor's series to the 12th power is
    exact to rounding. Adding ``1.5 * 2**52`` rounds to a whole number and leaves it in the low bits, which become the
    exponent of ``2**k``.
    """
    n = x.size
    out = np.empty(n)
    for t in range(n):
        y = -700.0 if x[t] > 700.0 else -x[t]
        shifted = np.float64(y * 1.4426950408889634 + 6755399441055744.0)
        k = shifted - 6755399441055744.0
        r = (y - k * 0.6931471803691238) - k * 1.9082149292705877e-10  # ln(2) in two parts: k times the first is exact
        high = 1 / 5040 + r * (1 / 40320 + r * (1 / 362880 + r * (1 / 3628800 + r * (1 / 39916800 + r * _LAST))))
        series = 1.0 + r * (1.0 + r * (1 / 2 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120 + r * (1 / 720 + r * high))))))
        power = np.int64((shifted.view(np.int64) << np.int64(52)) + (np.int64(1023) << np.int64(52))).view(np.float64)
        out[t] = series * power
    return out


_LAST = 1 / 479001600
_log_ratio = compiled(_log_ratio_py)
exp_minus = compiled(exp_minus_py)
rogers_satchell = compiled(rogers_satchell_py)
