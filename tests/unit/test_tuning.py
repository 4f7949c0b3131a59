"""Searches: every trial kept and counted, scored as by hand, and told apart from luck."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from scipy.stats import randint
from sklearn.base import clone
from sklearn.model_selection import KFold

from market.bars import bar_arrays
from strategies.errors import InsufficientHistoryError, ParameterError
from strategies.estimators.ema_vol import EmaVolStrategy
from strategies.estimators.vol_scale import VolScaleStrategy
from strategies.research.deflated import Moments, deflated_sharpe, expected_best_sharpe
from strategies.research.errors import SplitError
from strategies.research.scorers import SharpeAfterCosts, smoothness
from strategies.research.splitters import BlockBootstrap, BlockPermutation, PurgedWalkForward
from strategies.research.tuning import Tuning, tune_strategy
from tests.bars_builders import make_bars

BARS = make_bars(0, 900)
GRID = {"fast_ema_window": [3, 5, 8], "decay_mode": ["contrarian", "protective"]}
GRID_FIRST = {name: values[0] for name, values in GRID.items()}
FOLDS = BlockPermutation(3, block_length=50, embargo=5)
COST = 0.001


def tune(space=GRID, *, bars=BARS, strategy=None, splitter=FOLDS, **options) -> Tuning:
    options = {"sharpe": SharpeAfterCosts(cost=COST)} | options
    return tune_strategy(strategy or EmaVolStrategy.small(), bars, space, splitter=splitter, **options)


def by_hand(params, splitter=FOLDS, bars=BARS):
    """Return the test rows, positions, next returns and net returns of every fold, by ``calibrate`` and pandas."""
    arrays = bar_arrays(bars)
    ahead = (bars["close"].shift(-1) / bars["close"] - 1.0).to_numpy()
    folds = []
    for train, test in splitter.split(np.arange(len(bars) - 1)):
        strategy = EmaVolStrategy.small().set_params(**params)
        positions = strategy.calibrate(strategy.indicators(arrays), train).predict(bars).to_numpy()
        traded = pd.Series(positions).diff().abs().fillna(abs(positions[0])).to_numpy()
        folds.append((test, positions[test], ahead[test], (positions * ahead - COST * traded)[test]))
    return folds


def test_every_trial_is_kept_with_the_scores_of_its_folds():
    found = tune()
    assert len(found.trials) == found.n_trials == 6
    assert {(trial.params["fast_ema_window"], trial.params["decay_mode"]) for trial in found.trials} == {
        (window, mode) for window in GRID["fast_ema_window"] for mode in GRID["decay_mode"]
    }
    for trial in found.trials:
        scores = [np.corrcoef(held, ahead)[0, 1] for _, held, ahead, _ in by_hand(trial.params)]
        np.testing.assert_allclose(trial.scores, scores, rtol=1e-9)
        assert trial.mean == pytest.approx(np.mean(scores))
        assert trial.std == pytest.approx(np.std(scores))
    assert found.best == max(found.trials, key=lambda trial: trial.mean)
    assert found.best_params == found.best.params


@pytest.mark.parametrize("splitter", [FOLDS, BlockBootstrap(4, block_length=50, embargo=5)], ids=["once", "repeated"])
def test_the_sharpe_ratios_are_of_all_tested_bars_together_after_costs(splitter):
    found = tune(splitter=splitter)
    pooled = [np.concatenate([net for *_, net in by_hand(trial.params, splitter)]) for trial in found.trials]
    for trial, net in zip(found.trials, pooled, strict=True):
        assert trial.sharpe == pytest.approx(net.mean() / net.std(ddof=1) * np.sqrt(8760), rel=1e-9)
    tested = {row for test, *_ in by_hand(GRID_FIRST, splitter) for row in test}
    assert found.n_bars == len(tested)
    sharpes = np.array([trial.sharpe for trial in found.trials]) / np.sqrt(8760)
    lucky = expected_best_sharpe(np.var(sharpes, ddof=1), 6)
    assert found.lucky_sharpe == pytest.approx(lucky * np.sqrt(8760))
    best = Moments.of(pooled[found.trials.index(found.best)]).counting(len(tested))
    assert found.deflated_sharpe == pytest.approx(deflated_sharpe(best, sharpes))
    assert found.luck == 1.0 - found.deflated_sharpe


def test_earlier_trials_count_and_leave_less_of_the_best():
    alone = tune()
    again = tune(earlier_sharpes=[trial.sharpe for trial in alone.trials] * 20)
    assert len(again.trials) == 6
    assert again.n_trials == 126
    assert again.lucky_sharpe > alone.lucky_sharpe
    assert again.deflated_sharpe < alone.deflated_sharpe
    assert again.trials == alone.trials


def test_a_single_trial_is_compared_with_nothing():
    found = tune({"fast_ema_window": [5]})
    assert found.n_trials == 1
    assert found.lucky_sharpe == 0.0


def test_a_random_search_draws_as_many_as_it_is_told_and_the_same_again():
    space = {"fast_ema_window": randint(2, 12), "alpha": [0.25, 0.5, 0.75]}
    first, same, other = (tune(space, n_iter=5, random_state=seed) for seed in (1, 1, 2))
    assert first.n_trials == 5
    assert first == same
    assert [trial.params for trial in first.trials] != [trial.params for trial in other.trials]
    assert all(type(trial.params["fast_ema_window"]) is int for trial in first.trials)


def test_a_space_may_be_several_grids():
    found = tune([{"fit_decay": [False], "fast_ema_window": [3, 5]}, {"alpha": [0.0, 1.0]}])
    assert [dict(trial.params) for trial in found.trials] == [
        {"fast_ema_window": 3, "fit_decay": False},
        {"fast_ema_window": 5, "fit_decay": False},
        {"alpha": 0.0},
        {"alpha": 1.0},
    ]


def test_jobs_in_threads_find_what_one_job_finds():
    with parallel_config(backend="threading"):
        assert tune(n_jobs=2) == tune()


def test_another_scorer_ranks_by_another_measure():
    by_straightness = tune(scorer=smoothness)
    assert by_straightness.best.mean == max(trial.mean for trial in by_straightness.trials)
    assert by_straightness.best.scores != tune().best.scores


def test_strategy_and_bars_are_left_alone():
    strategy, arrays = EmaVolStrategy.small(), bar_arrays(BARS)
    before = clone(strategy).get_params()
    tune(strategy=strategy, bars=arrays)
    assert vars(strategy) == before
    assert arrays._derived.keys() <= {"returns"}


def luck_in(close: pd.Series) -> float:
    """Return the luck of the best of four trend followers on bars that are nothing but closes."""
    found = tune(
        {"fast_ema_window": [4, 8, 16, 32]},
        bars=bars_of(close),
        strategy=EmaVolStrategy.small().set_params(fit_decay=False),
        splitter=PurgedWalkForward(4, embargo=24),
        sharpe=SharpeAfterCosts(cost=0.0),
    )
    return found.luck


def bars_of(close: pd.Series) -> pd.DataFrame:
    opening = close.shift(1, fill_value=close.iloc[0])
    prices = {"open": opening, "high": np.maximum(opening, close), "low": np.minimum(opening, close), "close": close}
    return pd.DataFrame(prices)


def test_the_best_follower_of_a_trend_is_no_luck():
    walk = make_bars(3, 4000, volatility=0.004)["close"]
    lean = np.repeat(np.random.default_rng(3).choice([-1.0, 1.0], 20), 200) * 0.0008
    assert luck_in(walk * np.exp(np.cumsum(lean))) < 0.05


def test_on_walks_without_a_trend_the_best_is_as_likely_luck_as_not():
    lucks = [luck_in(make_bars(seed, 1500)["close"]) for seed in range(9)]
    assert 0.2 < np.median(lucks) < 0.8
    assert sum(luck < 0.05 for luck in lucks) <= 2


def test_a_strategy_that_never_trades_has_no_claim_to_anything():
    found = tune({"target_vol": [0.1, 0.2]}, strategy=VolScaleStrategy.small().set_params(strat_weight=0.0))
    assert [trial.sharpe for trial in found.trials] == [0.0, 0.0]
    assert [trial.mean for trial in found.trials] == [0.0, 0.0]
    assert np.isnan(found.deflated_sharpe)
    assert found.as_data()["luck"] is None


def test_the_result_is_data_for_json():
    found = tune({"fast_ema_window": np.array([3, 5]), "alpha": np.array([0.5])})
    data = json.loads(json.dumps(found.as_data(), allow_nan=False))
    assert data["best"]["params"] == dict(found.best.params)
    assert len(data["trials"]) == data["n_trials"] == 2
    assert data["trials"][0]["scores"] == list(found.trials[0].scores)


@pytest.mark.parametrize("splitter", [BlockPermutation(3, block_length=50, embargo=0), KFold(3)])
def test_training_on_the_bar_after_a_tested_one_is_refused(splitter):
    with pytest.raises(SplitError, match=r"fold 0 trains on row \d+.*embargo of a splitter must be at least 1"):
        tune(splitter=splitter)


def test_a_walk_never_trains_after_what_it_tests_and_needs_no_embargo_for_it():
    assert tune(splitter=PurgedWalkForward(3, embargo=0)).n_trials == 6


def test_training_on_what_is_tested_is_refused():
    class Overlapping:
        def split(self, X, y=None, groups=None):
            yield np.arange(500), np.arange(400, 600)

        def get_n_splits(self, X=None, y=None, groups=None):
            return 1

    with pytest.raises(SplitError, match="fold 0 trains on row 400"):
        tune(splitter=Overlapping())


def test_a_parameter_that_the_strategy_does_not_have_is_named_before_anything_is_fitted():
    with pytest.raises(ParameterError, match=r"EmaVolStrategy has no parameter 'window'; known: .*fast_ema_window"):
        tune({"window": [1, 2]})


def test_a_trial_that_cannot_be_fitted_ends_the_search_with_its_reason():
    with pytest.raises(ParameterError, match="alpha must be a number"):
        tune({"alpha": [0.5, 2.0]})
    with pytest.raises(InsufficientHistoryError, match="EmaVolStrategy needs at least"):
        tune({"min_values": [5000]})
