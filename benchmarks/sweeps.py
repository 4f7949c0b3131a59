"""A hundred variants of one idea on 100,000 bars, from their positions to the figures of each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from typing import Any

import numpy as np

from benchmarks import crossover
from benchmarks.backtests import TOLERANCE, vectorbt_portfolio
from benchmarks.crossover import CAPITAL, Market
from benchmarks.harness import Contest, max_abs_diff
from benchmarks.peers import find_peer
from strategies.research.sweep import SweepResult, sweep

FASTS, SLOWS = range(10, 60, 5), range(80, 380, 30)  # ten of each
THREADS = 2


@contextmanager
def vectorbt() -> Iterator[Contest]:
    """Accounts and figures of all variants, against vectorbt with all of them in one call."""
    engine, market = find_peer("vectorbt"), Market.load()
    variants = list(product(FASTS, SLOWS))
    held = np.stack([crossover.sides(market.frame["close"], fast, slow) for fast, slow in variants])
    stakes = np.stack([crossover.stakes(row) for row in held], axis=1) if engine else None
    terms = crossover.terms()

    def ours() -> SweepResult:
        return sweep(market.timeline, held, terms=terms, capital=CAPITAL, threads=THREADS)

    def peer() -> tuple[Any, Any, Any]:
        portfolio = vectorbt_portfolio(engine, market.naive, stakes)
        return portfolio.sharpe_ratio(), portfolio.total_return(), portfolio.max_drawdown()

    def difference() -> float:
        mine, (_, total, fall) = ours(), peer()
        return max(max_abs_diff(mine.total_return, total), max_abs_diff(mine.max_drawdown, fall))

    yield Contest(
        ours=ours,
        peer=peer if engine else None,
        peer_name="vectorbt",
        difference=difference,
        tolerance=TOLERANCE,
        goal=100.0,
        memory_goal=50.0,
        data=market.source,
        note=f"{len(variants)} variants of {held.shape[1]} bars, {THREADS} threads; returns and drawdowns are compared",
    )
