"""The past trades that look most like a setup: by Euclidean distance, in the space that the recognizer scales to.

Every distance is computed, in float64: a tree of neighbours pays off with many more rows than setups have, and would
break ties by chance. Equal distances are told apart by their place, the earlier one first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from market.bars import Floats, Ints
from mlfilter.setups import Direction

FAR_QUANTILE = 0.99  # of the distances of past setups from their nearest: beyond it, a setup is unlike all of them
CHUNK_ROWS = 256  # whose distances to all others are held at once


@dataclass(frozen=True, slots=True, eq=False)
class SimilarTrades:
    """Past trades in the scaled space.

    Attributes
    ----------
    X : ndarray of shape (n_trades, n_features), float64
        Scaled.
    times : ndarray of shape (n_trades,), int64
        ns since 1970: when the setup's bar opened.
    sides, won : ndarray of shape (n_trades,), int64
        +1 long, -1 short; 1 for a success.
    r : ndarray of shape (n_trades,), float64
    far : float
        ``FAR_QUANTILE`` of the distances of the trades of the training from their nearest other; infinite with fewer
        than two.
    """

    X: Floats
    times: Ints
    sides: Ints
    won: Ints
    r: Floats
    far: float

    def __len__(self) -> int:
        return len(self.won)

    def nearest(self, row: Floats, n_similar: int) -> tuple[Ints, Floats]:
        """Return the places of the nearest trades and their distances, nearest first."""
        distances = self._distances(row)
        n_found = min(n_similar, len(distances))
        if n_found == 0:
            return np.empty(0, np.int64), np.empty(0)
        edge = np.partition(distances, n_found - 1)[n_found - 1]
        near = np.flatnonzero(distances <= edge)  # more than are asked for when the last ones tie
        order = near[np.argsort(distances[near], kind="stable")][:n_found]
        return order, distances[order]

    def as_data(self, places: Ints, distances: Floats) -> list[dict[str, Any]]:
        """Return trades as JSON has them: when, which way, what came of it, and how far away."""
        return [self._as_data(int(at), float(distance)) for at, distance in zip(places, distances, strict=True)]

    def extended(self, row: Floats, *, at: int, side: int, won: bool, r: float) -> SimilarTrades:
        """Return these trades and one more, which does not change what counts as far."""
        return replace(
            self,
            X=np.vstack([self.X, row]),
            times=np.append(self.times, at),
            sides=np.append(self.sides, side),
            won=np.append(self.won, int(won)),
            r=np.append(self.r, r),
        )

    def _distances(self, row: Floats) -> Floats:
        return np.asarray(np.sqrt(np.square(self.X - row).sum(axis=1)))

    def _as_data(self, at: int, distance: float) -> dict[str, Any]:
        r = float(self.r[at])
        return {
            "bar_at": pd.Timestamp(self.times[at], tz="UTC").isoformat(),
            "direction": str(Direction.LONG if self.sides[at] > 0 else Direction.SHORT),
            "outcome": "win" if self.won[at] else "loss",
            "r": None if np.isnan(r) else r,
            "distance": distance,
        }


def far_distance(X: Floats) -> float:
    """Return ``FAR_QUANTILE`` of the distances of rows from their nearest other row; infinite with fewer than two."""
    n_rows = len(X)
    if n_rows < 2:
        return float("inf")
    nearest = np.empty(n_rows)
    for start in range(0, n_rows, CHUNK_ROWS):
        distances = _pairwise(X[start : start + CHUNK_ROWS], X)
        rows = np.arange(len(distances))
        distances[rows, start + rows] = np.inf  # itself
        nearest[start : start + CHUNK_ROWS] = distances.min(axis=1)
    return float(np.quantile(nearest, FAR_QUANTILE))


def _pairwise(a: Floats, b: Floats) -> Floats:
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(a, b))
