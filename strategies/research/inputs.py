"""Positions and terms as kernels take them, checked against the timeline that they are for."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from strategies.kernels.course import Terms
from strategies.kernels.jit import Floats
from strategies.research.events import BacktestError
from strategies.research.lots import SymbolTerms, kernel_terms
from strategies.research.timeline import Timeline

Positions = pd.Series | npt.ArrayLike


def positions_on(timeline: Timeline, positions: Mapping[str, Positions] | Positions) -> Floats:
    """Return positions as contiguous rows, one a symbol, finite on every bar that the symbol has; 0 elsewhere.

    Raises
    ------
    BacktestError
    """
    if not isinstance(positions, Mapping):
        if len(timeline.symbols) != 1:
            names = ", ".join(timeline.symbols)
            raise BacktestError(f"positions of {len(timeline.symbols)} symbols must be a mapping by {names}")
        positions = {timeline.symbols[0]: positions}
    if set(positions) != set(timeline.symbols):
        raise BacktestError(f"positions must be of {', '.join(timeline.symbols)}, were of {', '.join(positions)}")
    rows = [position_row(timeline, row, positions[symbol]) for row, symbol in enumerate(timeline.symbols)]
    return rows[0][np.newaxis] if len(rows) == 1 else np.stack(rows)


def position_row(timeline: Timeline, row: int, positions: Positions) -> Floats:
    """Return one symbol's positions of shape (n_bars,): finite where the symbol has a bar, 0 elsewhere.

    It is the caller's own array where that is what is asked for already: nobody writes to it.

    Raises
    ------
    BacktestError
    """
    if isinstance(positions, pd.Series) and not positions.index.equals(timeline.index):
        positions = positions.reindex(timeline.index)
    # Writable, because numba compiles a second time for arrays that are not.
    values: Floats = np.require(positions, dtype=np.float64, requirements=("C", "W"))
    symbol, present = timeline.symbols[row], timeline.present[row]
    if values.shape != present.shape:
        shape = f"{len(timeline)} numbers, one a bar, had shape {values.shape}"
        raise BacktestError(f"positions of {symbol} must be {shape}")
    if are_finite(values) and present.all():
        return values
    known = np.where(present, values, 0.0)
    bad = ~np.isfinite(known)
    if bad.any():
        first = int(np.argmax(bad))
        raise BacktestError(
            f"positions of {symbol} must be finite on its bars: {int(bad.sum())} were not, "
            f"first {known[first]} at {timeline.index[first]}"
        )
    return known


def are_finite(values: Floats) -> bool:
    """Tell, at the price of one sum, that all values are finite; False also where only their sum is not."""
    with np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(values.sum())


def terms_of(timeline: Timeline, terms: Mapping[str, SymbolTerms] | SymbolTerms | None) -> list[Terms]:
    """Return the kernel's terms of each symbol, with equal weights where none are given.

    Raises
    ------
    BacktestError
        For terms of other symbols, weights that add up to more than 1, or an assumed funding rate beside recorded ones.
    """
    known = terms if isinstance(terms, Mapping) else dict.fromkeys(timeline.symbols, terms or SymbolTerms())
    if set(known) != set(timeline.symbols):
        raise BacktestError(f"terms must be of {', '.join(timeline.symbols)}, were of {', '.join(known)}")
    own = [known[symbol] for symbol in timeline.symbols]
    weights = [1 / len(own) if one.weight is None else one.weight for one in own]
    if math.fsum(weights) > 1 + 1e-9:
        raise BacktestError(f"weights must add up to at most 1, added up to {math.fsum(weights):g}")
    return [
        kernel_terms(one, weight=weight, funding_rate=_funding_rate(timeline, one))
        for one, weight in zip(own, weights, strict=True)
    ]


def _funding_rate(timeline: Timeline, terms: SymbolTerms) -> float:
    if not timeline.has_funding:
        return terms.costs.funding_rate
    if terms.costs.funding_rate:
        raise BacktestError(f"funding_rate must be 0 beside recorded rates, was {terms.costs.funding_rate}")
    return 1.0
