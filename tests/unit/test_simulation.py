"""Simulated equity against closed forms, against NumPy on the same draws, and against calendars."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from strategies.errors import ParameterError
from strategies.kernels import bootstrap
from strategies.research.errors import ReturnsError
from strategies.research.ratios import sharpe
from strategies.research.resampling import Blocks, bootstrapped_sharpes
from strategies.research.simulation import Chance, LossRules, SimulationPlan, days_of, simulate

COIN = np.tile([0.01, -0.01], 50)  # drawn one by one: a fair coin
ONE_DAY = np.zeros(100, dtype=np.int64)
NO_RULES = LossRules(daily_loss=None, max_loss=None, target=None)
ALONE = Blocks(length=1, kind="circular")


def plan(rules: LossRules, *, n_paths: int = 4000, blocks: Blocks = ALONE, **changes) -> SimulationPlan:
    return SimulationPlan(n_paths=n_paths, blocks=blocks, rules=rules, **changes)


def near(chance: Chance, expected: float) -> bool:
    """Tell whether a share of paths is within four standard errors of a probability."""
    return abs(chance.value - expected) < 4 * math.sqrt(max(expected * (1 - expected), 1e-9) / 4000)


def touched(steps_down: int, n: int) -> float:
    """Return the chance that a fair walk of ``n`` steps is ever so far down: P(S <= -b) + P(S < -b), by reflection."""
    ends = stats.binom(n, 0.5)
    lowest = (n - steps_down) // 2  # ups of the highest end at or below
    at_most = ends.cdf(lowest)
    below = ends.cdf(lowest if (n - steps_down) % 2 else lowest - 1)
    return float(at_most + below)


@pytest.mark.parametrize("steps", [1, 3, 10, 15])
def test_the_chance_to_lose_a_fixed_sum_is_the_reflection_principles(steps):
    # Half a step less than the level, because 0.1 is not ten times 0.01 in floats.
    rules = LossRules(daily_loss=None, max_loss=(steps - 0.5) * 0.01, target=None)
    found = simulate(COIN, ONE_DAY, plan(rules))
    assert near(found.max_loss, touched(steps, 100))


def test_the_chance_to_win_first_is_the_gamblers():
    # From 0 to +3 before -5 with a fair coin: 5/8; 2,000 steps are as good as for ever.
    rules = LossRules(daily_loss=None, max_loss=0.045, target=0.025)
    found = simulate(COIN, np.zeros(2000, dtype=np.int64), plan(rules))
    assert near(found.passed, 5 / 8)
    assert near(found.failed, 3 / 8)
    assert found.passed.value + found.failed.value == pytest.approx(1)


def test_a_daily_limit_is_met_on_one_of_the_days():
    # Twenty days of five steps: each loses three steps or more at some time with the same chance.
    days = np.repeat(np.arange(20), 5)
    found = simulate(COIN, days, plan(LossRules(daily_loss=0.025, max_loss=None, target=None)))
    assert near(found.daily_loss, 1 - (1 - touched(3, 5)) ** 20)


def test_a_trailing_loss_counts_from_the_highest_midnight():
    # Up one, up one, then down three from the second midnight: a loss of 0.03 from there, of 0.01 from the start.
    returns = np.array([0.01, 0.01, -0.03])
    for is_trailing in (True, False):
        rules = LossRules(daily_loss=None, max_loss=0.025, is_trailing=is_trailing, target=None)
        found = simulate_in_order(returns, np.arange(3), rules)
        assert found.trailing_loss.value > 0
        assert found.failed.value == (found.trailing_loss.value if is_trailing else found.max_loss.value)


def simulate_in_order(returns, days, rules):
    """Simulate with one block of the whole length, which begins anywhere and goes round."""
    return simulate(returns, days, plan(rules, n_paths=60, blocks=Blocks(length=len(returns), kind="circular")))


def test_highs_inside_a_day_do_not_move_the_trailing_limit():
    rules = LossRules(daily_loss=None, max_loss=0.025, is_trailing=True, target=None)
    found = simulate_in_order(np.array([0.02, -0.02]), np.zeros(2, dtype=np.int64), rules)
    assert found.trailing_loss.value == 0


def by_numpy(returns, days, rules, draws, *, compounding):
    """Return the equity paths and first meetings of given draws, the slow way."""
    moves = returns[draws]
    equity = np.cumprod(1 + moves, axis=1) if compounding else 1 + np.cumsum(moves, axis=1)
    before = np.concatenate([np.ones((len(equity), 1)), equity[:, :-1]], axis=1)
    is_new = np.concatenate([[True], np.diff(days) != 0])
    starts = np.maximum.accumulate(np.where(is_new, np.arange(days.size), 0))
    day_began = before[:, starts]
    highest = np.maximum.accumulate(np.where(is_new, before, 1.0), axis=1)
    met = [
        equity <= day_began - rules.daily_loss,
        equity <= 1 - rules.max_loss,
        equity <= highest - rules.max_loss,
        equity >= 1 + rules.target,
    ]
    first = [np.where(each.any(axis=1), each.argmax(axis=1), days.size) for each in met]
    return equity, np.stack(first, axis=1)


@pytest.mark.parametrize("compounding", [True, False])
@pytest.mark.parametrize("length", [1, 7])
def test_paths_and_meetings_are_numpys_on_the_same_draws(compounding, length):
    rng = np.random.default_rng(3)
    returns, days = 0.01 * rng.standard_normal(90), np.repeat(np.arange(10), 12)
    rules = LossRules(daily_loss=0.04, max_loss=0.06, target=0.05)
    found = simulate(
        returns,
        days,
        plan(rules, n_paths=50, blocks=Blocks(length=length, kind="circular"), is_compounding=compounding, seed=9),
        n_points=120,
    )
    draws = np.random.default_rng(9)
    n_blocks = -(-120 // length)
    begins = (draws.random((50, n_blocks)) * 90).astype(int)
    rows = (begins[:, :, None] + np.arange(length)).reshape(50, -1)[:, :120] % 90
    equity, first = by_numpy(returns, days, rules, rows, compounding=compounding)
    np.testing.assert_allclose(found.paths, equity, rtol=1e-12)
    np.testing.assert_array_equal(found.first, first)


def test_random_blocks_are_as_long_as_asked_on_average():
    # A ramp shows its joins: inside a block the next return is one larger.
    ramp = np.arange(1000.0)
    found = simulate(
        ramp, np.zeros(3000, dtype=np.int64), plan(NO_RULES, n_paths=20, blocks=Blocks(length=10)), n_points=3000
    )
    drawn = np.diff(found.paths, axis=1, prepend=1.0)
    joins = (np.rint(np.diff(drawn, axis=1)) % 1000 != 1).mean()
    assert joins == pytest.approx(1 / 10, abs=0.01)


def test_the_fan_of_a_fair_coin_is_the_binomials():
    found = simulate(COIN, ONE_DAY, plan(NO_RULES), n_points=4)
    fan = found.fan((0.25, 0.5, 0.75))
    assert list(fan.index) == [25, 50, 75, 100]
    for bars, row in fan.iterrows():
        spread = 0.01 * 2 * math.sqrt(bars / 4)
        expected = 1 + spread * stats.norm.ppf([0.25, 0.5, 0.75])
        np.testing.assert_allclose(row, expected, atol=0.025)


def test_the_same_seed_gives_the_same_paths():
    first, again, other = (simulate(COIN, ONE_DAY, plan(NO_RULES, n_paths=5, seed=s)).paths for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_days_begin_at_midnight_in_prague():
    # Winter: 23:00 UTC is midnight. Clocks change on 30 March 2025 (a day of 23 hours) and 26 October (25).
    index = pd.date_range("2025-03-28 00:00", "2025-04-01 00:00", freq="h", tz="UTC")
    lengths = pd.Series(days_of(index)).value_counts().sort_index()
    assert list(lengths) == [23, 24, 23, 24, 3]
    autumn = pd.date_range("2025-10-24 22:00", "2025-10-27 22:00", freq="h", tz="UTC")
    assert list(pd.Series(days_of(autumn)).value_counts().sort_index()) == [24, 25, 24]
    assert (np.diff(days_of(index)) <= 1).all()


# Sharpe ratios


@pytest.mark.parametrize("kind", ["circular", "stationary"])
@pytest.mark.parametrize("length", [1, 24])
def test_bootstrapped_sharpes_are_numpys_on_the_same_draws(kind, length):
    returns = 1e-4 + 0.01 * np.random.default_rng(0).standard_normal(300)
    found = bootstrapped_sharpes(returns, n_resamples=40, blocks=Blocks(length=length, kind=kind), seed=5)
    rng, expected = np.random.default_rng(5), []
    for _ in range(40):
        rows: list[int] = []
        while len(rows) < 300:
            begin, size = int(rng.random() * 300), length
            if kind == "stationary" and length > 1:
                size = 1 + int(math.log(1 - rng.random()) / math.log1p(-1 / length))
            rows += [(begin + k) % 300 for k in range(min(size, 300 - len(rows)))]
        expected.append(sharpe(returns[rows], bars_per_year=8760))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_the_spread_of_sharpes_is_los():
    # Lo (2002): a bar's ratio s of n independent bars has a standard error of sqrt((1 + s^2 / 2) / n).
    returns = 0.0005 + 0.01 * np.random.default_rng(2).standard_normal(5000)
    found = bootstrapped_sharpes(returns, n_resamples=4000, blocks=Blocks(length=1), bars_per_year=1)
    ratio = sharpe(returns, bars_per_year=1)
    assert found.std() == pytest.approx(math.sqrt((1 + ratio**2 / 2) / 5000), rel=0.06)
    assert found.mean() == pytest.approx(ratio, abs=0.002)


def test_returns_that_never_vary_have_no_sharpe():
    assert np.isnan(bootstrapped_sharpes(np.full(50, 0.001), n_resamples=3)).all()


@pytest.mark.parametrize("log_stay", [0.0, math.log1p(-1 / 6)])
def test_kernels_are_their_python_twins(log_stay):
    returns = 0.01 * np.random.default_rng(1).standard_normal(40)
    sharpes = [
        kernel(returns, 5, 6, log_stay, np.random.default_rng(2))
        for kernel in (bootstrap.bootstrap_sharpes, bootstrap.bootstrap_sharpes_py)
    ]
    np.testing.assert_allclose(*sharpes, rtol=1e-12)
    paths, days, limits = np.empty((2, 3, 10)), np.arange(30) // 7, np.array([0.02, 0.03, 0.03, 0.02])
    firsts = [
        kernel(returns, days, limits, True, 6, log_stay, 3, out, np.random.default_rng(2))
        for kernel, out in zip((bootstrap.equity_paths, bootstrap.equity_paths_py), paths, strict=True)
    ]
    np.testing.assert_array_equal(*firsts)
    np.testing.assert_allclose(*paths, rtol=1e-14)


# What is refused


@pytest.mark.parametrize(
    ("returns", "days", "says"),
    [
        ([0.1, np.nan], [0], "finite"),
        ([0.1], [0], "at least 2"),
        ([0.1, 0.2], [], "at least 1"),
        ([0.1, 0.2], [1, 0], "never goes back"),
    ],
)
def test_numbers_that_cannot_be_simulated_are_refused(returns, days, says):
    with pytest.raises(ReturnsError, match=says):
        simulate(returns, days)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Blocks(length=0),
        lambda: Blocks(kind="round"),
        lambda: LossRules(daily_loss=0),
        lambda: SimulationPlan(n_paths=0),
        lambda: simulate(COIN, ONE_DAY, n_points=0),
        lambda: simulate(COIN, ONE_DAY, plan(NO_RULES, blocks=Blocks(length=101, kind="circular"))),
        lambda: bootstrapped_sharpes(COIN, n_resamples=0),
    ],
)
def test_plans_that_make_no_sense_are_refused(make):
    with pytest.raises(ParameterError):
        make()


def test_days_need_aware_times():
    with pytest.raises(ReturnsError, match="aware"):
        days_of(pd.date_range("2025-01-01", periods=3, freq="h"))
