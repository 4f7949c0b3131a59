"""The same trades as backtesting.py under the same conventions; skipped without it (requirements-bench.txt)."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mlfilter.backtest import BacktestSettings, run_backtest
from mlfilter.setups import Barriers, Costs
from mlfilter.sizing import RiskRules
from tests.ml_bars_builders import read_klines, wild_bars, wishes

CHOSEN = BacktestSettings(
    barriers=Barriers(stop_pct=0.01, target_pct=0.015, horizon=12),
    costs=Costs(half_spread=0.0001, slippage=0.0002, fee=0.001),
    rules=RiskRules(risk_per_trade=0.005, max_risk_per_trade=0.02),
    capital=1e9,  # so rich that whole units, which is all that the peer trades, are fine enough
    cooldown_bars=3,
    daily_loss=1.0,
    quantity_step=1.0,
)


@pytest.fixture(scope="module")
def backtesting():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its import's own
        return pytest.importorskip("backtesting", reason="backtesting is not installed: see requirements-bench.txt")


def theirs(backtesting, bars: pd.DataFrame, wanted: np.ndarray, chosen: BacktestSettings):
    """Let the peer trade: a market order at the next open with a stop and a target, closed after the horizon.

    It is told when and how many units, from its own equity; stops, targets, gaps, costs and money are its own.
    """
    barriers, opening = chosen.barriers, bars["open"].to_numpy()

    class Setups(backtesting.Strategy):
        def init(self):
            self.seen, self.wait = 0, 0

        def next(self):
            t = len(self.data) - 1
            for trade in self.closed_trades[self.seen :]:
                self.wait = trade.exit_bar + (chosen.cooldown_bars if trade.pl < 0 else 0)
                self.seen += 1
            if self.trades and t - self.trades[0].entry_bar == barriers.horizon - 1:
                self.trades[0].close()
            elif not self.trades and wanted[t] and t >= self.wait:
                self.enter(int(wanted[t]), opening[t + 1])

        def enter(self, sign: int, price: float):
            units = int(self.equity * chosen.rules.risk_per_trade / barriers.stop_pct / price)
            stop, target = price * (1 - sign * barriers.stop_pct), price * (1 + sign * barriers.target_pct)
            (self.buy if sign > 0 else self.sell)(size=units, sl=stop, tp=target)

    named = bars.rename(columns=str.capitalize)[["Open", "High", "Low", "Close"]].tz_localize(None)
    costs = {"commission": chosen.costs.rate, "margin": 1.0}
    return backtesting.Backtest(named, Setups, cash=chosen.capital, **costs).run()


def acceptable(bars: pd.DataFrame, wanted: np.ndarray) -> np.ndarray:
    """Return the wishes that the peer takes: it wants the last close between stop and target.

    Its first decision is that of the second bar, and what would be open at the end is ours to tell: both are left out.
    """
    jumps = np.abs(bars["open"].shift(-1) / bars["close"] - 1) > 0.009
    taken = np.where(jumps, 0, wanted).astype(np.int8)
    taken[0] = taken[-14:] = 0
    return taken


def compared(backtesting, bars: pd.DataFrame, wanted: np.ndarray, chosen: BacktestSettings) -> int:
    """Require the same trades and the same equity; return how many trades there were."""
    ours, stats = run_backtest(bars, wanted, settings=chosen), theirs(backtesting, bars, wanted, chosen)
    assert {*ours.trades["exit_reason"]} == {"stop", "target", "timeout"}
    their = stats["_trades"].sort_values("EntryBar", ignore_index=True)
    assert len(ours.trades) == len(their)
    np.testing.assert_array_equal(ours.trades["entry_bar"], their["EntryBar"])
    np.testing.assert_array_equal(ours.trades["exit_bar"], their["ExitBar"])
    signs = ours.trades["direction"].map({"long": 1, "short": -1})
    np.testing.assert_array_equal(signs * ours.trades["quantity"], their["Size"])
    np.testing.assert_allclose(ours.trades["entry_price"], their["EntryPrice"], rtol=1e-12)
    np.testing.assert_allclose(ours.trades["exit_price"], their["ExitPrice"], rtol=1e-12)
    np.testing.assert_allclose(ours.trades["pnl"], their["PnL"], rtol=1e-9)
    np.testing.assert_allclose(ours.equity, stats["_equity_curve"]["Equity"], rtol=1e-12)
    assert ours.metrics.win_rate == pytest.approx(stats["Win Rate [%]"] / 100)
    assert ours.metrics.total_return == pytest.approx(stats["Return [%]"] / 100)
    assert ours.metrics.max_drawdown == pytest.approx(stats["Max. Drawdown [%]"] / 100)
    return len(their)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(3))
def test_random_setups_trade_as_backtesting_py_does(backtesting, seed):
    bars, wanted = wild_bars(seed, 1_500, size=0.0035, gaps=0.3), wishes(1_500, seed, share=0.2)
    assert compared(backtesting, bars, acceptable(bars, wanted), CHOSEN) > 60


@pytest.mark.filterwarnings("ignore")
def test_without_a_cooldown_and_costs_too(backtesting):
    free = replace(CHOSEN, costs=Costs(half_spread=0, slippage=0, fee=0), cooldown_bars=0)
    bars, wanted = wild_bars(9, 1_500, size=0.0035, gaps=0.3), wishes(1_500, 9, share=0.2)
    assert compared(backtesting, bars, acceptable(bars, wanted), free) > 60


@pytest.mark.filterwarnings("ignore")
def test_real_bars_trade_as_backtesting_py_does(backtesting, trading_data):
    bars = read_klines(trading_data, last=4_000)
    fallen = bars["close"] / bars["close"].rolling(20).mean() - 1
    wanted = np.select([fallen < -0.01, fallen > 0.01], [1, -1], 0)
    assert compared(backtesting, bars, acceptable(bars, wanted), CHOSEN) > 60
