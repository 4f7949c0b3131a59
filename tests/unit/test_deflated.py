"""The deflated Sharpe ratio against its paper's example, closed forms, SciPy's moments and simulated luck."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import kurtosis, norm, skew

from strategies.research.deflated import (
    Moments,
    deflated_sharpe,
    expected_best_sharpe,
    luck_of,
    power_sums,
    probabilistic_sharpe,
)

# The paper's example: five years of 250 days, the best of 100 trials has 2.5 a year, their variance is 1/2 a year.
PAPER = {"n_bars": 1250, "mean": 2.5 / np.sqrt(250), "deviation": 1.0}
PAPER_VARIANCE = 0.5 / 250


def spread_of(n_trials: int, variance: float) -> np.ndarray:
    """Return so many Sharpe ratios with exactly that variance (``ddof=1``)."""
    z = norm.ppf((np.arange(n_trials) + 0.5) / n_trials)
    return z / z.std(ddof=1) * np.sqrt(variance)


def test_the_best_of_a_hundred_trials_of_the_paper_is_expected_to_show_0_1132_a_day():
    assert expected_best_sharpe(PAPER_VARIANCE, 100) == pytest.approx(0.1132, abs=5e-5)


@pytest.mark.parametrize(
    ("n_trials", "skewness", "kurt", "expected"),
    [(100, -3.0, 10.0, 0.9004), (46, -3.0, 10.0, 0.9505), (88, 0.0, 3.0, 0.9505)],
)
def test_the_deflated_ratios_of_the_paper(n_trials, skewness, kurt, expected):
    moments = Moments(**PAPER, skewness=skewness, kurtosis=kurt)
    assert deflated_sharpe(moments, spread_of(n_trials, PAPER_VARIANCE)) == pytest.approx(expected, abs=5e-5)


def test_the_probabilistic_ratio_by_hand():
    # SR 0.1 over 101 bars of normal returns: 0.1 * sqrt(100) / sqrt(1 + 0.1**2 / 2) = 0.99750...
    moments = Moments(n_bars=101, mean=0.1, deviation=1.0, skewness=0.0, kurtosis=3.0)
    assert probabilistic_sharpe(moments) == pytest.approx(norm.cdf(1 / np.sqrt(1.005)))
    assert probabilistic_sharpe(moments, 0.1) == 0.5
    assert probabilistic_sharpe(moments, 0.2) == pytest.approx(norm.cdf(-1 / np.sqrt(1.005)))


@pytest.mark.parametrize(
    ("n", "within"), [(2, 0.08), (5, 0.03), (10, 0.03), (100, 0.01), (1000, 0.005), (10_000, 0.0025)]
)
def test_the_expected_best_is_close_to_the_mean_of_the_largest_of_n_normal_numbers(n, within):
    exact, _ = quad(lambda z: z * n * norm.pdf(z) * norm.cdf(z) ** (n - 1), -10, 12, limit=200)
    assert expected_best_sharpe(1.0, n) == pytest.approx(exact, rel=within)
    assert expected_best_sharpe(4.0, n) == pytest.approx(2 * expected_best_sharpe(1.0, n))


def test_the_closed_form_of_two_trials():
    # The first quantile is that of 1/2, which is 0; of two normal numbers the larger is 1 / sqrt(pi) on average.
    assert expected_best_sharpe(1.0, 2) == pytest.approx(np.euler_gamma * norm.ppf(1 - 1 / (2 * np.e)))
    assert expected_best_sharpe(1.0, 2) == pytest.approx(1 / np.sqrt(np.pi), rel=0.08)


def test_a_single_trial_was_not_selected_and_is_not_deflated():
    moments = Moments(**PAPER, skewness=0.0, kurtosis=3.0)
    assert luck_of([moments.sharpe]) == 0.0
    assert deflated_sharpe(moments, [moments.sharpe]) == probabilistic_sharpe(moments)


def test_more_trials_leave_less_of_the_same_ratio():
    moments = Moments(**PAPER, skewness=0.0, kurtosis=3.0)
    left = [deflated_sharpe(moments, spread_of(n, PAPER_VARIANCE)) for n in (2, 10, 100, 1000)]
    assert left == sorted(left, reverse=True)


def test_the_best_of_strategies_without_skill_is_found_out():
    rng = np.random.default_rng(0)
    deflated, plain = [], []
    for _ in range(200):
        returns = rng.standard_normal((30, 500))
        sharpes = returns.mean(axis=1) / returns.std(axis=1, ddof=1)
        best = Moments.of(returns[np.argmax(sharpes)])
        deflated.append(deflated_sharpe(best, sharpes))
        plain.append(probabilistic_sharpe(best))
    assert np.median(plain) > 0.95  # by itself the best of thirty looks skilled
    assert np.median(deflated) == pytest.approx(0.5, abs=0.1)  # the best is as good as the best is expected to be
    assert np.mean(np.array(deflated) > 0.95) < 0.05


def test_moments_are_scipys():
    returns = np.random.default_rng(1).standard_t(5, 3000) * 0.01 + 0.0004
    moments = Moments.of(returns)
    assert moments.n_bars == 3000
    assert moments.mean == pytest.approx(returns.mean())
    assert moments.deviation == pytest.approx(returns.std(ddof=1))
    assert moments.skewness == pytest.approx(skew(returns), rel=1e-9)
    assert moments.kurtosis == pytest.approx(kurtosis(returns, fisher=False), rel=1e-9)
    assert moments.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1))


def test_moments_of_parts_add_up_to_those_of_the_whole():
    returns = np.random.default_rng(2).standard_t(4, 1000) * 0.01
    sums = power_sums(returns[:300]) + power_sums(returns[300:310]) + power_sums(returns[310:])
    parts, whole = Moments.of_sums(sums), Moments.of(returns)
    for name in ("n_bars", "mean", "deviation", "skewness", "kurtosis"):
        assert getattr(parts, name) == pytest.approx(getattr(whole, name), rel=1e-9)
    assert parts.counting(500).n_bars == 500
    assert parts.counting(500).sharpe == parts.sharpe


@pytest.mark.parametrize("returns", [np.zeros(50), np.full(50, 0.1), np.array([0.1]), np.array([])])
def test_of_returns_that_do_not_vary_nothing_is_claimed(returns):
    moments = Moments.of(returns)
    assert np.isnan(moments.skewness)
    assert np.isnan(probabilistic_sharpe(moments))
    assert np.isnan(deflated_sharpe(moments, [0.1, 0.2, 0.3]))


def test_a_trial_that_never_held_anything_has_a_ratio_of_zero():
    assert Moments.of(np.zeros(50)).sharpe == 0.0
    assert np.isnan(Moments.of(np.full(50, 0.1)).sharpe)
