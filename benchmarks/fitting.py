"""Fitting a strategy to a year of bars and predicting every bar of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import numpy as np
import numpy.typing as npt

from benchmarks.bars import load_bars
from benchmarks.harness import Contest, max_abs_diff
from benchmarks.peers_strategies import Peer
from strategies.estimators import STRATEGIES, build

Floats = npt.NDArray[np.float64]
TOLERANCE = 1e-9


@contextmanager
def all_strategies() -> Iterator[Contest]:
    """All strategies at their defaults, from a frame of bars to positions."""
    with _contest(tuple(STRATEGIES), goal=300.0) as contest:
        yield contest


@contextmanager
def one_strategy(key: str) -> Iterator[Contest]:
    """One strategy at its defaults, from a frame of bars to positions."""
    with _contest((key,), goal=8.0) as contest:
        yield contest


@contextmanager
def _contest(keys: tuple[str, ...], *, goal: float) -> Iterator[Contest]:
    from market.bars import bar_arrays

    bars = load_bars()
    year = bars.year()
    needed = {column for key in keys for column in build(key).required_columns}
    columns = [column for column in year.columns if column in needed]

    def ours() -> list[Floats]:
        arrays = bar_arrays(year, columns)  # checked anew each time: nothing that was derived before is still there
        return [build(key).fit(arrays).predict(arrays).to_numpy() for key in keys]

    def peer() -> list[Floats]:
        return [_fit_predict(Peer.of(key)) for key in keys]

    def _fit_predict(one: Peer) -> Floats:
        seen = one.see(year)
        found: Floats = one.fit(seen).positions(seen).to_numpy()
        return found

    def difference() -> float:
        return max_abs_diff(list(chain(*ours())), list(chain(*peer())))

    yield Contest(
        ours=ours,
        peer=peer,
        peer_name="pandas and statsmodels" if any("orth" in key for key in keys) else "pandas",
        difference=difference,
        tolerance=TOLERANCE,
        goal=goal,
        data=bars.source,
        note=f"{len(year)} bars",
    )
