"""The recognizer learns from the past alone, means what it says, and refuses what it cannot judge."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from mlfilter.errors import FeatureMismatchError, FilterDataError, FilterError
from mlfilter.recognizers import unseen
from mlfilter.recognizers.calibration import Sigmoid, calibrate, calibration_curve, calibration_error
from mlfilter.recognizers.folds import fit_and_calibration, walk_forward
from mlfilter.recognizers.report import figures, words
from mlfilter.recognizers.trainingset import training_set
from mlfilter.setups import Direction, ExitReason, TradeOutcome
from tests.recognizer_builders import BAR, HORIZON, Setups, make_recognizer

pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.slow]
NS = 1_000_000_000


@pytest.fixture(scope="module")
def setups() -> Setups:
    return Setups()


@pytest.fixture(scope="module")
def trained(setups):
    return setups.train()


def row_of(setups: Setups, at: int = -1, **changed) -> pd.Series:
    return pd.Series(setups.features.iloc[at].to_dict() | changed)


# --- cutting time ---------------------------------------------------------------------------------------------------


def test_nothing_is_trained_on_that_was_known_later_than_an_embargo_before_the_test():
    times = np.arange(100) * 10
    folds = list(walk_forward(times, times + 25, n_folds=4, embargo=30))
    assert len(folds) == 4
    for train, test in folds:
        assert (times[train] + 25 + 30 <= times[test[0]]).all()
        # By hand: of rows 10 apart, those 5.5 rows before the test and earlier.
        assert train[-1] == test[0] - 6


def test_folds_test_every_later_setup_once_and_in_order():
    times = np.arange(103) * 10
    tested = np.concatenate([test for _, test in walk_forward(times, times, n_folds=5, embargo=0)])
    np.testing.assert_array_equal(tested, np.arange(tested[0], 103))


def test_setups_of_one_moment_stay_on_one_side_of_a_cut():
    times = np.repeat(np.arange(20) * 10, 5)
    for train, test in walk_forward(times, times, n_folds=3, embargo=0):
        assert times[train].max() <= times[test[0]]
        assert times[test[0] - 1] < times[test[0]]


def test_calibration_is_on_setups_after_all_that_was_fitted_on():
    times = np.arange(100) * 10
    fit, late = fit_and_calibration(times, times + 25, fraction=0.25, embargo=30)
    np.testing.assert_array_equal(late, np.arange(75, 100))
    assert (times[fit] + 55 <= times[75]).all()


def test_too_few_setups_are_an_error_with_their_number():
    with pytest.raises(FilterDataError, match="there are 3"):
        list(walk_forward(np.arange(3), np.arange(3), n_folds=5, embargo=0))
    with pytest.raises(FilterDataError, match="0 setups"):
        fit_and_calibration(np.arange(0), np.arange(0), fraction=0.25, embargo=0)


def test_the_trees_never_see_what_probabilities_are_calibrated_on(setups, monkeypatch):
    seen = []
    fit = Pipeline.fit
    monkeypatch.setattr(Pipeline, "fit", lambda self, X, y, **kw: (seen.append(len(X)), fit(self, X, y, **kw))[1])
    recognizer = make_recognizer().fit_known(training_set(setups.features, setups.labels, known_at=setups.known_at))
    # By hand: 450 of 600 come before the calibration; 30 minutes apart, known an hour later, an hour of embargo.
    assert seen == [450 - 3]
    assert recognizer.pipeline_[0].mean_ == pytest.approx(setups.features.iloc[:447].mean().to_numpy())


def test_probabilities_are_calibrated_on_the_newest_setups_alone(setups):
    late = setups.labels.copy()
    late.iloc[450:] = 1.0 - late.iloc[450:]
    before, after = (
        make_recognizer().fit_known(training_set(setups.features, labels, known_at=setups.known_at))
        for labels in (setups.labels, late)
    )
    X = setups.features.to_numpy()
    np.testing.assert_array_equal(before.pipeline_.predict_proba(X), after.pipeline_.predict_proba(X))
    assert before.calibration_.slope > 0.5
    assert after.calibration_.slope == 0.0  # by what came last, higher scores succeed less often


def test_the_report_tries_no_model_on_what_it_was_trained_or_calibrated_on():
    # Deep trees know luck by heart: only on what they have not seen are they as good as chance.
    by_heart = {"n_estimators": 60, "max_depth": 8, "min_samples_leaf": 1, "subsample": 1.0, "learning_rate": 0.3}
    report = Setups(800, chance=0.0).train("gradient_boosting", params=by_heart).report_
    assert report.auc == pytest.approx(0.5, abs=0.06)
    assert abs(report.brier - report.base_brier) < 0.02


def test_the_outcomes_of_a_test_change_none_of_its_probabilities(setups, monkeypatch):
    said = []
    monkeypatch.setattr(unseen, "figures", lambda p, y, r, **kw: (said.append((p, y)), figures(p, y, r, **kw))[1])
    other = setups.labels.copy()
    other.iloc[450:] = 1.0 - other.iloc[450:]  # the last of three folds
    for labels in (setups.labels, other):
        make_recognizer().train(setups.features, labels, known_at=setups.known_at)
    (p, y), (p_other, y_other) = said
    np.testing.assert_array_equal(p, p_other)
    assert (y != y_other).sum() == 150


# --- what it can learn from -----------------------------------------------------------------------------------------


def test_open_outcomes_and_rows_that_are_not_finite_are_left_out_and_counted(setups):
    labels, features = setups.labels.copy(), setups.features.copy()
    labels.iloc[-3:] = np.nan
    features.iloc[0, 0] = np.nan
    features.iloc[1, 1] = np.inf
    known = training_set(features, labels, known_at=setups.known_at)
    assert (len(known), known.n_unknown, known.n_not_finite) == (595, 3, 2)


def test_an_outcome_that_is_not_known_yet_is_not_learned_from(setups):
    known_at = setups.known_at.to_series().reset_index(drop=True)
    known_at.iloc[-5:] = pd.NaT
    assert len(training_set(setups.features, setups.labels, known_at=known_at)) == 595


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"labels": lambda s: s.labels + 1}, "1, 0 or NaN"),
        ({"labels": lambda s: s.labels.iloc[1:]}, "equally long"),
        ({"known_at": lambda s: s.known_at - timedelta(days=1)}, "known before their setups"),
        ({"features": lambda s: s.features.iloc[::-1]}, "order of time"),
    ],
)
def test_a_training_set_that_contradicts_itself_is_refused(setups, changed, message):
    given = {name: changed.get(name, lambda s, n=name: getattr(s, n))(setups) for name in ("features", "labels")}
    known_at = changed.get("known_at", lambda s: s.known_at)(setups)
    with pytest.raises(FilterDataError, match=message):
        training_set(given["features"], given["labels"], known_at=known_at)


def test_forward_returns_are_successes_above_their_threshold(setups):
    returns = pd.Series(setups.r, index=setups.labels.index)
    by_returns = make_recognizer().train(
        setups.features, forward_returns=returns, success_threshold=0.5, known_at=setups.known_at
    )
    by_labels = make_recognizer().train(setups.features, setups.labels, known_at=setups.known_at)
    np.testing.assert_array_equal(by_returns.score(setups.features), by_labels.score(setups.features))


def test_labels_or_returns_but_not_both(setups):
    for given in ({}, {"labels": setups.labels, "forward_returns": setups.labels}):
        with pytest.raises(FilterError, match="exactly one"):
            make_recognizer().train(setups.features, known_at=setups.known_at, **given)


def test_setups_of_one_outcome_only_cannot_be_learned_from(setups):
    with pytest.raises(FilterDataError, match="all failures"):
        make_recognizer().train(setups.features, setups.labels * 0.0, known_at=setups.known_at)


def test_the_last_feature_is_the_direction(setups):
    with pytest.raises(FeatureMismatchError, match="the last feature must be direction"):
        make_recognizer().train(setups.features[["direction", "edge"]], setups.labels, known_at=setups.known_at)


# --- what it says ---------------------------------------------------------------------------------------------------


def test_it_finds_what_there_is_to_find_and_nothing_where_there_is_nothing(trained):
    assert trained.report_.auc > 0.85
    luck = Setups(chance=0.0, n=1500).train().report_
    assert 0.42 < luck.auc < 0.58
    assert next(iter(trained.report_.importance)) == "edge"


def test_probabilities_mean_what_they_say():
    recognizer, later = Setups(3000).train(), Setups(3000, seed=9)
    p = recognizer.score(later.features)
    assert calibration_error(p, later.labels.to_numpy(dtype=np.int64)) < 0.05


def test_balanced_weights_do_not_inflate_the_probability_of_rare_successes():
    recognizer, later = Setups(3000, base=-3.0, chance=1.0).train(), Setups(3000, base=-3.0, chance=1.0, seed=9)
    assert recognizer.score(later.features).mean() == pytest.approx(later.labels.mean(), abs=0.03)


def test_the_same_seed_gives_the_same_recognizer(setups):
    both = [setups.train("gradient_boosting").score(setups.features) for _ in range(2)]
    np.testing.assert_array_equal(*both)


def test_what_came_later_changes_nothing_that_was_learned(setups):
    other = setups.labels.copy()
    other.iloc[400:] = 1.0 - other.iloc[400:]
    cut = slice(0, 380)
    scores = [
        make_recognizer("gradient_boosting")
        .fit_known(training_set(setups.features, labels, known_at=setups.known_at).take(cut))
        .score(setups.features)
        for labels in (setups.labels, other)
    ]
    np.testing.assert_array_equal(*scores)


def test_the_report_is_what_scikit_learn_says(setups):
    p = np.linspace(0.05, 0.95, 200)
    y = (np.arange(200) % 3 > 0).astype(np.int64)
    found = figures(p, y, np.where(y == 1, 1.0, -1.0), threshold=0.65)
    assert found["auc"] == pytest.approx(roc_auc_score(y, p))
    assert found["log_loss"] == pytest.approx(log_loss(y, p))
    assert found["brier"] == pytest.approx(brier_score_loss(y, p))
    taken = p >= 0.65
    assert found["filtered"].precision == y[taken].mean()
    assert found["filtered"].recall == y[taken].sum() / y.sum()
    assert found["everything"].precision == found["base_rate"] == y.mean()
    assert found["everything"].mean_r == pytest.approx(2.0 * y.mean() - 1.0)


def test_a_calibration_curve_by_hand():
    p, y = np.array([0.11, 0.13, 0.95, 1.0]), np.array([0, 1, 1, 1])
    low, high = calibration_curve(p, y)
    assert (low.probability, low.success_rate, low.n) == (pytest.approx(0.12), 0.5, 2)
    assert (high.probability, high.success_rate, high.n) == (pytest.approx(0.975), 1.0, 2)
    assert calibration_error(p, y) == pytest.approx((0.38 * 2 + 0.025 * 2) / 4)


def test_scores_that_say_the_opposite_get_the_base_rate():
    scores, y = np.linspace(0.1, 0.9, 400), (np.arange(400) < 100).astype(np.int64)
    sigmoid = calibrate(scores, y)
    assert sigmoid.slope == 0.0
    assert sigmoid(scores) == pytest.approx(0.25, abs=0.01)


def test_a_sigmoid_by_hand():
    sigmoid = Sigmoid(slope=2.0, intercept=0.0)
    assert sigmoid(np.array([0.5, 0.75])) == pytest.approx([0.5, 0.9])  # odds of 3, squared, are 9


def test_calibration_on_one_outcome_is_never_certain():
    sigmoid = calibrate(np.full(20, 0.5), np.ones(20, dtype=np.int64))
    assert sigmoid(np.array([0.5])) == pytest.approx(21 / 22, abs=1e-3)  # Platt's target


def test_a_threshold_that_nothing_reaches_is_said_in_words():
    p, y = np.linspace(0.1, 0.6149, 214), (np.arange(214) % 2).astype(np.int64)
    assert words(p, y, threshold=0.65)[0] == (
        "approves 0 of 214 setups: threshold 0.65 is above the highest calibrated probability 0.61"
    )
    assert words(np.full(9, 0.6499), np.arange(9) % 2, threshold=0.65)[0].endswith("probability 0.64")


def test_a_base_rate_that_is_too_low_is_said_in_words():
    y = (np.arange(214) < 3).astype(np.int64)
    assert "3 of 214 setups succeeded (base rate 0.014): too few to learn from" in words(
        np.full(214, 0.014), y, threshold=0.65
    )


def test_a_threshold_that_lets_everything_pass_is_said_in_words():
    assert "so it filters nothing" in words(np.full(20, 0.7), np.arange(20) % 2, threshold=0.65)[0]


def test_probabilities_that_are_worse_than_none_are_said_in_words():
    p, y = np.linspace(0.9, 0.1, 100), (np.arange(100) >= 50).astype(np.int64)
    assert words(p, y, threshold=0.65)[-1] == "its probabilities say less than the base rate 0.50 alone"


def test_the_number_of_configurations_is_in_the_report(setups):
    assert setups.train(n_configurations=7).report_.n_configurations == 7


# --- judging --------------------------------------------------------------------------------------------------------


def test_a_likely_setup_is_approved_and_an_unlikely_one_is_not(setups, trained):
    good, bad = (trained.predict_trade_quality(row_of(setups, edge=edge)) for edge in (1.5, -1.5))
    assert good["approved"]
    assert good["confidence"] >= good["threshold"] == 0.6
    assert not bad["approved"]
    assert "is below the threshold 0.60" in bad["reasons"][0]
    assert len(good["similar"]) == 10


@pytest.mark.parametrize("value", [np.nan, np.inf, None])
def test_a_feature_that_is_not_finite_is_never_approved(setups, trained, value):
    row = setups.features.iloc[-1].to_dict() | {"edge": 5.0, "noise": value}
    quality = trained.predict_trade_quality(row)
    assert not quality["approved"]
    assert quality["confidence"] is None
    assert quality["reasons"] == ["not judged: noise not finite"]
    assert not trained.approve(pd.DataFrame([row], dtype=float))[1].any()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["edge", "direction"], "missing noise"),
        (["edge", "noise", "direction", "moon"], "unknown moon"),
        (["noise", "edge", "direction"], "their order differs"),
    ],
)
def test_other_features_than_those_it_was_trained_with_are_refused(setups, trained, names, message):
    frame = setups.features.assign(moon=0.0)[names]
    for ask in (trained.score, lambda f: trained.predict_trade_quality(f.iloc[0]), trained.approve):
        with pytest.raises(FeatureMismatchError, match=message):
            ask(frame)


def test_a_batch_says_what_each_row_says():
    setups = Setups(seed=4)
    recognizer = setups.train("gradient_boosting", min_similar_win_rate=0.7, threshold=0.55)
    later = Setups(60, seed=5).features
    later.iloc[3, 0], later.iloc[5, 1] = np.nan, 40.0
    p, approved = recognizer.approve(later)
    one_by_one = [recognizer.predict_trade_quality(row) for _, row in later.iterrows()]
    assert [quality["approved"] for quality in one_by_one] == approved.tolist()
    assert [quality["confidence"] for quality in one_by_one] == [None if np.isnan(x) else x for x in p]
    assert 0 < approved.sum() < (p >= 0.55).sum()  # some are vetoed


def test_similar_trades_that_were_lost_veto(setups):
    strict = setups.train(min_similar_win_rate=1.0)
    quality = strict.predict_trade_quality(row_of(setups, edge=0.6))
    assert quality["confidence"] >= 0.6
    assert not quality["approved"]
    assert "most similar trades were won, at least 100% are needed" in quality["reasons"][-1]


def test_with_few_outcomes_the_similar_trades_do_not_veto():
    few = Setups(60)  # of which some were lost
    recognizer = few.train(min_similar_win_rate=1.0, n_similar=60, min_outcomes=61, threshold=0.0)
    assert recognizer.predict_trade_quality(row_of(few))["approved"]
    recognizer.min_outcomes = 60
    assert not recognizer.predict_trade_quality(row_of(few))["approved"]


def test_what_is_unlike_anything_seen_is_vetoed(setups, trained):
    quality = trained.predict_trade_quality(row_of(setups, edge=9.0))
    assert quality["confidence"] > 0.9
    assert not quality["approved"]
    assert quality["reasons"][-1].startswith("out_of_distribution: ")


def test_a_trade_that_ended_is_among_the_similar_ones(setups):
    recognizer = setups.train()
    row = row_of(setups, edge=3.0, noise=3.0)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    outcome = TradeOutcome(
        symbol="ETHUSDT",
        bar_at=at,
        direction=Direction.SHORT,
        entry_at=at + BAR,
        exit_at=at + HORIZON * BAR,
        entry_price=Decimal(100),
        exit_price=Decimal(98),
        quantity=Decimal(1),
        exit_reason=ExitReason.TARGET,
        pnl=Decimal("1.5"),
        r=1.0,
        fees=Decimal("0.2"),
        slippage=Decimal(0),
    )
    before = recognizer.predict_trade_quality(row)["confidence"]
    recognizer.add_trade_outcome(row, outcome)
    first = recognizer.find_similar_trades(row, 1)[0]
    assert first == {
        "bar_at": "2026-01-01T00:00:00+00:00", "direction": "short", "outcome": "win", "r": 1.0, "distance": 0.0
    }  # fmt: skip
    assert recognizer.predict_trade_quality(row)["confidence"] == before  # the classifier learns at a training


def test_a_trade_without_its_features_cannot_be_added(setups, trained):
    with pytest.raises(FilterError, match="not finite"):
        trained.add_trade_outcome(row_of(setups, edge=np.nan), None)


def test_scaling_is_the_pipelines(setups, trained):
    scaler = StandardScaler().fit(setups.features.iloc[:447])
    np.testing.assert_allclose(trained.similar_.X, scaler.transform(setups.features), atol=1e-12)


@pytest.mark.parametrize(("name", "value"), [("threshold", 1.1), ("min_similar_win_rate", -0.1), ("n_folds", 0)])
def test_parameters_beyond_their_range_are_refused(setups, name, value):
    with pytest.raises(ValueError, match=name):
        setups.train(**{name: value})


def test_an_unknown_model_is_refused_with_those_that_are_known(setups):
    with pytest.raises(FilterError, match="no recognizer 'oracle'; known: gradient_boosting, "):
        setups.train("oracle")
