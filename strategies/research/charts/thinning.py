"""Fewer points than there are bars, without losing a spike: no screen is thirty thousand pixels wide."""

from __future__ import annotations

import numpy as np
import pandas as pd

from strategies.kernels.jit import Floats, Integers

MOST_POINTS = 1_200  # of a line


def thinned(table: pd.DataFrame, most: int = MOST_POINTS) -> pd.DataFrame:
    """Return about ``most`` rows of a table of numbers: of each stretch its ends, and each column's extremes.

    A stretch that has a hole keeps one row of it, so that a gap is still drawn as one. Up to ``most`` rows are returned
    as they are.
    """
    if len(table) <= most:
        return table
    return table.iloc[_rows(table.to_numpy(dtype=np.float64), most)]


def _rows(values: Floats, most: int) -> Integers:
    n_rows, n_columns = values.shape
    n_stretches = max(1, most // (2 * n_columns + 2))
    edges = np.linspace(0, n_rows, n_stretches + 1).astype(np.int64)
    kept = {0, n_rows - 1}
    for first, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        kept.update((first, end - 1))
        for column in values[first:end].T:
            kept.update(first + place for place in _extremes(column))
    return np.array(sorted(kept), dtype=np.int64)


def _extremes(column: Floats) -> set[int]:
    """Return where the least and the greatest value are, and the first hole."""
    holes = np.flatnonzero(np.isnan(column))
    if holes.size == column.size:
        return {0}
    return {int(np.nanargmin(column)), int(np.nanargmax(column)), *holes[:1].tolist()}
