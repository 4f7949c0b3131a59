"""Does the Sharpe ratio owe anything to when positions were held? Blocks of returns in random order say.

Under the hypothesis that positions know nothing of the returns they meet, any order of the blocks was as likely as the
one that happened. The p-value is the share of orders, the real one among them, whose Sharpe ratio is at least as high:
``(r + 1) / (n + 1)`` for ``r`` of ``n`` resamples, so it is never 0, and exact if blocks are exchangeable: long enough
to hold what returns remember, short enough to be many.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from strategies.blocks import ANNUAL_BARS
from strategies.errors import ParameterError
from strategies.estimators.parameters import Whole, check_parameters
from strategies.kernels.bootstrap import permuted_sharpes
from strategies.kernels.jit import Floats
from strategies.research.errors import ReturnsError

TIED = 1e-12  # the same blocks added in another order differ by less than this, as a fraction


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PermutationTest:
    """The Sharpe ratio that happened among those of other orders; a year's, before costs.

    ``p_value`` is of one side: how often chance does at least as well. It is 1 where the ratio is undefined.
    """

    sharpe: float
    p_value: float
    resampled: Floats  # shape (n_resamples,); NaN where nothing varied
    n_resamples: int
    block_length: int  # bars
    n_blocks: int
    seed: int


def permutation_test(
    positions: npt.ArrayLike,
    returns: npt.ArrayLike,
    *,
    block_length: int = 24,
    n_resamples: int = 1000,
    seed: int = 0,
    bars_per_year: float = ANNUAL_BARS,
) -> PermutationTest:
    """Return how the Sharpe ratio of positions compares with that on block-permuted returns.

    Parameters
    ----------
    positions : array-like of shape (n_bars,)
        Fraction of capital, decided at the close of each bar.
    returns : array-like of shape (n_bars,)
        Of each bar, from the close before; the first is not used, because nothing was held over it.
    block_length : int, default=24
        Bars. Fewer bars than a block are left over at the end, and keep their place.
    n_resamples : int, default=1000
    seed : int, default=0
        The same seed gives the same test.
    bars_per_year : float, default=8760

    Raises
    ------
    ReturnsError
        If the two are not finite numbers of the same length, or fewer than two blocks.
    ParameterError
        For a parameter outside what it may be.
    """
    asked = {"block_length": block_length, "n_resamples": n_resamples, "seed": seed}
    allowed = {"block_length": Whole(1), "n_resamples": Whole(1), "seed": Whole(0)}
    check_parameters("permutation test", allowed, asked)
    if not 0 < bars_per_year < math.inf:
        raise ParameterError(f"permutation test: bars_per_year must be a number above 0, was {bars_per_year}")
    held, earned = _paired(positions, returns)
    n_blocks = earned.size // block_length
    if n_blocks < 2:
        raise ReturnsError(f"a permutation needs at least 2 blocks of {block_length} bars, had {earned.size} bars")
    year = math.sqrt(bars_per_year)
    resampled = permuted_sharpes(held, earned, n_resamples, block_length, np.random.default_rng(seed)) * year
    sharpe = _sharpe(held * earned) * year
    return PermutationTest(
        sharpe=sharpe,
        p_value=_p_value(sharpe, resampled),
        resampled=resampled,
        n_resamples=n_resamples,
        block_length=block_length,
        n_blocks=n_blocks,
        seed=seed,
    )


def _paired(positions: npt.ArrayLike, returns: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Return what was held over each bar but the first, and what the bar returned."""
    held, earned = (np.array(values, dtype=np.float64) for values in (positions, returns))
    if held.ndim != 1 or held.shape != earned.shape:
        raise ReturnsError(f"positions and returns must be one number a bar each, had {held.shape} and {earned.shape}")
    held, earned = held[:-1].copy(), earned[1:].copy()
    for name, values in (("positions", held), ("returns", earned)):
        if not np.isfinite(values).all():
            raise ReturnsError(f"{name} must be finite, {int((~np.isfinite(values)).sum())} were not")
    return held, earned


def _sharpe(pnl: Floats) -> float:
    std = float(pnl.std(ddof=1))
    return float(pnl.mean()) / std if std > 0 else math.nan


def _p_value(sharpe: float, resampled: Floats) -> float:
    if math.isnan(sharpe):
        return 1.0
    at_least = int((resampled >= sharpe - TIED * abs(sharpe)).sum())
    return (at_least + 1) / (resampled.size + 1)
