"""Scorers against NumPy's and SciPy's correlations and hand-worked pnl, and where they are undefined."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import linregress, pearsonr
from sklearn.metrics import check_scoring
from sklearn.model_selection import cross_validate

from strategies.estimators.ema_vol import EmaVolStrategy
from strategies.research.onbars import OnBars, rows_and_returns
from strategies.research.scorers import (
    SCORERS,
    SharpeAfterCosts,
    information_coefficient,
    pearson,
    risk_adjusted_coefficient,
    smoothness,
    straightness,
)
from strategies.research.splitters import BlockPermutation
from tests.bars_builders import make_bars

NAN = np.nan
every_scorer = pytest.mark.parametrize("name", SCORERS)


class Held:
    """Stands in for a fitted estimator: positions and risks of all bars are given."""

    def __init__(self, positions, risk=None):
        self.positions = np.array(positions, dtype=np.float64)
        self.risks = np.ones(self.positions.size) if risk is None else np.array(risk, dtype=np.float64)

    def predict(self, X):
        return self.positions[X]

    def traded(self, X):
        return np.abs(np.diff(self.positions, prepend=0.0))[X]

    def risk(self, X):
        return self.risks[X]


def score(scorer, positions, returns, *, risk=None, rows=None) -> float:
    rows = np.arange(len(positions)) if rows is None else np.array(rows)
    return scorer(Held(positions, risk), rows, np.array(returns, dtype=np.float64)[rows])


@pytest.fixture
def noise() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    positions = rng.standard_normal(500)
    return positions, 0.01 * (0.2 * positions + rng.standard_normal(500)), rng.uniform(0.5, 2.0, 500)


def test_the_information_coefficient_is_the_correlation_of_position_and_next_return(noise):
    positions, returns, _ = noise
    assert score(information_coefficient, positions, returns) == pytest.approx(np.corrcoef(positions, returns)[0, 1])


def test_the_risk_adjusted_coefficient_divides_returns_by_the_risk_known_before(noise):
    positions, returns, risk = noise
    expected = pearsonr(positions, returns / risk).statistic
    assert score(risk_adjusted_coefficient, positions, returns, risk=risk) == pytest.approx(expected)
    risk[:100] = NAN  # warming up
    expected = pearsonr(positions[100:], (returns / risk)[100:]).statistic
    assert score(risk_adjusted_coefficient, positions, returns, risk=risk) == pytest.approx(expected)


def test_smoothness_is_the_correlation_of_the_pnl_so_far_with_time(noise):
    positions, returns, _ = noise
    expected = linregress(np.arange(500), np.cumsum(positions * returns)).rvalue
    assert score(smoothness, positions, returns) == pytest.approx(expected)


def test_pnl_that_comes_evenly_is_perfectly_smooth_up_or_down():
    assert score(smoothness, [1, 1, -1, 1], [0.5, 0.5, -0.5, 0.5]) == pytest.approx(1.0)
    assert score(smoothness, [-1, -1, 1, -1], [0.5, 0.5, -0.5, 0.5]) == pytest.approx(-1.0)
    assert straightness(np.array([1.0, -1.0, 1.0])) == 0.0  # 1, 0, 1 leans to neither side


def test_time_between_two_test_blocks_is_no_flat_stretch():
    positions, returns = np.ones(10), np.full(10, 0.01)
    assert score(smoothness, positions, returns, rows=[0, 1, 8, 9]) == pytest.approx(1.0)


def test_the_sharpe_ratio_after_costs_by_hand():
    # Trades 1, 0, 2, 0 at a cost of 0.01 each unit: pnl 0.02, 0.01, 0.03, -0.01 less 0.01, 0, 0.02, 0.
    net = [0.01, 0.01, 0.01, -0.01]
    expected = 0.005 / np.std(net, ddof=1) * np.sqrt(100)
    scored = score(SharpeAfterCosts(cost=0.01, bars_per_year=100), [1, 1, -1, -1], [0.02, 0.01, -0.03, 0.01])
    assert scored == pytest.approx(expected)


def test_the_first_row_of_a_test_block_pays_for_its_change_and_not_for_the_whole_position():
    held, rows = Held([0, 2, 2, 3]), np.array([2, 3])
    returns = SharpeAfterCosts(cost=0.1).returns(held, rows, np.zeros(2))
    np.testing.assert_allclose(returns, [0.0, -0.1])


def test_costs_never_raise_a_sharpe_ratio(noise):
    positions, returns, _ = noise
    free, cheap, dear = (score(SharpeAfterCosts(cost=cost), positions, returns) for cost in (0.0, 1e-4, 1e-3))
    assert free > cheap > dear


@every_scorer
def test_more_is_better(name):
    returns = 0.01 * np.random.default_rng(1).standard_normal(400)
    good = score(SCORERS[name], np.sign(returns), returns)
    bad = score(SCORERS[name], -np.sign(returns), returns)
    assert good > 0.5
    assert bad < -0.5


@every_scorer
@pytest.mark.parametrize(
    ("positions", "returns"),
    [
        ([0, 0, 0, 0], [0.01, -0.02, 0.01, 0.03]),
        ([1, 0, 1, 0], [NAN, NAN, NAN, 0.01]),
        ([], []),
    ],
    ids=["flat", "one return known", "no rows"],
)
def test_where_a_score_is_undefined_it_is_zero(name, positions, returns):
    assert score(SCORERS[name], positions, returns) == 0.0


def test_a_constant_position_foretells_nothing_even_if_its_mean_rounds():
    assert score(information_coefficient, [0.1] * 7, np.arange(7.0)) == 0.0
    assert score(information_coefficient, np.arange(7.0), [0.1] * 7) == 0.0
    assert np.isnan(pearson(np.full(7, 0.1), np.arange(7.0)))


@every_scorer
def test_rows_without_a_next_return_are_left_out(name, noise):
    positions, returns, risk = noise
    returns[-1] = NAN
    whole = score(SCORERS[name], positions, returns, risk=risk)
    assert whole == pytest.approx(score(SCORERS[name], positions, returns, risk=risk, rows=range(499)), rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(2, 50),
    st.sampled_from([1e-160, 1e-3, 1.0, 1e150]),
    st.sampled_from([0, 5, 1e3]),
)
def test_pearson_is_numpys_at_any_scale_and_offset(seed, n, scale, offset):
    rng = np.random.default_rng(seed)
    x, y = offset + rng.standard_normal(n), rng.standard_normal(n)
    assert pearson(x * scale, y) == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-9)
    assert -1.0 <= pearson(x, 3.0 * x + 1.0) <= 1.0
    assert pearson(x, 3.0 * x + 1.0) == pytest.approx(1.0)
    assert pearson(x, y) == pearson(y, x)


def test_scikit_learn_takes_all_of_them_at_once():
    bars = make_bars(2, 900)
    rows, ahead = rows_and_returns(bars)
    on_bars = OnBars(EmaVolStrategy.small(), bars, risk_window=50)
    scores = cross_validate(on_bars, rows, ahead, cv=BlockPermutation(3, block_length=50, embargo=1), scoring=SCORERS)
    for name in SCORERS:
        assert check_scoring(on_bars, scoring=SCORERS[name]) is SCORERS[name]
        assert np.isfinite(scores[f"test_{name}"]).all()
        assert (scores[f"test_{name}"] != 0).all()
