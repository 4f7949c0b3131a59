"""The event backtest: the fifteen bars of the docs, its limits, its figures, and what it refuses."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from market.errors import BarsError
from mlfilter.backtest import BacktestResult, BacktestSettings, compare, run_backtest
from mlfilter.features import calculate_features
from mlfilter.labels import triple_barrier
from mlfilter.setups import Barriers, Costs
from mlfilter.signals import SIGNALS
from mlfilter.sizing import RiskRules
from tests.docs_reader import DOCS, codes, section, table
from tests.ml_bars_builders import read_klines, wild_bars, wishes

PAGE = DOCS / "mlfilter.md"
SIGN = {"long": 1, "short": -1, "": 0}
BY_HAND = BacktestSettings(
    barriers=Barriers(stop_pct=0.02, target_pct=0.04, horizon=3),
    costs=Costs(half_spread=0.0005, slippage=0.0002, fee=0.0003),
    rules=RiskRules(risk_per_trade=0.01, max_risk_per_trade=0.02),
    cooldown_bars=1,
    daily_loss=0.05,
    quantity_step=1.0,
)
FREE = replace(BY_HAND, costs=Costs(half_spread=0, slippage=0, fee=0), cooldown_bars=0, quantity_step=0.0)


def tables_by_hand() -> list[list[list[str]]]:
    """Return the three tables of the page's example: bars, trades, figures."""
    text = section(PAGE, "Fifteen bars by hand")
    found = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    return [table(part) for part in found]


def bars_by_hand() -> tuple[pd.DataFrame, np.ndarray]:
    rows = tables_by_hand()[0]
    times = pd.DatetimeIndex([f"2025-01-15 {row[0]}" for row in rows], tz="UTC")
    prices = [[float(cell) for cell in row[1:5]] for row in rows]
    bars = pd.DataFrame(prices, columns=["open", "high", "low", "close"], index=times)
    return bars, np.array([SIGN[row[5]] for row in rows], dtype=np.int8)


@pytest.fixture(scope="module")
def by_hand() -> BacktestResult:
    bars, wanted = bars_by_hand()
    return run_backtest(bars, wanted, settings=BY_HAND)


def test_the_equity_of_the_docs_is_what_comes_out(by_hand):
    np.testing.assert_allclose(by_hand.equity, [float(row[6]) for row in tables_by_hand()[0]], rtol=1e-12)


def test_the_trades_of_the_docs_are_what_come_out(by_hand):
    rows = tables_by_hand()[1]
    trades = by_hand.trades
    for column, name in ((0, "bar_at"), (1, "entry_at"), (4, "exit_at")):
        assert trades[name].dt.strftime("%H:%M").tolist() == [row[column] for row in rows]
    assert trades["direction"].tolist() == [row[2] for row in rows]
    assert trades["exit_reason"].tolist() == [row[6] for row in rows]
    numbers = {3: trades["quantity"], 5: trades["exit_price"], 9: trades["pnl"]}
    numbers |= {8: trades["fees"] + trades["slippage"], 7: trades["pnl"] + trades["fees"] + trades["slippage"]}
    for column, values in numbers.items():
        np.testing.assert_allclose(values, [float(row[column]) for row in rows], rtol=1e-12)
    np.testing.assert_allclose(trades["r"], [float(row[10]) for row in rows], atol=1e-5)
    assert by_hand.open_trade is None


def test_the_figures_of_the_docs_are_what_come_out(by_hand):
    figures = by_hand.metrics.as_data()
    for name, value in tables_by_hand()[2]:
        assert figures[codes(name)[0]] == pytest.approx(float(value), abs=5e-7 if "." in value else 0, rel=1e-5)


