"""Many variants of positions on one symbol: each is run, scored and forgotten."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import partial
from itertools import islice
from threading import Lock

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from strategies.errors import ParameterError
from strategies.estimators.parameters import Whole
from strategies.kernels import backtest as kernel
from strategies.kernels.course import Terms
from strategies.kernels.equity import figures
from strategies.kernels.jit import Floats, Integers
from strategies.research.backtest import Capital, Score
from strategies.research.events import BacktestError
from strategies.research.inputs import Positions, position_row, terms_of
from strategies.research.lots import SymbolTerms
from strategies.research.timeline import Timeline

CHUNK = 16  # variants that travel to a worker together


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SweepResult:
    """Figures of every variant, in their order; arrays of shape (n_variants,). See ``backtest.Score``."""

    sharpe: Floats
    total_return: Floats
    max_drawdown: Floats
    turnover: Floats
    n_fills: Integers

    def __len__(self) -> int:
        return len(self.sharpe)

    def frame(self) -> pd.DataFrame:
        """Return the figures as a table, a row for each variant."""
        return pd.DataFrame({one.name: getattr(self, one.name) for one in fields(self)})


def sweep(
    timeline: Timeline,
    variants: Iterable[Positions],
    *,
    terms: SymbolTerms | None = None,
    capital: Capital | None = None,
    threads: int = 1,
) -> SweepResult:
    """Score variants of one symbol's positions as ``backtest`` would, keeping nothing of any but its figures.

    Parameters
    ----------
    timeline : Timeline
        Of one symbol.
    variants : iterable of Series or array
        Positions as for ``backtest``: the rows of a matrix, or a generator that fits and predicts one parameter set
        after the other. One is taken when a thread is free, and let go once it is scored.
    terms : SymbolTerms, optional
    capital : Capital, optional
    threads : int, default=1
        Variants scored at the same time; the figures do not depend on it.

    Raises
    ------
    BacktestError
        As ``backtest``, and for a timeline of more than one symbol.
    """
    if len(timeline.symbols) != 1:
        raise BacktestError(f"a sweep needs a timeline of 1 symbol, had {len(timeline.symbols)}: run backtest on each")
    if threads not in Whole(1):
        raise ParameterError(f"sweep: threads must be {Whole(1)}, was {threads!r}")
    capital = capital or Capital()
    queue, own = _Queue(timeline, variants), terms_of(timeline, terms)[0]
    with ThreadPoolExecutor(threads) as pool:
        parts = pool.map(lambda _: _run_all(queue, timeline, own, capital), range(threads))
        done = sorted((one for part in parts for one in part), key=lambda one: one[0])
    return _result([score for _, score, _ in done], [n_fills for _, _, n_fills in done])


def sweep_on_workers(
    timeline: Timeline,
    variants: Iterable[Positions],
    *,
    terms: SymbolTerms | None = None,
    capital: Capital | None = None,
    n_jobs: int | None = None,
) -> SweepResult:
    """Score variants as ``sweep`` does, on joblib's workers; the figures are the same to the bit.

    Threads are quicker on one machine, for nothing is copied to them: this is for workers on others. Where they are is
    the caller's to say, with ``joblib.parallel_config`` or ``strategies.parallel.fit_backend``. Every worker gets the
    timeline with each ``CHUNK`` of variants; those are taken off the iterable as workers become free.

    Parameters
    ----------
    timeline, variants, terms, capital
        As for ``sweep``.
    n_jobs : int, optional
        As in joblib.

    Raises
    ------
    BacktestError, ParameterError
        As ``sweep``.
    """
    chunks = iter(partial(_next_chunk, iter(variants)), [])
    score = delayed(partial(sweep, timeline, terms=terms, capital=capital))
    parts = Parallel(n_jobs=n_jobs)(score(chunk) for chunk in chunks) or [sweep(timeline, ())]
    return SweepResult(
        **{one.name: np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(SweepResult)}
    )


def _next_chunk(variants: Iterator[Positions]) -> list[Positions]:
    return list(islice(variants, CHUNK))


class _Queue:
    """Takes one variant at a time off an iterable, for one thread after the other."""

    def __init__(self, timeline: Timeline, variants: Iterable[Positions]) -> None:
        self._timeline = timeline
        self._variants = enumerate(variants)
        self._lock = Lock()

    def take(self) -> tuple[int, Floats] | None:
        """Return the next variant's number and positions; None after the last."""
        with self._lock:
            taken = next(self._variants, None)
        return None if taken is None else (taken[0], position_row(self._timeline, 0, taken[1]))


def _run_all(queue: _Queue, timeline: Timeline, terms: Terms, capital: Capital) -> list[tuple[int, Score, int]]:
    """Run variant after variant; kernels let go of the interpreter, so that threads do run side by side.

    All of them have the same memory for their equity and returns, and for a fill that nobody reads.
    """
    course, done = timeline.course(0), []
    equity, returns, fill = np.empty(len(timeline)), np.empty(len(timeline)), np.empty((1, kernel.FILL))
    while (taken := queue.take()) is not None:
        number, positions = taken
        tally, n_fills = kernel.run(positions, course, terms, capital.for_kernel, equity, fill)
        judged = figures(equity, float(capital.start), returns)
        score = Score.of(judged, timeline, capital, traded=float(tally[kernel.TRADED]))
        done.append((number, score, n_fills))
    return done


def _result(scores: list[Score], n_fills: list[int]) -> SweepResult:
    columns = {one.name: np.array([getattr(score, one.name) for score in scores]) for one in fields(Score)}
    return SweepResult(**columns, n_fills=np.array(n_fills, dtype=np.int64))
