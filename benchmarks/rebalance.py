"""All models of a portfolio: what the hourly session asks of them, and fitting them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from benchmarks.bars import Bars, load_bars
from benchmarks.harness import Contest, max_abs_diff
from benchmarks.peers_strategies import Peer
from strategies.default_plan import DEFAULT_PLAN
from strategies.estimators import build

if TYPE_CHECKING:
    import pandas as pd

    from market.bars import BarArrays
    from strategies.estimators.base import BaseStrategy

Floats = npt.NDArray[np.float64]
N_SYMBOLS = 50
N_CORES = 2


@contextmanager
def signals() -> Iterator[Contest]:
    """The positions of 50 symbols, each the sum of 20 fitted models over a year of bars, on one core."""
    from market.bars import bar_arrays

    bars = load_bars()
    years = _years(bars)
    fitted = [_fit(bar_arrays(year)) for year in years]
    peers = _as_peers(fitted[0])

    def ours() -> Floats:
        return np.array([_position(year, models) for year, models in zip(years, fitted, strict=True)])

    def _position(year: pd.DataFrame, models: list[BaseStrategy]) -> float:
        arrays = bar_arrays(year)
        return math.fsum(model.one_step_predict(arrays) for model in models)

    def peer() -> Floats:
        return np.array([math.fsum(model.positions(model.see(years[0])).iloc[-1] for model in peers)])

    yield Contest(
        ours=ours,
        peer=peer,
        peer_name="pandas and statsmodels",
        difference=lambda: max_abs_diff(ours()[:1], peer()),
        tolerance=1e-9,
        goal=500.0,
        limit_s=0.1,
        scale=N_SYMBOLS,
        data=f"{bars.source}, {N_SYMBOLS} different years of it",
        note=f"one core; the peer ran one symbol, its seconds are multiplied by {N_SYMBOLS}",
    )


@contextmanager
def fit() -> Iterator[Contest]:
    """Fit 20 models to a year of each of 50 symbols, on two cores."""
    from joblib import Parallel, delayed

    from market.bars import bar_arrays

    bars = load_bars()
    years = _years(bars)

    def scales(year: pd.DataFrame) -> Floats:
        return np.array([model.to_target_scaler_ for model in _fit(bar_arrays(year))])

    def ours() -> Floats:
        with ThreadPoolExecutor(N_CORES) as pool:
            return np.stack(list(pool.map(scales, years)))

    with Parallel(n_jobs=N_CORES) as workers:  # one pool for all rounds: its start is not measured

        def peer() -> Floats:
            return np.stack(workers(delayed(_peer_scales)(year) for year in years[:N_CORES]))

        yield Contest(
            ours=ours,
            peer=peer,
            peer_name="joblib, pandas and statsmodels",
            difference=lambda: max_abs_diff(ours()[:N_CORES], peer()),
            tolerance=1e-9,
            goal=400.0,
            scale=N_SYMBOLS / N_CORES,
            data=f"{bars.source}, {N_SYMBOLS} different years of it",
            note=f"ours in {N_CORES} threads, the peer in {N_CORES} processes, each of which fitted one symbol; its "
            f"seconds are multiplied by {N_SYMBOLS // N_CORES}",
        )


def _peer_scales(year: pd.DataFrame) -> Floats:
    fitted = (Peer.of(planned.strategy, **planned.params) for planned in DEFAULT_PLAN)
    return np.array([peer.fit(peer.see(year)).scale for peer in fitted])


def _years(bars: Bars) -> list[pd.DataFrame]:
    return [bars.year(place) for place in np.linspace(0.0, 1.0, N_SYMBOLS)]


def _fit(arrays: BarArrays) -> list[BaseStrategy]:
    return [build(planned.strategy, **planned.params).fit(arrays) for planned in DEFAULT_PLAN]


def _as_peers(models: list[BaseStrategy]) -> list[Peer]:
    """Return the same models, with what was fitted, as the peer computes them."""
    return [
        replace(
            Peer.of(planned.strategy, **planned.params),
            median_v=model.cdf_median_ or math.nan,
            swing=model.defactor_ or math.nan,
            scale=model.to_target_scaler_,
        )
        for planned, model in zip(DEFAULT_PLAN, models, strict=True)
    ]
