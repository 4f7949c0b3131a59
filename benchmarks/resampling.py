"""Resampling returns in blocks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.bars import load_bars
from benchmarks.harness import Contest, max_abs_diff
from benchmarks.peers import find_peer
from strategies.research.resampling import Blocks, bootstrapped_sharpes

Floats = npt.NDArray[np.float64]
N_RESAMPLES = 1000
BLOCK = 168  # bars
BARS_A_YEAR = 8760


@contextmanager
def block_bootstrap() -> Iterator[Contest]:
    """The Sharpe ratios of 1,000 resamples of a year of hours, in blocks of a week."""
    bars = load_bars()
    returns = bars.year()["close"].pct_change().to_numpy()[1:]
    package = find_peer("arch")
    arch = find_peer("arch.bootstrap") if package else None

    def ours() -> Floats:
        return bootstrapped_sharpes(returns, n_resamples=N_RESAMPLES, blocks=Blocks(length=BLOCK, kind="circular"))

    def peer() -> Floats:
        assert arch is not None
        found: Floats = arch.CircularBlockBootstrap(BLOCK, returns, seed=0).apply(_sharpe, N_RESAMPLES)[:, 0]
        return found

    def difference() -> float:
        """Let the peer draw its blocks as we do: each draws its own in the race, so that the ratios there differ."""
        theirs = _with_our_blocks(arch)(BLOCK, returns).apply(_sharpe, N_RESAMPLES)[:, 0]
        peer()
        return max_abs_diff(ours(), theirs)

    yield Contest(
        ours=ours,
        peer=peer if arch else None,
        peer_name="arch CircularBlockBootstrap",
        difference=difference,
        tolerance=1e-9,
        goal=100.0,
        data=bars.source,
        note=f"{N_RESAMPLES} resamples of {returns.size} returns in blocks of {BLOCK}; compared with the same blocks",
    )


def _with_our_blocks(arch: Any) -> Any:
    """Return the peer's class, drawing blocks from the generator that ours has by default."""
    draws = np.random.default_rng(0)

    class SameBlocks(arch.CircularBlockBootstrap):  # type: ignore[misc]  # a class of a package that may be missing
        def update_indices(self) -> npt.NDArray[np.int64]:
            n = self._num_items
            begins = (draws.random(math.ceil(n / BLOCK)) * n).astype(np.int64)
            found: npt.NDArray[np.int64] = (begins[:, None] + np.arange(BLOCK)).ravel()[:n] % n
            return found

    return SameBlocks


def _sharpe(returns: Floats) -> float:
    return float(returns.mean() / returns.std(ddof=1) * math.sqrt(BARS_A_YEAR))
