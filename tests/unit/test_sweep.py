"""Several symbols on one account, many variants of one symbol, and what no backtest is run on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from strategies.errors import ParameterError
from strategies.research.backtest import Capital, backtest
from strategies.research.costs import Costs
from strategies.research.events import BacktestError, TimelineRules
from strategies.research.lots import LotRules, SymbolTerms
from strategies.research.sweep import sweep
from strategies.research.timeline import build_timeline
from tests.research_builders import hours, price_bars, timeline_of, wishes

EXACT = LotRules(is_rounded=False)
RICH = Capital(start=1_000_000, fixed=10_000)
COSTLY = SymbolTerms(
    costs=Costs(spread_fraction=0.001, slippage=0.0002, commission_rate=0.0005, swap_long=-0.36, swap_short=-0.18)
)


def test_a_portfolio_of_one_is_that_symbol():
    bars, wish = price_bars(600), wishes(600)
    two = build_timeline({"BTCUSD": bars, "ETHUSD": price_bars(600, seed=5, price=3_000.0)})
    alone = backtest(timeline_of(bars), wish, terms=COSTLY)
    terms = {"BTCUSD": SymbolTerms(costs=COSTLY.costs, weight=1.0), "ETHUSD": SymbolTerms(weight=0.0)}
    both = backtest(two, {"BTCUSD": wish, "ETHUSD": np.ones(600)}, terms=terms)
    np.testing.assert_allclose(both.equity, alone.equity, rtol=1e-12)
    np.testing.assert_array_equal(both.fills.after, alone.fills.after)


def test_symbols_that_do_not_share_a_limit_add_up():
    names = {"BTCUSD": price_bars(300), "ETHUSD": price_bars(300, seed=5, price=3_000.0, gaps=0.1)}
    wish = {name: pd.Series(wishes(300, seed=i), index=hours(300)) for i, name in enumerate(names)}
    whole = backtest(build_timeline(names), wish, terms=COSTLY, capital=RICH)
    parts = [
        backtest(
            build_timeline({name: bars}),
            wish[name].reindex(bars.index),
            terms=SymbolTerms(costs=COSTLY.costs, weight=0.5),
            capital=RICH,
        )
        for name, bars in names.items()
    ]
    assert whole.net == pytest.approx(sum(part.net for part in parts))
    assert whole.costs.swap == pytest.approx(sum(part.costs.swap for part in parts))
    assert len(whole.fills) == sum(len(part.fills) for part in parts)


def test_a_portfolio_is_sized_from_the_equity_of_all():
    index = hours(4)
    falling = pd.DataFrame({"open": [100.0, 100, 50, 50], "close": [100.0, 50, 50, 50]}, index=index)
    still = pd.DataFrame({"open": 10.0, "close": 10.0}, index=index)
    timeline = build_timeline({"A": falling, "B": still})
    result = backtest(
        timeline, {"A": np.ones(4), "B": np.ones(4)}, terms=SymbolTerms(lots=EXACT), capital=Capital(fixed=None)
    )
    # A's half loses half: 7,500 are left, of which B has 3,750.
    last = result.fills.of(1).after[-1]
    assert last * 10 == pytest.approx(3_750)


@pytest.mark.parametrize("capital", [RICH, Capital(), Capital(fixed=None)])
@pytest.mark.parametrize("lots", [LotRules(), EXACT, LotRules(volume_step=0.1, volume_min=0.2, drift_band=0.3)])
@pytest.mark.parametrize("threads", [1, 3])
def test_a_sweep_gives_what_each_backtest_gives(capital, lots, threads):
    timeline = timeline_of(price_bars(700, price=500.0))
    terms = SymbolTerms(lots=lots, costs=COSTLY.costs)
    variants = [wishes(700, seed=seed, stays=1 + seed % 9) for seed in range(37)]
    swept = sweep(timeline, iter(variants), terms=terms, capital=capital, threads=threads)
    runs = [backtest(timeline, variant, terms=terms, capital=capital) for variant in variants]
    for name in ("sharpe", "total_return", "max_drawdown", "turnover"):
        expected = [getattr(run.score, name) for run in runs]
        np.testing.assert_allclose(getattr(swept, name), expected, rtol=1e-7, atol=1e-10, err_msg=name)
    np.testing.assert_array_equal(swept.n_fills, [len(run.fills) for run in runs])


def test_a_sweep_of_nothing_is_empty_and_of_a_flat_variant_has_no_sharpe():
    timeline = timeline_of(price_bars(50))
    assert len(sweep(timeline, [])) == 0
    flat = sweep(timeline, np.zeros((1, 50)))
    assert np.isnan(flat.sharpe[0])
    assert flat.total_return[0] == flat.max_drawdown[0] == flat.turnover[0] == 0


# What is refused


@pytest.mark.parametrize(
    ("positions", "says"),
    [
        (np.ones(9), "10 numbers"),
        ([np.nan] + [0.0] * 9, "finite on its bars: 1 were not, first nan at 2025-01-15 16:00"),
        (np.full(10, np.inf), "finite"),
        ({"ETHUSD": np.ones(10)}, "must be of BTCUSD, were of ETHUSD"),
        (pd.Series(np.ones(3), index=hours(3)), "finite on its bars: 7 were not"),
    ],
)
def test_positions_that_do_not_fit_are_refused(positions, says):
    timeline = timeline_of(price_bars(10))
    with pytest.raises(BacktestError, match=says):
        backtest(timeline, positions)
    if not isinstance(positions, dict):
        with pytest.raises(BacktestError, match=says):
            sweep(timeline, [positions])


def test_weights_above_the_whole_are_refused():
    timeline = build_timeline({"A": price_bars(5), "B": price_bars(5)})
    with pytest.raises(BacktestError, match=r"added up to 1\.2"):
        backtest(timeline, {"A": np.ones(5), "B": np.ones(5)}, terms=SymbolTerms(weight=0.6))


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: build_timeline({}), "at least one symbol"),
        (lambda: build_timeline({"A": price_bars(5).iloc[:0]}), "at least one bar"),
        (lambda: build_timeline({"A": price_bars(5).set_axis(hours(5, "2025-01-01 00:30"))}), "whole|multiples"),
        (lambda: build_timeline({"A": price_bars(5), "B": price_bars(5)}, funding={"A": pd.Series()}), "every symbol"),
    ],
)
def test_bars_that_are_no_timeline_are_refused(build, says):
    with pytest.raises(BacktestError, match=says):
        build()


@pytest.mark.parametrize(
    "make",
    [
        lambda: TimelineRules(early_hour=24),
        lambda: TimelineRules(interval=pd.Timedelta("15min")),
        lambda: TimelineRules(triple_swap_weekday=5),
        lambda: LotRules(volume_step=0),
        lambda: LotRules(lot_precision=9),
        lambda: LotRules(drift_band=float("nan")),
        lambda: SymbolTerms(weight=1.1),
        lambda: Capital(start=0),
        lambda: Capital(fixed=-1),
    ],
)
def test_rules_that_make_no_sense_are_refused(make):
    with pytest.raises(ParameterError):
        make()
