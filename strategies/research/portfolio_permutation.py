"""The permutation test of a portfolio: the returns of all its symbols in another order, together.

Symbols move together, so a block of hours is moved with every symbol's returns in it; each symbol's positions stay
where they are. With one symbol it is ``permutation.permutation_test``.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from strategies.blocks import ANNUAL_BARS
from strategies.estimators.parameters import Whole, check_parameters
from strategies.kernels.jit import Floats
from strategies.research.errors import ReturnsError
from strategies.research.permutation import TIED, PermutationTest


def portfolio_permutation_test(
    positions: npt.ArrayLike,
    returns: npt.ArrayLike,
    *,
    block_length: int = 24,
    n_resamples: int = 1000,
    seed: int = 0,
    bars_per_year: float = ANNUAL_BARS,
) -> PermutationTest:
    """Return how a portfolio's Sharpe ratio, before costs, compares with that on block-permuted returns.

    Parameters
    ----------
    positions : array-like of shape (n_bars, n_symbols)
        Fractions of capital, decided at the close of each bar.
    returns : array-like of shape (n_bars, n_symbols)
        Of each bar, from the close before; the first row is not used.
    block_length, n_resamples, seed, bars_per_year
        As ``permutation_test``.

    Raises
    ------
    ReturnsError
        If the two are not finite numbers of the same shape, or fewer than two blocks.
    ParameterError
        For a parameter outside what it may be.
    """
    asked = {"block_length": block_length, "n_resamples": n_resamples, "seed": seed}
    check_parameters("permutation test", {name: Whole(1 if name != "seed" else 0) for name in asked}, asked)
    held, earned = _paired(positions, returns)
    n_blocks = len(earned) // block_length
    if n_blocks < 2:
        raise ReturnsError(f"a permutation needs at least 2 blocks of {block_length} bars, had {len(earned)} bars")
    sums, squares = _by_pair(held, earned, n_blocks, block_length)
    rng = np.random.default_rng(seed)
    orders = np.array([np.arange(n_blocks), *(rng.permutation(n_blocks) for _ in range(n_resamples))])
    places = np.arange(n_blocks)
    rest = (held[n_blocks * block_length :] * earned[n_blocks * block_length :]).sum(axis=1)
    sharpes = math.sqrt(bars_per_year) * _sharpes(
        sums[places, orders].sum(axis=1) + rest.sum(),
        squares[places, orders].sum(axis=1) + np.square(rest).sum(),
        len(earned),
    )
    real, resampled = float(sharpes[0]), sharpes[1:]
    at_least = int((resampled >= real - TIED * abs(real)).sum())
    return PermutationTest(
        sharpe=real,
        p_value=1.0 if math.isnan(real) else (at_least + 1) / (n_resamples + 1),
        resampled=resampled,
        n_resamples=n_resamples,
        block_length=block_length,
        n_blocks=n_blocks,
        seed=seed,
    )


def _paired(positions: npt.ArrayLike, returns: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Return what was held over each bar but the first, and what the bar returned."""
    held, earned = (np.array(values, dtype=np.float64) for values in (positions, returns))
    if held.ndim != 2 or held.shape != earned.shape:
        raise ReturnsError(f"positions and returns must be bars x symbols each, had {held.shape} and {earned.shape}")
    held, earned = held[:-1], earned[1:]
    for name, values in (("positions", held), ("returns", earned)):
        if not np.isfinite(values).all():
            raise ReturnsError(f"{name} must be finite, {int((~np.isfinite(values)).sum())} were not")
    return held, earned


def _by_pair(held: Floats, earned: Floats, n_blocks: int, length: int) -> tuple[Floats, Floats]:
    """Return the sum of pnl, and of its squares, of each block of positions (row) on each block of returns (column).

    A Sharpe ratio needs nothing else, so that an order costs ``n_blocks`` additions and not ``n_bars``.
    """
    blocks = (n_blocks, length, held.shape[1])
    own, moved = (values[: n_blocks * length].reshape(blocks) for values in (held, earned))
    sums, squares = np.empty((n_blocks, n_blocks)), np.empty((n_blocks, n_blocks))
    for row in range(n_blocks):
        pnl = np.einsum("ls,bls->bl", own[row], moved)
        sums[row], squares[row] = pnl.sum(axis=1), np.square(pnl).sum(axis=1)
    return sums, squares


def _sharpes(sums: Floats, squares: Floats, n_bars: int) -> Floats:
    """Return mean over standard deviation (``ddof=1``); NaN where nothing varied."""
    variance = (squares - sums**2 / n_bars) / (n_bars - 1)
    varied = variance > TIED * squares / n_bars
    return np.where(varied, sums / n_bars / np.sqrt(np.where(varied, variance, 1.0)), np.nan)
