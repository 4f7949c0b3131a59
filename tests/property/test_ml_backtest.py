"""The event backtest against its Python twin, an account kept bar by bar, and a future that is written anew."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlfilter.backtest import BacktestSettings, kernels, run_backtest
from mlfilter.backtest.plans import make_plan, price_arrays
from mlfilter.setups import Barriers, Costs
from mlfilter.sizing import RiskRules
from tests.ml_bars_builders import wild_bars, wishes

pytestmark = pytest.mark.slow

some = settings(max_examples=40, deadline=None)
every_cut = settings(max_examples=4, deadline=None)
SEEDS = st.integers(0, 2**32 - 2000)
choices = st.builds(
    BacktestSettings,
    barriers=st.builds(
        Barriers,
        stop_pct=st.sampled_from([0.005, 0.02]),
        target_pct=st.sampled_from([0.005, 0.03]),
        horizon=st.integers(1, 20),
    ),
    costs=st.builds(Costs, half_spread=st.sampled_from([0.0, 0.001]), fee=st.sampled_from([0.0, 0.002])),
    rules=st.builds(
        RiskRules,
        risk_per_trade=st.sampled_from([0.005, 0.02]),
        max_risk_per_trade=st.sampled_from([0.005, 0.02]),
        leverage=st.sampled_from([1.0, 3.0]),
    ),
    cooldown_bars=st.integers(0, 5),
    daily_loss=st.sampled_from([0.01, 0.03, 1.0]),
    quantity_step=st.sampled_from([0.0, 1.0]),
)


@dataclass
class Account:
    """An account that a person keeps, one bar at a time: what is held, the cash, and how the day began."""

    chosen: BacktestSettings
    cash: float
    day: object = None
    day_start: float = 0.0
    held: tuple[int, int, float, float] | None = None  # bar, sign, units, price
    wait: int = 0
    order: int = 0
    trades: list[tuple[float, ...]] = field(default_factory=list)
    equity: list[float] = field(default_factory=list)

    def step(self, t: int, bar, wanted: int) -> None:
        if bar.Index.date() != self.day:
            self.day, self.day_start = bar.Index.date(), self.equity[-1] if self.equity else self.cash
        if self.order and self.cash - self.day_start > -self.chosen.daily_loss * self.day_start:
            self.enter(t, bar.open)
        if self.held:
            self.leave(t, bar)
        self.equity.append(self.cash + (self.worth_of(bar.close) if self.held else 0.0))
        self.order = wanted if not self.held and t >= self.wait else 0

    def enter(self, t: int, price: float) -> None:
        rate, rules, stop = self.chosen.costs.rate, self.chosen.rules, self.chosen.barriers.stop_pct
        loss = stop + rate * (1 + 1 - self.order * stop)
        shares = rules.risk_per_trade / stop * rules.leverage, rules.max_risk_per_trade / loss, rules.leverage
        units = self.cash * min(shares) / price
        if self.chosen.quantity_step:
            units = units // self.chosen.quantity_step * self.chosen.quantity_step
        if units > 0:
            self.held = (t, self.order, units, price)

    def leave(self, t: int, bar) -> None:
        price = self.exit_price(t, bar)
        if price is None:
            return
        begun, _, units, _ = self.held
        pnl = self.worth_of(price) - self.chosen.costs.rate * units * price
        self.trades.append((begun - 1, begun, t, units, price, pnl))
        self.cash, self.held = self.cash + pnl, None
        self.wait = t + self.chosen.cooldown_bars if pnl < 0 else t

    def exit_price(self, t: int, bar) -> float | None:
        begun, sign, _, entry = self.held
        barriers = self.chosen.barriers
        stop, target = entry * (1 - sign * barriers.stop_pct), entry * (1 + sign * barriers.target_pct)
        worst, best = (bar.low, bar.high) if sign > 0 else (bar.high, bar.low)
        if t - begun == barriers.horizon:
            return bar.open
        if sign * worst <= sign * stop:
            return sign * min(sign * stop, sign * bar.open)
        return sign * max(sign * target, sign * bar.open) if sign * best >= sign * target else None

    def worth_of(self, price: float) -> float:
        """Return what is won at a price, the entry paid."""
        _, sign, units, entry = self.held
        return sign * units * (price - entry) - self.chosen.costs.rate * units * entry


@some
@given(SEEDS, choices, st.sampled_from([0.003, 0.01]))
def test_trades_and_equity_are_those_of_an_account_kept_bar_by_bar(seed, chosen, size):
    bars, wanted = wild_bars(seed, 200, size=size, gaps=0.2), wishes(200, seed)
    result = run_backtest(bars, wanted, settings=chosen)
    account = Account(chosen, chosen.capital)
    for t, bar in enumerate(bars.itertuples()):
        account.step(t, bar, int(wanted[t]))
    columns = ["signal_bar", "entry_bar", "exit_bar", "quantity", "exit_price", "pnl"]
    np.testing.assert_allclose(
        result.trades[columns].to_numpy(dtype=float), np.reshape(account.trades, (-1, 6)), rtol=1e-9
    )
    np.testing.assert_allclose(result.equity, account.equity, rtol=1e-12)


@some
@given(SEEDS, choices)
def test_the_kernel_is_its_twin(seed, chosen):
    bars, wanted = wild_bars(seed, 150, gaps=0.2), wishes(150, seed)
    prices, index = price_arrays(bars)
    plan = make_plan(index, wanted, chosen.barriers.stop_pct, chosen.barriers.target_pct)
    written = []
    for run in (kernels.run, kernels.run_py):
        equity, rows = np.empty(150), np.zeros((150, kernels.TRADE))
        count = run(prices, plan, chosen.terms(), equity, rows)
        written.append((equity, rows[:count]))
    (fast_equity, fast_rows), (slow_equity, slow_rows) = written
    np.testing.assert_allclose(fast_equity, slow_equity, rtol=1e-12)
    np.testing.assert_allclose(fast_rows, slow_rows, rtol=1e-9, atol=1e-9)


@some
@given(SEEDS, choices)
def test_money_adds_up_and_trades_do_not_overlap(seed, chosen):
    bars, wanted = wild_bars(seed, 200, gaps=0.2), wishes(200, seed)
    result = run_backtest(bars, wanted, settings=chosen)
    trades, still_open = result.trades, 0.0 if result.open_trade is None else result.open_trade["pnl"]
    np.testing.assert_allclose(result.equity.iloc[-1], chosen.capital + trades["pnl"].sum() + still_open, rtol=1e-12)
    assert (trades["entry_bar"] == trades["signal_bar"] + 1).all()
    assert (trades["exit_bar"] >= trades["entry_bar"]).all()
    assert (trades["signal_bar"].to_numpy()[1:] >= trades["exit_bar"].to_numpy()[:-1]).all()
    assert (wanted[trades["signal_bar"]] != 0).all()
    flat = np.ones(200, dtype=bool)
    for trade in trades.itertuples():
        flat[trade.entry_bar : trade.exit_bar] = False
    if result.open_trade is not None:
        flat[result.open_trade["entry_bar"] :] = False
    booked = chosen.capital + np.bincount(trades["exit_bar"], trades["pnl"], minlength=200).cumsum()
    np.testing.assert_allclose(result.equity[flat], booked[flat], rtol=1e-12)


@some
@given(SEEDS, choices)
def test_a_stop_that_is_not_jumped_over_loses_no_more_than_the_cap(seed, chosen):
    bars, wanted = wild_bars(seed, 200, gaps=0.2), wishes(200, seed)
    result = run_backtest(bars, wanted, settings=chosen)
    before = chosen.capital + result.trades["pnl"].shift(fill_value=0.0).cumsum()
    opening = bars["open"].to_numpy()[result.trades["exit_bar"]]
    at_stop = (result.trades["exit_reason"] == "stop") & (result.trades["exit_price"] != opening)
    limit = before * chosen.rules.max_risk_per_trade
    assert (-result.trades["pnl"][at_stop] <= limit[at_stop] * (1 + 1e-12)).all()


@some
@given(SEEDS, choices)
def test_costs_never_make_a_trade_better(seed, chosen):
    bars, wanted = wild_bars(seed, 150, gaps=0.2), wishes(150, seed)
    paid = run_backtest(bars, wanted, settings=chosen).trades
    moved = (paid["exit_price"] - paid["entry_price"]) * paid["direction"].map({"long": 1, "short": -1})
    assert (paid["pnl"] <= moved * paid["quantity"] + 1e-9).all()
    np.testing.assert_allclose(paid["pnl"] + paid["fees"] + paid["slippage"], moved * paid["quantity"], atol=1e-6)


@every_cut
@given(SEEDS, choices)
def test_rewriting_the_future_changes_no_trade_already_closed(seed, chosen):
    bars, other, wanted = wild_bars(seed, 40), wild_bars(seed + 1, 40), wishes(40, seed)
    later = wishes(40, seed + 1)
    whole = run_backtest(bars, wanted, settings=chosen)
    for now in range(1, 40):
        rewritten = bars.copy()
        rewritten.iloc[now:] = other.iloc[now:].to_numpy()
        wishes_then = np.concatenate([wanted[:now], later[now:]])
        found = run_backtest(rewritten, wishes_then, settings=chosen)
        np.testing.assert_array_equal(found.equity[:now], whole.equity[:now])
        closed = whole.trades[whole.trades["exit_bar"] < now]
        pd.testing.assert_frame_equal(found.trades.iloc[: len(closed)], closed)
        opened = whole.trades["entry_bar"] < now
        kept = ["signal_bar", "entry_bar", "entry_price", "quantity", "direction"]
        again = found.trades if found.open_trade is None else pd.concat([found.trades, found.open_trade.to_frame().T])
        np.testing.assert_array_equal(again[kept].iloc[: opened.sum()], whole.trades.loc[opened, kept])


def test_random_setups_on_a_price_without_drift_lose_about_what_they_cost():
    chosen = BacktestSettings(daily_loss=1.0, cooldown_bars=0)
    earned, cost = [], []
    for seed in range(20):
        bars, wanted = wild_bars(seed, 3_000, size=0.004), wishes(3_000, seed)
        trades = run_backtest(bars, wanted, settings=chosen).trades
        worth = trades["quantity"] * trades["entry_price"]
        earned.extend(trades["pnl"] / worth)
        cost.extend((trades["fees"] + trades["slippage"]) / worth)
    error = np.std(earned) / np.sqrt(len(earned))
    assert abs(np.mean(earned) + np.mean(cost)) < 4 * error
    assert np.mean(earned) < -4 * error


def test_without_a_filter_is_a_filter_that_approves_everything():
    bars, wanted = wild_bars(3, 300), wishes(300, 3)
    chosen = replace(BacktestSettings(), daily_loss=1.0)
    pd.testing.assert_frame_equal(
        run_backtest(bars, wanted, settings=chosen).trades,
        run_backtest(bars, wanted, approved=np.ones(300, dtype=np.bool_), settings=chosen).trades,
    )
