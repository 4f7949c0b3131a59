"""Positions times next returns, less what changing them costs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from market.bars import bar_arrays
from strategies.estimators import STRATEGIES, build
from strategies.out_of_sample import Costs, HeldOut, at_full_weight, measure, twin_performance
from tests.bars_builders import make_bars

FREE = Costs(half_spread=0.0, commission=0.0)


def test_five_bars_by_hand():
    """Held over bars 3 and 4: 0.5 and -0.5; traded for them: 0.5 from 0, then 1 across; 1 % of what is traded."""
    positions = np.array([0.0, 0.0, 0.5, -0.5, 9.0])
    returns = np.array([np.nan, 9.0, 9.0, 0.04, 0.02])

    found = measure(positions, returns, start=3, costs=Costs(half_spread=0.004, commission=0.006))

    earned = (0.5 * 0.04 - 0.5 * 0.01, -0.5 * 0.02 - 1.0 * 0.01)  # 0.015, -0.02
    deviation = 0.035 / math.sqrt(2)
    assert found.n_bars == 2
    assert found.total_return == pytest.approx(sum(earned))
    assert found.costs == pytest.approx(0.015)
    assert found.sharpe == pytest.approx(-0.0025 / deviation * math.sqrt(8760))
    assert found.volatility == pytest.approx(deviation * math.sqrt(8760))
    assert found.turnover == pytest.approx(0.75 * 24)


def test_holding_without_trading_costs_nothing_and_earns_the_market():
    rng = np.random.default_rng(0)
    returns = rng.normal(0.0, 0.01, 500)
    found = measure(np.ones(500), returns, start=100, costs=Costs())
    assert found.total_return == pytest.approx(returns[100:].sum())
    assert (found.costs, found.turnover) == (0.0, 0.0)


def test_costs_never_raise_a_return():
    rng = np.random.default_rng(1)
    positions, returns = rng.uniform(-1, 1, 500), rng.normal(0.0, 0.01, 500)
    free = measure(positions, returns, start=2, costs=FREE)
    paid = measure(positions, returns, start=2, costs=Costs())
    assert free.total_return - paid.total_return == pytest.approx(paid.costs)
    assert paid.sharpe < free.sharpe


def test_what_never_moves_has_no_sharpe():
    found = measure(np.zeros(50), np.full(50, 0.01), start=10, costs=Costs())
    assert (found.sharpe, found.total_return) == (None, 0.0)


@pytest.mark.parametrize("start", [0, 1, 49, 50])
def test_too_few_bars_before_or_after_are_refused(start):
    with pytest.raises(ValueError, match=f"start must be in 2..48 for 50 bars, was {start}"):
        measure(np.zeros(50), np.zeros(50), start=start, costs=FREE)


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf])
def test_costs_are_finite_fractions(value):
    with pytest.raises(ValueError, match="commission must be"):
        Costs(commission=value)


def test_full_weight_leaves_the_model_as_it_is():
    model = build("ema_vol", strat_weight=0.05)
    assert (at_full_weight(model).strat_weight, model.strat_weight) == (1.0, 0.05)


@pytest.mark.parametrize("key", STRATEGIES)
def test_a_twin_is_what_would_have_been_fitted_then(key):
    """The same as fitting on the earlier bars alone and predicting all; the whole series has no say in it."""
    bars = make_bars(0, 400)
    strategy = type(build(key)).small()
    whole = build(key, **strategy.get_params()).fit(bars)

    found = twin_performance(whole, whole.indicators(bar_arrays(bars)), HeldOut(n_bars=100, costs=Costs()))

    alone = build(key, **(strategy.get_params() | {"strat_weight": 1.0})).fit(bars.iloc[:300])
    held = alone.predict(bars).shift(1)
    earned = (held * bars["close"].pct_change() - held.diff().abs() * 0.000475).iloc[300:]
    assert found.sharpe == pytest.approx(earned.mean() / earned.std() * 8760**0.5, rel=1e-6)
    assert found.total_return == pytest.approx(earned.sum(), rel=1e-6)


def test_history_that_is_too_short_to_hold_bars_out_has_no_twin():
    bars = bar_arrays(make_bars(0, 120))
    model = build("ema_vol", vol_window=20, min_values=30, fast_ema_window=5).fit(bars)
    indicators = model.indicators(bars)
    assert twin_performance(model, indicators, HeldOut(n_bars=120, costs=FREE)) is None
    assert twin_performance(model, indicators, HeldOut(n_bars=121 - model.min_bars, costs=FREE)) is None
    assert twin_performance(model, indicators, HeldOut(n_bars=0, costs=FREE)) is None
    assert twin_performance(model, indicators, HeldOut(n_bars=20, costs=FREE)) is not None
