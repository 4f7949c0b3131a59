"""The default plan: the source's weights, the definitions' variants, and names that last."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from strategies.default_plan import DEFAULT_PLAN, variant_name
from strategies.estimators import STRATEGIES, build
from tests.bars_builders import make_bars

ENABLED = [model for model in DEFAULT_PLAN if model.enabled]


def test_sixteen_models_a_symbol_are_switched_on():
    assert len(ENABLED) == 16
    assert {model.strategy for model in DEFAULT_PLAN} == set(STRATEGIES)
    assert {m.strategy for m in DEFAULT_PLAN if not m.enabled} == {"vol_scale", "buy_sell_vol", "weighted_orth_alpha"}


def test_a_strategys_weight_is_the_sources_shared_equally():
    weights: defaultdict[str, float] = defaultdict(float)
    for model in ENABLED:
        weights[model.strategy] += model.strat_weight
    source = {
        "wed_thu": 10,
        "ema_vol": 20,
        "accel_vol": 15,
        "break_vol": 20,
        "block_vol": 15,
        "rev": 10,
        "orth_alpha": 20,
    }
    assert {key: round(100 * weight, 9) for key, weight in weights.items()} == source
    for key in source:
        assert len({model.strat_weight for model in ENABLED if model.strategy == key}) == 1
    assert sum(weights.values()) == pytest.approx(1.10)


def test_what_is_switched_off_would_trade_nothing():
    assert {model.strat_weight for model in DEFAULT_PLAN if not model.enabled} == {0.0}


def test_names_of_variants_are_what_the_definitions_call_them_and_unique():
    names = [(model.strategy, model.variant) for model in DEFAULT_PLAN]
    assert len(set(names)) == len(names)
    assert ("ema_vol", "fast_ema_window=24") in names
    assert ("block_vol", "block_window=480,smooth_window=48") in names
    assert ("wed_thu", "default") in names


@pytest.mark.parametrize("model", DEFAULT_PLAN, ids=lambda model: f"{model.strategy}:{model.variant}")
def test_every_planned_model_can_be_built_and_fitted(model):
    bars = make_bars(n=5000)
    strategy = build(model.strategy, **model.params, strat_weight=model.strat_weight).fit(bars)
    assert strategy.min_bars <= 8760  # what the hourly session loads
    assert np.isfinite(strategy.one_step_predict(bars))


def test_a_name_does_not_depend_on_the_order_or_the_type_of_numbers():
    assert variant_name({"b": 2, "a": 0.3}) == variant_name({"a": np.float64(0.3), "b": np.int64(2)}) == "a=0.3,b=2"
    assert variant_name({"a": 2.0}) == variant_name({"a": 2})
    assert variant_name({"fit_decay": False, "decay_mode": "protective"}) == "decay_mode=protective,fit_decay=False"
    assert variant_name({}) == "default"
