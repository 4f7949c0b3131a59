"""Many variants of positions on one symbol: each is run, scored and forgotten."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from itertools import islice
from threading import Lock
from typing import TypeGuard

import numpy as np
import pandas as pd

from strategies.errors import ParameterError
from strategies.estimators.parameters import Whole
from strategies.kernels import backtest as kernel
from strategies.kernels.course import Terms
from strategies.kernels.jit import Floats, Integers
from strategies.research.backtest import DAYS_A_YEAR, Capital
from strategies.research.events import BacktestError
from strategies.research.inputs import Positions, position_row, terms_of
from strategies.research.lots import SymbolTerms
from strategies.research.timeline import Timeline


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
        after the other. A few are taken when a thread is free, and let go once they are scored.
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
    chunks, own = _Chunks(timeline, variants), terms_of(timeline, terms)[0]
    with ThreadPoolExecutor(threads) as pool:
        parts = pool.map(lambda _: _run_all(chunks, timeline, own, capital), range(threads))
        done = sorted((chunk for part in parts for chunk in part), key=lambda chunk: chunk[0])
    figures = np.concatenate([chunk for _, chunk in done]) if done else np.empty((0, kernel.FIELDS))
    return _result(figures, timeline, capital)


class _Chunks:
    """Takes a chunk of variants at a time off an iterable, for one thread after the other."""

    def __init__(self, timeline: Timeline, variants: Iterable[Positions]) -> None:
        self._timeline = timeline
        self._variants = iter(variants)
        self._matrix = variants if _is_ready(variants) else None
        self._taken = 0
        self._lock = Lock()

    def take(self) -> tuple[int, Floats]:
        """Return how many variants came before, and the next ones' positions: of shape (0, n_bars) after the last."""
        with self._lock:
            chunk = list(islice(self._variants, kernel.LANES))
            before, self._taken = self._taken, self._taken + len(chunk)
        rows = [position_row(self._timeline, 0, variant) for variant in chunk]
        if not rows:
            return before, np.empty((0, len(self._timeline)))
        if self._matrix is not None:
            return before, self._matrix[before : before + len(rows)]
        return before, np.stack(rows)


def _is_ready(variants: object) -> TypeGuard[Floats]:
    """Tell whether variants are a matrix whose rows need not be put together again."""
    if not isinstance(variants, np.ndarray) or variants.ndim != 2 or variants.dtype != np.float64:
        return False
    return variants.flags.c_contiguous and variants.flags.writeable


def _run_all(chunks: _Chunks, timeline: Timeline, terms: Terms, capital: Capital) -> list[tuple[int, Floats]]:
    """Run chunk after chunk; kernels let go of the interpreter, so that threads do run side by side."""
    course = timeline.course(0)
    done: list[tuple[int, Floats]] = []
    while True:
        before, positions = chunks.take()
        if not len(positions):
            return done
        figures = np.empty((len(positions), kernel.FIELDS))
        kernel.sweep(positions, course, terms, capital.for_kernel, figures)
        done.append((before, figures))


def _result(figures: Floats, timeline: Timeline, capital: Capital) -> SweepResult:
    """Return what the kernel's sums amount to; the formulas are ``BacktestResult.score``'s."""

    def field(first: int) -> Floats:
        return figures[:, first // kernel.LANES]

    n_bars = len(timeline)
    mean = field(kernel.TOTAL) / n_bars
    spread = np.maximum(field(kernel.SQUARES) - n_bars * mean**2, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):  # an equity that never moves has no Sharpe ratio
        sharpe = mean / np.sqrt(spread / (n_bars - 1)) * np.sqrt(timeline.bars_per_year)
        turnover = field(kernel.WORTHS) / field(kernel.LEVELS) * timeline.bars_per_year / DAYS_A_YEAR
    return SweepResult(
        sharpe=np.where(spread > 0, sharpe, np.nan),
        total_return=field(kernel.LAST) / capital.start - 1,
        max_drawdown=field(kernel.WORST) - 1,
        turnover=np.where(field(kernel.LEVELS) > 0, turnover, np.nan),
        n_fills=field(kernel.COUNT).astype(np.int64),
    )
