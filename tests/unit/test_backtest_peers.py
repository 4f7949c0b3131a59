"""The same trades as vectorbt under the same conventions; skipped where it is missing (requirements-bench.txt)."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from strategies.research.backtest import Capital, backtest
from strategies.research.costs import Costs
from strategies.research.lots import LotRules, SymbolTerms
from tests.research_builders import price_bars, timeline_of

FEE, SPREAD, SLIPPAGE = 0.0005, 0.0004, 0.0001
CAPITAL = 10_000.0


@pytest.fixture(scope="module")
def vectorbt():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its import's own
        return pytest.importorskip("vectorbt", reason="vectorbt is not installed: see requirements-bench.txt")


@pytest.fixture(scope="module")
def bars() -> pd.DataFrame:
    return price_bars(3000, seed=11, price=3_000.0)


def crossover(bars: pd.DataFrame) -> pd.Series:
    """Return 1 while the fast average is above the slow one, -1 while it is below."""
    fast, slow = (bars["close"].ewm(span=span, adjust=False).mean() for span in (12, 48))
    return np.sign(fast - slow)


def ours(bars: pd.DataFrame, positions: pd.Series, *, fixed: bool):
    """Run without slot 22's special hour and without rounding, trading only when the position turns."""
    terms = SymbolTerms(
        lots=LotRules(is_rounded=False, drift_band=np.inf),
        costs=Costs(spread_fraction=SPREAD, slippage=SLIPPAGE, commission_rate=FEE),
    )
    # So rich that sizing from the lesser of capital and equity is sizing from the capital.
    capital = Capital(start=1e6, fixed=CAPITAL) if fixed else Capital(start=1e6, fixed=None)
    return backtest(timeline_of(bars, early_hour=None), positions, terms=terms, capital=capital)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("sides", ["long only", "both"])
def test_a_crossover_trades_as_vectorbt_does(vectorbt, bars, sides):
    positions = crossover(bars)
    if sides == "long only":
        positions = positions.clip(lower=0)
    result = ours(bars, positions, fixed=True)
    # A decision is filled at the next open; vectorbt is told so by shifting what it shall hold.
    held = positions.shift(1).fillna(0)
    naive = bars.set_axis(bars.index.tz_localize(None))
    turned = held.ne(held.shift(1).fillna(0)).to_numpy()
    portfolio = vectorbt.Portfolio.from_orders(
        naive["close"],
        size=np.where(turned, held * CAPITAL, np.nan),
        size_type="targetvalue",
        price=naive["open"],
        val_price=naive["open"],
        fees=FEE,
        # Half the spread and the slippage move vectorbt's price; ours are paid on top of the bar's.
        slippage=SPREAD / 2 + SLIPPAGE,
        init_cash=1e6,
        freq="1h",
    )
    orders = portfolio.orders.records
    fills = result.fills
    assert len(fills) == len(orders) > 50
    np.testing.assert_array_equal(fills.bar, orders["idx"])
    signs = np.where(orders["side"] == 0, 1.0, -1.0)
    np.testing.assert_allclose(fills.lots, signs * orders["size"], rtol=1e-9)
    worse = 1 + signs * (SPREAD / 2 + SLIPPAGE)
    np.testing.assert_allclose(fills.price * worse, orders["price"], rtol=1e-12)
    # Its fee is on the price moved by slippage, ours on the bar's.
    np.testing.assert_allclose(fills.commission * worse, orders["fees"], rtol=1e-9)
    trips, theirs = result.trips(), portfolio.positions.records
    assert [trip.opened for trip in trips] == list(theirs["entry_idx"])
    closed = [trip for trip in trips if trip.closed is not None]
    assert [trip.closed for trip in closed] == list(theirs["exit_idx"][: len(closed)])
    np.testing.assert_allclose(
        [trip.net for trip in closed], theirs["pnl"][: len(closed)], atol=2 * CAPITAL * FEE * (SPREAD + SLIPPAGE) * 2
    )


@pytest.mark.filterwarnings("ignore")
def test_equity_without_costs_is_vectorbts(vectorbt, bars):
    positions = crossover(bars)
    terms = SymbolTerms(lots=LotRules(is_rounded=False))
    timeline = timeline_of(bars, early_hour=None)
    result = backtest(timeline, positions, terms=terms, capital=Capital(start=1e6, fixed=CAPITAL))
    naive = bars.set_axis(bars.index.tz_localize(None))
    portfolio = vectorbt.Portfolio.from_orders(
        naive["close"],
        size=positions.shift(1).fillna(0).to_numpy() * CAPITAL,
        size_type="targetvalue",
        price=naive["open"],
        val_price=naive["open"],
        init_cash=1e6,
        freq="1h",
    )
    np.testing.assert_allclose(result.equity, portfolio.value(), rtol=1e-12)
    assert result.score.max_drawdown == pytest.approx(portfolio.max_drawdown(), rel=1e-9)
