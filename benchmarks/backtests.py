"""One backtest of 100,000 bars: positions into fills, equity and figures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import crossover
from benchmarks.crossover import CAPITAL, CASH, FEE, STAKE, Floats, Market
from benchmarks.harness import Contest, max_abs_diff
from benchmarks.peers import find_peer
from strategies.research.backtest import BacktestResult, Score, backtest

TOLERANCE = 1e-9  # of the starting capital


@contextmanager
def vectorbt() -> Iterator[Contest]:
    """From positions to trades, equity, Sharpe ratio, return and drawdown, against vectorbt."""
    engine, market = find_peer("vectorbt"), Market.load()
    held = crossover.sides(market.frame["close"])
    stakes, terms = crossover.stakes(held), crossover.terms()

    def run() -> BacktestResult:
        return backtest(market.timeline, held, terms=terms, capital=CAPITAL)

    def peer() -> Any:
        portfolio = vectorbt_portfolio(engine, market.naive, stakes)
        return portfolio.sharpe_ratio(), portfolio.total_return(), portfolio.max_drawdown()

    def difference() -> float:
        theirs = vectorbt_portfolio(engine, market.naive, stakes).value().to_numpy()
        ours = run()
        score = (ours.score.total_return, ours.score.max_drawdown)
        return max(max_abs_diff(ours.equity / CASH, theirs / CASH), max_abs_diff(score, peer()[1:]))

    yield Contest(
        ours=lambda: run().score,
        peer=peer if engine else None,
        peer_name="vectorbt",
        difference=difference,
        tolerance=TOLERANCE,
        goal=100.0,
        data=market.source,
        note=f"{len(held)} bars; equity of all bars and the figures are compared, in units of the capital",
    )


def vectorbt_portfolio(engine: Any, bars: pd.DataFrame, stakes: Any) -> Any:
    """Return vectorbt's account: a stake is traded at the open of the bar in whose row it stands."""
    return engine.Portfolio.from_orders(
        bars["close"],
        size=stakes,
        size_type="targetvalue",
        price=bars["open"],
        val_price=bars["open"],
        fees=FEE,
        init_cash=CASH,
        freq="1h",
    )


@contextmanager
def backtesting_py() -> Iterator[Contest]:
    """From positions to trades, equity and statistics, against backtesting.py."""
    package, market = find_peer("backtesting"), Market.load()
    held = crossover.sides(market.frame["close"])
    terms = crossover.terms(whole_units=True)

    def run() -> BacktestResult:
        return backtest(market.timeline, held, terms=terms, capital=CAPITAL)

    def figures() -> Score:
        return run().score

    # It sizes a whole bar before it fills, so it is told the units: what a stake buys at the next open.
    units = _units(market, held)
    peer = partial(_event_driven, package, market, units) if package else None

    def difference() -> float:
        theirs = _event_driven(package, market, units)._equity_curve["Equity"].to_numpy()
        return max_abs_diff(run().equity / CASH, theirs / CASH)

    yield Contest(
        ours=figures,
        peer=peer,
        peer_name="backtesting.py",
        difference=difference,
        tolerance=TOLERANCE,
        goal=1000.0,
        data=market.source,
        note=f"{len(held)} bars in whole units; equity of all bars is compared, in units of the capital",
    )


def _units(market: Market, held: Floats) -> Floats:
    """Return the signed units to hold after each bar, changed only where the side turns."""
    next_open = np.concatenate([market.frame["open"].to_numpy()[1:], [np.nan]])
    bought = np.rint(STAKE / next_open)
    turned = np.diff(held, prepend=0.0) != 0.0
    units = pd.Series(np.where(turned, held * bought, np.nan)).ffill().fillna(0.0)
    return np.asarray(units, dtype=np.float64)


def _event_driven(package: Any, market: Market, units: Floats) -> Any:
    class Follows(package.Strategy):  # type: ignore[misc]  # a class of a package that may be missing
        def init(self) -> None:
            """Nothing is computed: the units are a column."""

        def next(self) -> None:
            change = self.data.Units[-1] - self.position.size
            if change > 0:
                self.buy(size=change)
            elif change < 0:
                self.sell(size=-change)

    bars = market.naive.rename(columns=str.capitalize).assign(Volume=1.0, Units=units)
    return package.Backtest(bars, Follows, cash=CASH, commission=FEE).run()