def test_a_filter_that_refuses_the_setup_that_lost_saves_it():
    bars, wanted = bars_by_hand()
    approved = np.ones(15, dtype=np.bool_)
    approved[5] = False
    both = compare(bars, wanted, approved, settings=BY_HAND)
    assert (both.n_setups, both.n_approved) == (7, 6)
    assert both.unfiltered.metrics.n_trades == 5
    assert both.filtered.trades["signal_bar"].tolist() == [0, 2, 7, 10]
    # 109.90 saved, and the short of 07:00 has 50 units for 49: it loses 3 and 0.203 more.
    saved = both.filtered.equity.iloc[9] - both.unfiltered.equity.iloc[9]
    assert saved == pytest.approx(109.9 - 3.203)


def test_refusing_everything_trades_nothing():
    bars, wanted = bars_by_hand()
    nothing = run_backtest(bars, wanted, approved=np.zeros(15, dtype=np.bool_), settings=BY_HAND)
    assert nothing.trades.empty
    assert (nothing.equity == 10_000).all()
    figures = nothing.metrics.as_data()
    assert (figures["n_trades"], figures["total_return"], figures["exposure"], figures["max_drawdown"]) == (0, 0, 0, 0)
    assert figures["win_rate"] is figures["profit_factor"] is figures["sharpe"] is None


def flat_bars(n: int, **changed: tuple[float, float, float, float]) -> pd.DataFrame:
    """Return bars that stand at 100 but for the named ones: ``bar_3=(open, high, low, close)``."""
    rows = [changed.get(f"bar_{row}", (100, 101, 99, 100)) for row in range(n)]
    times = pd.date_range("2025-01-15", periods=n, freq="h", tz="UTC")
    return pd.DataFrame(rows, columns=["open", "high", "low", "close"], index=times, dtype=float)


STOPPED = (100, 101, 97, 98)


@pytest.mark.parametrize(("cooldown", "second"), [(0, 1), (1, 2), (4, 5)])
def test_a_cooldown_counts_the_closes_from_the_loss_on(cooldown, second):
    wanted = np.ones(12, dtype=np.int8)
    result = run_backtest(flat_bars(12, bar_1=STOPPED), wanted, settings=replace(FREE, cooldown_bars=cooldown))
    assert result.trades["signal_bar"].tolist()[:2] == [0, second]


def test_a_gain_needs_no_cooldown():
    wanted = np.ones(12, dtype=np.int8)
    won = flat_bars(12, bar_1=(100, 105, 99, 104))
    assert run_backtest(won, wanted, settings=replace(FREE, cooldown_bars=4)).trades["signal_bar"].tolist()[1] == 1


def test_a_lost_day_enters_nothing_more_until_midnight():
    # Each stop loses 1 %: after the second the day has lost what it may. Bar 23 would be entered at 00:00.
    bars = flat_bars(30, **{f"bar_{row}": STOPPED for row in range(1, 30)})
    wanted = np.ones(30, dtype=np.int8)
    result = run_backtest(bars, wanted, settings=replace(FREE, daily_loss=0.0198))
    assert result.trades["signal_bar"].tolist() == [0, 1, 23, 24]
    unlimited = run_backtest(bars, wanted, settings=replace(FREE, daily_loss=1.0))
    assert len(unlimited.trades) == 29


def test_what_was_lost_yesterday_does_not_count_today():
    bars = flat_bars(30, bar_22=STOPPED, bar_23=STOPPED, bar_26=STOPPED)
    wanted = np.zeros(30, dtype=np.int8)
    wanted[[21, 22, 25, 26]] = 1
    result = run_backtest(bars, wanted, settings=replace(FREE, daily_loss=0.0199))
    assert result.trades["signal_bar"].tolist() == [21, 22, 25, 26][: len(result.trades)]
    assert len(result.trades) + (result.open_trade is not None) == 4


def test_the_cap_on_the_loss_counts_what_the_fills_cost():
    capped = replace(BY_HAND, quantity_step=0.0, rules=RiskRules(risk_per_trade=0.01, max_risk_per_trade=0.01))
    wanted = np.array([1] + [0] * 5, dtype=np.int8)
    lost = run_backtest(flat_bars(6, bar_1=STOPPED), wanted, settings=capped).trades.iloc[0]
    assert lost["pnl"] == pytest.approx(-100)
    assert lost["quantity"] == pytest.approx(100 / 2.198)


