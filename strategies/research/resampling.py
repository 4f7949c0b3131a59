"""Resampling returns in blocks, which keep what returns remember from bar to bar."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from strategies.blocks import ANNUAL_BARS
from strategies.errors import ParameterError
from strategies.estimators.parameters import OneOf, Whole, check_parameters
from strategies.kernels.bootstrap import bootstrap_sharpes
from strategies.kernels.jit import Floats
from strategies.research.errors import ReturnsError


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """How returns are resampled: in blocks of a fixed length that go round the end, or of random lengths.

    Parameters
    ----------
    length : int, default=168
        Bars; the mean length of random ones.
    kind : {"circular", "stationary"}, default="stationary"

    Raises
    ------
    ParameterError
    """

    length: int = 168
    kind: str = "stationary"

    def __post_init__(self) -> None:
        check_parameters("blocks", {"length": Whole(1), "kind": OneOf(("circular", "stationary"))}, asdict(self))

    def log_stay(self) -> float:
        """Return the logarithm of the chance that a block goes on; 0 stands for a fixed length."""
        if self.kind == "circular" or self.length == 1:
            return 0.0
        return math.log1p(-1.0 / self.length)


def resampled_from(returns: npt.ArrayLike, blocks: Blocks) -> Floats:
    """Return the numbers to resample, as an array of our own.

    Raises
    ------
    ReturnsError
        If they are not at least two finite numbers.
    ParameterError
        If a fixed block is longer than they are.
    """
    known = np.array(returns, dtype=np.float64)
    if known.ndim != 1 or known.size < 2 or not np.isfinite(known).all():
        raise ReturnsError(f"returns must be at least 2 finite numbers, one a bar, had shape {known.shape}")
    if blocks.kind == "circular" and blocks.length > known.size:
        raise ParameterError(f"blocks: length must be at most the {known.size} bars there are, was {blocks.length}")
    return known


def bootstrapped_sharpes(
    returns: npt.ArrayLike,
    *,
    n_resamples: int = 1000,
    blocks: Blocks | None = None,
    seed: int = 0,
    bars_per_year: float = ANNUAL_BARS,
) -> Floats:
    """Return the annual Sharpe ratios of block-resampled returns, of shape (n_resamples,); their quantiles bound it.

    Raises
    ------
    ReturnsError, ParameterError
        As ``resampled_from``, and for a count or seed outside what it may be.
    """
    check_parameters(
        "bootstrap", {"n_resamples": Whole(1), "seed": Whole(0)}, {"n_resamples": n_resamples, "seed": seed}
    )
    blocks = blocks or Blocks()
    known = resampled_from(returns, blocks)
    rng = np.random.default_rng(seed)
    ratios = bootstrap_sharpes(known, n_resamples, blocks.length, blocks.log_stay(), rng)
    return np.asarray(ratios * math.sqrt(bars_per_year))
