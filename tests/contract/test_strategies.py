"""What every strategy of the catalogue promises, whatever it trades."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

from market.bars import bar_arrays
from strategies import blocks
from strategies.estimators import STRATEGIES, build
from strategies.estimators.base import BaseStrategy
from strategies.estimators.ema_vol import EmaVolStrategy
from tests.bars_builders import make_bars, read_bars

every_strategy = pytest.mark.parametrize("key", STRATEGIES)
same = np.testing.assert_array_equal
COLUMNS = ["v", "s", "tilt", "decay", "raw", "pos"]


def small(key: str) -> BaseStrategy:
    return type(build(key)).small()


def assert_past_ignores_future(strategy: BaseStrategy, bars: pd.DataFrame, other: pd.DataFrame) -> None:
    """Rewrite all bars after every cut: what was decided before it must not move by a bit."""
    whole = strategy.predict(bars).to_numpy()
    values, others = bars.to_numpy(), other.to_numpy()
    for now in range(1, len(bars)):
        rewritten = pd.DataFrame(np.vstack([values[:now], others[now:]]), bars.index, bars.columns)
        same(strategy.predict(rewritten).to_numpy()[:now], whole[:now])


def assert_now_ignores_future(strategy: BaseStrategy, bars: pd.DataFrame, cuts) -> None:
    """Cut the future off: the last position must be the one that the whole series has there."""
    whole = strategy.predict(bars).to_numpy()
    for now in cuts:
        assert strategy.one_step_predict(bars.iloc[:now]) == whole[now - 1]


@every_strategy
@pytest.mark.parametrize("seed", range(2))
def test_rewriting_the_future_leaves_the_past_alone(key, seed):
    bars, other = make_bars(seed), make_bars(seed + 100)
    assert_past_ignores_future(small(key).fit(bars), bars, other)


@every_strategy
def test_cutting_the_future_off_changes_nothing_at_any_cut(key):
    bars = make_bars(3)
    strategy = small(key).fit(bars)
    assert_now_ignores_future(strategy, bars, range(strategy.min_bars, len(bars) + 1))


@every_strategy
def test_two_hundred_cuts_of_a_real_file_at_full_size(key, real_bars):
    strategy = build(key).fit(real_bars)
    cuts = np.random.default_rng(20).integers(strategy.min_bars, len(real_bars), size=200)
    assert_now_ignores_future(strategy, real_bars, cuts)


@pytest.fixture(scope="module")
def real_bars(request) -> pd.DataFrame:
    return read_bars(request.getfixturevalue("trading_data"))


class PeekingStrategy(EmaVolStrategy):
    """Knows the next close."""

    def _indicators_of(self, bars):
        close = bars.columns["close"]
        ahead = bar_arrays(make_bars(0, len(bars)))
        ahead.columns.update(bars.columns, close=np.roll(close, -1))
        return super()._indicators_of(ahead)


class WholeMeanStrategy(EmaVolStrategy):
    """Measures its score from a mean of all bars, later ones included."""

    def _indicators_of(self, bars):
        seen = super()._indicators_of(bars)
        centred = seen.s - np.nanmean(seen.s)
        return type(seen)(seen.index, seen.returns, seen.v, centred)


@pytest.mark.parametrize("strategy", [PeekingStrategy, WholeMeanStrategy])
def test_both_checks_catch_a_strategy_that_looks_ahead(strategy):
    bars, other = make_bars(0), make_bars(100)
    fitted = strategy.small().fit(bars)
    with pytest.raises(AssertionError):
        assert_past_ignores_future(fitted, bars, other)
    with pytest.raises(AssertionError):
        assert_now_ignores_future(fitted, bars, range(fitted.min_bars, len(bars)))


@every_strategy
def test_the_name_of_a_class_says_that_it_is_a_strategy_and_every_parameter_has_limits(key):
    strategy = build(key)
    assert type(strategy).__name__.endswith("Strategy")
    assert set(strategy.get_params()) == set(strategy.allowed)
    assert all(value in strategy.allowed[name] for name, value in strategy.get_params().items())


@every_strategy
def test_init_stores_parameters_and_nothing_else(key):
    strategy = build(key)
    assert vars(strategy) == strategy.get_params()
    assert all(parameter.default is not inspect.Parameter.empty for parameter in signature_of(strategy))


def signature_of(strategy: BaseStrategy) -> list[inspect.Parameter]:
    return list(inspect.signature(type(strategy)).parameters.values())


@every_strategy
def test_a_clone_has_the_parameters_and_nothing_learned(key):
    strategy = small(key).set_params(target_vol=0.15).fit(make_bars())
    copy = clone(strategy)
    assert copy.get_params() == strategy.get_params()
    with pytest.raises(NotFittedError, match="not fitted yet"):
        copy.predict(make_bars())


@every_strategy
def test_positions_are_finite_zero_while_warming_up_and_on_the_index_of_bars(key):
    bars = make_bars(5)
    strategy = small(key).fit(bars)
    positions = strategy.predict(bars)
    assert positions.index.equals(bars.index)
    assert np.isfinite(positions).all()
    assert (positions != 0).any()
    same(positions[strategy.signal(bars)["raw"].isna()], 0.0)


@every_strategy
def test_the_warm_up_is_as_long_as_it_says(key):
    bars = make_bars(6)
    strategy = small(key).fit(bars)
    score = strategy.signal(bars)[["s", "raw"]].notna().all(axis=1).to_numpy()
    if key == "wed_thu":  # 0 on other days counts as a value; the warm-up is the worst over all starts
        score = strategy.signal(bars)["raw"].ne(0).to_numpy()
        assert np.argmax(score) <= strategy.warm_up
    else:
        assert np.argmax(score) == strategy.warm_up


@every_strategy
def test_as_many_bars_as_it_asks_for_are_enough_at_full_size(key):
    strategy = build(key)
    bars = make_bars(6, strategy.min_bars)
    assert np.isfinite(strategy.fit(bars).predict(bars)).all()


@pytest.mark.parametrize("hour", range(0, 168, 5))
def test_wed_thu_is_warm_within_its_warm_up_wherever_the_week_starts(hour):
    start = pd.Timestamp("2024-01-01") + pd.Timedelta(hours=hour)
    strategy = small("wed_thu").set_params(vol_window=210)
    v = strategy.indicators(make_bars(n=strategy.min_bars + 200, start=str(start))).v
    assert np.isfinite(v[strategy.warm_up :][~np.isnan(v[strategy.warm_up :])]).any()
    trading = strategy.indicators(make_bars(n=strategy.min_bars + 200, start=str(start))).s[strategy.warm_up :] != 0
    assert np.isfinite(v[strategy.warm_up :][trading]).all()


@every_strategy
def test_the_same_bars_give_the_same_answer_twice(key):
    bars = make_bars(7)
    strategy = small(key).fit(bars)
    same(strategy.predict(bars), strategy.predict(bars.copy()))
    same(strategy.predict(bars), small(key).fit(bars).predict(bars))


@every_strategy
def test_the_last_position_and_the_signal_agree_with_predict(key):
    bars = make_bars(8)
    strategy = small(key).fit(bars)
    positions = strategy.predict(bars)
    signal = strategy.signal(bars)
    assert list(signal.columns) == COLUMNS
    assert strategy.one_step_predict(bars) == positions.iloc[-1]
    same(signal["pos"], positions)
    expected = signal["raw"] * (strategy.to_target_scaler_ * strategy.strat_weight)
    same(positions, expected.fillna(0.0))


@every_strategy
def test_bars_checked_once_give_what_a_frame_gives(key):
    bars = make_bars(9)
    strategy = small(key).fit(bars)
    arrays = bar_arrays(bars)
    for _ in range(2):
        same(strategy.predict(arrays), strategy.predict(bars))
    assert small(key).fit(arrays).to_target_scaler_ == strategy.to_target_scaler_


@every_strategy
def test_what_is_kept_with_bars_is_never_written_to_nor_mixed_up_between_parameters(key):
    arrays = bar_arrays(make_bars(9))
    first = small(key).fit(arrays)
    expected = first.signal(arrays)
    for result in (first.predict(arrays), first.signal(arrays)):
        result.loc[:] = 1e9
    other = small(key).set_params(vol_window=28, min_values=20).fit(arrays)
    assert not other.signal(arrays)["v"].equals(expected["v"])
    pd.testing.assert_frame_equal(small(key).fit(arrays).signal(arrays), expected)


@every_strategy
def test_predicting_and_fitting_leave_the_bars_alone(key):
    bars = make_bars(10)
    before = bars.copy()
    small(key).fit(bars).predict(bars)
    pd.testing.assert_frame_equal(bars, before)


@every_strategy
def test_the_fitted_pnl_has_the_target_volatility_before_the_weight(key):
    bars = make_bars(11)
    strategy = small(key).set_params(target_vol=0.3, strat_weight=0.25).fit(bars)
    pnl = (strategy.signal(bars)["raw"] * strategy.to_target_scaler_).shift(1) * bars["close"].pct_change()
    assert pnl.std() * blocks.ANNUAL_ROOT == pytest.approx(0.3, rel=1e-9)
    weightless = clone(strategy).set_params(strat_weight=1.0).fit(bars)
    np.testing.assert_allclose(strategy.predict(bars), 0.25 * weightless.predict(bars), rtol=1e-12)


@every_strategy
def test_quoting_prices_in_quarters_changes_no_position(key):
    bars = make_bars(12)
    strategy = small(key).fit(bars)
    quarters = bars.assign(**{name: 4.0 * bars[name] for name in ("open", "high", "low", "close")})
    same(strategy.predict(quarters), strategy.predict(bars))


@every_strategy
def test_a_strategy_read_back_from_a_file_predicts_the_same(key, tmp_path):
    bars = make_bars(13)
    strategy = small(key).fit(bars)
    joblib.dump(strategy, tmp_path / "model.joblib")
    same(joblib.load(tmp_path / "model.joblib").predict(bars), strategy.predict(bars))


@every_strategy
def test_indicators_computed_once_can_be_fitted_on_chosen_rows(key):
    bars = make_bars(14, n=600)
    seen = small(key).indicators(bars)
    whole, every_row = small(key).calibrate(seen), small(key).calibrate(seen, np.arange(600))
    assert whole.to_target_scaler_ == every_row.to_target_scaler_
    assert whole.to_target_scaler_ == small(key).fit(bars).to_target_scaler_
    part = small(key).calibrate(seen, np.arange(200, 450))
    assert part.to_target_scaler_ != whole.to_target_scaler_
    same(whole.positions(seen), whole.predict(bars))


@every_strategy
def test_fitting_on_rows_does_not_depend_on_other_rows_prices(key):
    bars, other = make_bars(15, n=600), make_bars(115, n=600)
    rewritten = pd.concat([bars.iloc[:450], other.iloc[450:]])
    rows = np.arange(200, 450)
    learned = [small(key).calibrate(small(key).indicators(frame), rows) for frame in (bars, rewritten)]
    assert learned[0].to_target_scaler_ == learned[1].to_target_scaler_
    assert (learned[0].cdf_median_, learned[0].defactor_) == (learned[1].cdf_median_, learned[1].defactor_)


def test_rows_count_as_often_as_they_are_named():
    seen = small("ema_vol").indicators(make_bars(16))
    once = np.arange(100, 300)
    twice = small("ema_vol").calibrate(seen, np.repeat(once, 2))
    # The same values twice: the median stays, the sum of squares doubles over 2 n - 1 instead of n - 1.
    single = small("ema_vol").calibrate(seen, once)
    assert twice.cdf_median_ == single.cdf_median_
    assert twice.defactor_ == pytest.approx(single.defactor_ * np.sqrt(2 * 199 / 399))


def test_a_grid_search_fits_and_scores_a_strategy():
    bars = make_bars(17, n=600)

    def score(strategy, X, y=None):
        return float(strategy.predict(X).abs().mean())

    search = GridSearchCV(
        EmaVolStrategy.small(),
        {"fast_ema_window": [3, 5, 8], "decay_mode": ["contrarian", "protective"]},
        cv=[(np.arange(400), np.arange(400, 600))],
        scoring=score,
        error_score="raise",
    ).fit(bars)
    assert len(search.cv_results_["params"]) == 6
    assert search.best_estimator_.predict(bars).notna().all()


@pytest.mark.parametrize(("mode", "low", "high"), [("contrarian", 0.5, 1.0), ("protective", 0.75, 1.0)])
def test_decay_stays_in_its_range_and_leans_its_way(mode, low, high):
    bars = make_bars(18, n=3000)
    strategy = small("ema_vol").set_params(decay_mode=mode).fit(bars)
    signal = strategy.signal(bars)
    recent = ((signal["raw"] / signal["decay"]).shift(1) * bars["close"].pct_change()).fillna(0)
    recent = recent.ewm(span=2160, adjust=False).mean()
    assert signal["decay"].between(low, high).all()
    losing, winning = signal["decay"][recent.idxmin()], signal["decay"][recent.idxmax()]
    assert losing > winning if mode == "contrarian" else losing < winning


def test_without_decay_the_factor_is_one():
    bars = make_bars(19)
    strategy = small("ema_vol").set_params(fit_decay=False).fit(bars)
    assert strategy.defactor_ is None
    same(strategy.signal(bars)["decay"], 1.0)


def test_reading_the_catalogue_imports_nothing_heavy():
    code = """
import sys
import strategies, strategies.apps, strategies.default_plan, strategies.errors
from strategies.estimators import STRATEGIES
heavy = {"pandas", "numba", "sklearn", "scipy", "statsmodels", "numpy"} & set(sys.modules)
assert STRATEGIES and not heavy, heavy
"""
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)  # noqa: S603