def test_what_is_open_at_the_end_is_in_the_equity_and_not_among_the_trades():
    bars = flat_bars(4, bar_3=(100, 102, 100, 102))
    wanted = np.array([0, 1, 0, 0], dtype=np.int8)
    result = run_backtest(bars, wanted, settings=BY_HAND)
    assert result.trades.empty
    assert result.open_trade["pnl"] == pytest.approx(50 * 2 - 5)
    assert result.equity.iloc[-1] == pytest.approx(10_095)
    assert (result.metrics.n_trades, result.metrics.exposure) == (0, 0.5)
    assert result.open_trade["exit_bar"] == -1
    assert pd.isna(result.open_trade["exit_at"])


def test_the_last_bars_setup_is_not_entered():
    result = run_backtest(flat_bars(3), np.array([0, 0, 1], dtype=np.int8), settings=BY_HAND)
    assert result.trades.empty
    assert result.open_trade is None


def test_a_trade_ends_as_its_label_says_on_real_bars(trading_data):
    bars = read_klines(trading_data, last=20_000)
    wanted = SIGNALS["oversold"].directions(calculate_features(bars))
    result = run_backtest(bars, wanted)
    labels = triple_barrier(bars, wanted).iloc[result.trades["signal_bar"]]
    assert len(result.trades) > 200
    np.testing.assert_array_equal(result.trades["exit_bar"], labels["exit_index"])
    np.testing.assert_array_equal(result.trades["exit_price"], labels["exit_price"])
    np.testing.assert_array_equal(result.trades["exit_reason"], labels["exit_reason"])
    np.testing.assert_allclose(result.trades["r"], labels["r"], rtol=1e-9)
    assert set(result.trades["exit_reason"]) == {"stop", "target", "timeout"}


def test_sharpe_and_drawdown_are_those_of_the_equity():
    bars = wild_bars(5, 500)
    result = run_backtest(bars, wishes(500, 5), settings=BY_HAND)
    returns = result.equity.pct_change().fillna(result.equity.iloc[0] / 10_000 - 1)
    assert result.metrics.sharpe == pytest.approx(returns.mean() / returns.std() * np.sqrt(365 * 24 * 4))
    high = result.equity.clip(lower=10_000).cummax()
    assert result.metrics.max_drawdown == pytest.approx((result.equity / high - 1).min())


def test_every_figure_is_a_number_that_json_holds(by_hand):
    assert set(by_hand.metrics.as_data()) >= {
        *("win_rate", "average_win", "average_loss", "profit_factor", "sharpe", "max_drawdown", "total_return"),
        *("expectancy", "n_trades", "exposure"),
    }
    assert by_hand.metrics.as_data()["sharpe"] is not None


@pytest.mark.parametrize(
    ("approved", "message"),
    [
        (np.full(15, 0.7), "approved must be a bool for each of 15 bars, was float64"),
        (np.ones(14, dtype=np.bool_), "approved must be a bool for each of 15 bars"),
        (pd.Series(np.ones(15, dtype=np.bool_)), "approved must be on the index of the bars"),
    ],
)
def test_a_score_is_no_approval(approved, message):
    bars, wanted = bars_by_hand()
    with pytest.raises(BarsError, match=message):
        run_backtest(bars, wanted, approved=approved)


@pytest.mark.parametrize(
    ("name", "value"),
    [("capital", 0.0), ("cooldown_bars", -1), ("cooldown_bars", 1.5), ("daily_loss", 0.0), ("quantity_step", -1.0)],
)
def test_settings_outside_what_they_may_be_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=name):
        BacktestSettings(**{name: value})


def test_no_bars_make_no_trades():
    bars, wanted = bars_by_hand()
    empty = run_backtest(bars.iloc[:0], wanted[:0])
    assert empty.trades.empty
    assert empty.metrics.n_trades == 0
