"""The ten strategies against a second writing of their definitions in plain pandas and statsmodels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from strategies import blocks
from strategies.estimators import STRATEGIES, build
from strategies.kernels.regression import ALPHA, ALPHA_T, BETA, BETA_T, rolling_ols, rolling_wls
from tests.bars_builders import make_bars, read_bars
from tests.strategies_reference import DEFAULTS, OWN, Reference, regress, regression_rows

pytestmark = pytest.mark.slow

TURNOVERS = {"vol_scale": 0.018, "rev": 0.66}  # a day, from the definitions
FIRST_BARS = {"vol_scale": 287, "orth_alpha": 3716}  # with a position, from the definitions
WEIGHT = {"strat_weight": 0.3, "target_vol": 0.15}
CASES = [
    ("vol_scale", {"vol_window": 100}),
    ("wed_thu", {"vol_window": 300}),
    ("ema_vol", {"fast_ema_window": 10, "weibull_c": 1.5, "alpha": 0.8}),
    ("ema_vol", {"decay_mode": "protective", "slow_ema_multiplier": 3}),
    ("accel_vol", {"fast_ema_window": 12, "diff_multiplier": 2, "vol_window": 200}),
    ("break_vol", {"breakout_window": 50, "smooth_window": 1, "fit_decay": False}),
    ("block_vol", {"block_window": 40, "smooth_window": 12, "decay_mode": "protective"}),
    ("buy_sell_vol", {"volume_window": 12, "smooth_window": 6, "vol_window": 300}),
    ("rev", {"reversal_threshold": 0.1, "volume_threshold": 0.6, "vol_window": 300}),
    ("rev", {"volume_column": "tick_volume", "reversal_window": 6}),
    ("orth_alpha", {"forward_window": 6, "regression_window": 200, "vol_window": 100}),
    ("weighted_orth_alpha", {"forward_window": 6, "regression_window": 200, "vol_window": 100, "alpha": 1.0}),
]


@pytest.fixture(scope="module")
def real_bars(request) -> pd.DataFrame:
    return read_bars(request.getfixturevalue("trading_data"))


def assert_same_signal(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    for column in theirs:
        np.testing.assert_allclose(ours[column], theirs[column], rtol=0, atol=1e-9, err_msg=column)


@pytest.mark.parametrize(("key", "params"), CASES)
def test_fitted_on_a_part_and_applied_to_all_of_synthetic_bars_they_agree(key, params):
    bars = make_bars(21, 2600)
    bars.iloc[900:903, 5:] = np.nan  # klines that Binance does not have
    bars.iloc[-4:-2, 5] = np.nan
    fitted = bars.iloc[:2000]
    strategy = build(key, **params, **WEIGHT, min_values=400).fit(fitted)
    reference = Reference.of(key, **params, **WEIGHT).fit(fitted)
    assert strategy.to_target_scaler_ == pytest.approx(reference.scaler, rel=1e-9)
    assert_same_signal(strategy.signal(bars), reference.signal(bars))


def test_every_strategy_has_a_reference_with_the_same_defaults():
    assert set(OWN) == set(STRATEGIES) == {key for key, _ in CASES}
    for key in STRATEGIES:
        for name, value in build(key).get_params().items():
            if name != "min_values":
                assert {**DEFAULTS, **OWN[key]}[name] == value, (key, name)


@pytest.mark.parametrize("key", STRATEGIES)
def test_on_a_real_file_they_agree_and_show_the_figures_that_the_definitions_promise(key, real_bars):
    reference = Reference.of(key)
    seen = reference.seen(real_bars)
    strategy = build(key).fit(real_bars)
    signal = strategy.signal(real_bars)
    assert_same_signal(signal, reference.fit(real_bars, seen).signal(real_bars, seen))

    positions = signal["pos"]
    pnl = positions.shift(1) * real_bars["close"].pct_change()
    turnover = positions.diff().abs().mean() * 24
    first = int(np.argmax(positions.to_numpy() != 0))
    assert 0.177 <= pnl.std() * blocks.ANNUAL_ROOT <= 0.199
    assert 0.018 <= round(turnover, 3) <= 0.66
    assert 287 <= first <= 3716
    assert key not in TURNOVERS or turnover == pytest.approx(TURNOVERS[key], rel=0.02)
    assert key not in FIRST_BARS or first == FIRST_BARS[key]


@pytest.mark.parametrize("weighted", [False, True])
def test_regressions_on_real_prices_are_statsmodels_within_the_bound(weighted, real_bars):
    key = "weighted_orth_alpha" if weighted else "orth_alpha"
    reference = Reference.of(key)
    y, x, weight = rows = regression_rows(real_bars.iloc[:6000], reference.params)
    window = reference.params["regression_window"]
    fitted = regress(rows, window, weighted=weighted)
    y_, x_, w_ = (part.to_numpy(copy=True) for part in (y, x["x"], weight))
    ours = rolling_wls(y_, x_, w_, window) if weighted else rolling_ols(y_, x_, window)
    theirs = {ALPHA: fitted.params["const"], BETA: fitted.params["x"]}
    theirs |= {ALPHA_T: fitted.tvalues["const"], BETA_T: fitted.tvalues["x"]}
    for row, peer in theirs.items():
        bound = 1e-6 * np.maximum(peer.abs(), peer.rolling(window, min_periods=2).std())
        done = peer.notna() & bound.notna()
        assert done.sum() > 2000
        assert (np.abs(ours[row] - peer)[done] <= bound[done]).all()
        np.testing.assert_array_equal(np.isnan(ours[row]), peer.isna())
