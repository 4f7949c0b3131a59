"""Resampling in blocks: Sharpe ratios, permutations and equity paths, none of which keeps a resampled series.

Blocks begin anywhere and go round the end of the series. Their lengths are fixed, or geometric (the stationary
bootstrap), for which kernels take ``log_stay``, the logarithm of the chance that a block goes on: its length is one
more than a draw of ``log(u) / log_stay``. NumPy's generator gives a kernel and its Python twin the same numbers.

References
----------
Politis, Romano (1992): A circular block-resampling procedure for stationary data.
Politis, Romano (1994): The stationary bootstrap. JASA 89 (428).
"""

from __future__ import annotations

import numpy as np

from strategies.kernels.jit import Floats, Integers, compiled

DAILY_LOSS, MAX_LOSS, TRAILING_LOSS, TARGET, EVENTS = range(5)


def bootstrap_sharpes_py(
    returns: Floats, n_resamples: int, block_length: int, log_stay: float, rng: np.random.Generator
) -> Floats:
    """Return mean over deviation of block-resampled returns, as long as the original.

    Sums over a block are differences of prefix sums, taken of distances from the mean so that nothing cancels: a
    resample costs two subtractions a block, however long the blocks are.

    Parameters
    ----------
    returns : ndarray of shape (n_bars,), float64
        At least 2.
    n_resamples : int
    block_length : int
        Bars, 1 to ``n_bars``; of no effect with random lengths.
    log_stay : float
        0 for fixed lengths.
    rng : Generator

    Returns
    -------
    ndarray of shape (n_resamples,), float64
        A bar's, with ``ddof=1``; NaN where all drawn are equal.
    """
    n = returns.size
    centre = returns.mean()
    sums = np.zeros((2 * n + 1, 2))  # of distances and of their squares, which are wanted together
    for t in range(2 * n):
        distance = returns[t if t < n else t - n] - centre
        sums[t + 1, 0] = sums[t, 0] + distance
        sums[t + 1, 1] = sums[t, 1] + distance * distance
    out = np.empty(n_resamples)
    for i in range(n_resamples):
        total = square = 0.0
        left = n
        while left > 0:
            begin = int(rng.random() * n)
            length = min(_length(block_length, log_stay, rng), left)
            total += sums[begin + length, 0] - sums[begin, 0]
            square += sums[begin + length, 1] - sums[begin, 1]
            left -= length
        out[i] = _ratio(centre, total, square, n)
    return out


def permuted_sharpes_py(
    held: Floats, returns: Floats, n_resamples: int, block_length: int, rng: np.random.Generator
) -> Floats:
    """Return mean over deviation of ``held * returns`` with the blocks of ``returns`` in random order.

    Parameters
    ----------
    held, returns : ndarray of shape (n_bars,), float64
        What is held over each bar, and what the bar returns; at least 2. The bars left over at the end, fewer than a
        block, keep their place.
    n_resamples : int
    block_length : int
        Bars, at least 1.
    rng : Generator

    Returns
    -------
    ndarray of shape (n_resamples,), float64
        A bar's, with ``ddof=1``; NaN where nothing varies.
    """
    n = returns.size
    n_blocks = n // block_length
    order = np.arange(n_blocks)
    out = np.empty(n_resamples)
    for i in range(n_resamples):
        for j in range(n_blocks - 1, 0, -1):
            k = int(rng.random() * (j + 1))
            order[j], order[k] = order[k], order[j]
        total = square = 0.0
        for j in range(n_blocks):
            place, source = j * block_length, order[j] * block_length
            for t in range(block_length):
                pnl = held[place + t] * returns[source + t]
                total += pnl
                square += pnl * pnl
        for t in range(n_blocks * block_length, n):
            pnl = held[t] * returns[t]
            total += pnl
            square += pnl * pnl
        out[i] = _ratio(0.0, total, square, n)
    return out


def equity_paths_py(
    returns: Floats,
    days: Integers,
    limits: Floats,
    is_compounding: bool,
    block_length: int,
    log_stay: float,
    every: int,
    paths: Floats,
    rng: np.random.Generator,
) -> Integers:
    """Walk equity along block-resampled returns, and note when it first meets a limit or the target.

    Parameters
    ----------
    returns : ndarray of shape (n_bars,), float64
        Fractions of the capital, or of the equity before with ``is_compounding``.
    days : ndarray of shape (horizon,), int64
        The day that each step of a path is on; a new number is a new day.
    limits : ndarray of shape (EVENTS,), float64
        Fractions of the capital above 0; infinity for none.
    is_compounding, block_length, log_stay
    every : int
        Steps between two points that ``paths`` keeps: the end of every such stretch.
    paths : ndarray of shape (n_paths, n_points), float64
        Written to: equity in units of the capital.
    rng : Generator

    Returns
    -------
    ndarray of shape (n_paths, EVENTS), int64
        The step of the first of each, counted from 0, or ``horizon`` where there is none. A path goes on whatever it
        meets, so each is as if it were the only rule.
    """
    horizon = days.size
    first = np.empty((paths.shape[0], EVENTS), np.int64)
    for i in range(paths.shape[0]):
        daily = lost = trailing = reached = horizon
        equity = day_began = highest_end = 1.0
        source = left = 0
        for t in range(horizon):
            if t > 0 and days[t] != days[t - 1]:
                day_began = equity
                highest_end = max(highest_end, equity)
            if left == 0:
                source = int(rng.random() * returns.size)
                left = _length(block_length, log_stay, rng)
            equity += returns[source] * (equity if is_compounding else 1.0)
            source = source + 1 if source + 1 < returns.size else 0
            left -= 1
            daily = _first(daily, t, equity <= day_began - limits[DAILY_LOSS])
            lost = _first(lost, t, equity <= 1.0 - limits[MAX_LOSS])
            trailing = _first(trailing, t, equity <= highest_end - limits[TRAILING_LOSS])
            reached = _first(reached, t, equity >= 1.0 + limits[TARGET])
            if (t + 1) % every == 0:
                paths[i, t // every] = equity
        first[i, DAILY_LOSS], first[i, MAX_LOSS] = daily, lost
        first[i, TRAILING_LOSS], first[i, TARGET] = trailing, reached
    return first


def _first_py(known: int, t: int, is_met: bool) -> int:
    """Return the earlier of what is known and, if it is met now, ``t``."""
    return t if is_met and t < known else known


def _length_py(block_length: int, log_stay: float, rng: np.random.Generator) -> int:
    """Return the length of the next block."""
    if log_stay == 0.0:
        return block_length
    # 1 - u is never 0; what is longer than anything can be is cut, because a float must fit into an integer.
    return 1 + int(min(np.log(1.0 - rng.random()) / log_stay, 1e9))


def _ratio_py(centre: float, total: float, square: float, n: int) -> float:
    """Return mean over deviation from sums of distances from ``centre``; NaN without deviation."""
    spread = square - total * total / n
    if spread <= 1e-14 * square:  # what rounding leaves of nothing
        return np.nan
    return float((centre + total / n) / np.sqrt(spread / (n - 1)))


_first = compiled(_first_py)
_length = compiled(_length_py)
_ratio = compiled(_ratio_py)
bootstrap_sharpes = compiled(bootstrap_sharpes_py)
permuted_sharpes = compiled(permuted_sharpes_py)
equity_paths = compiled(equity_paths_py)
