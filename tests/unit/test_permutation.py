"""The permutation test: fair on noise, sharp on an edge, and the same on every run."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy import stats

from strategies.errors import ParameterError
from strategies.kernels import bootstrap
from strategies.research.errors import ReturnsError
from strategies.research.permutation import permutation_test
from strategies.research.ratios import sharpe


def noise(seed: int, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Return positions that linger, and returns that they know nothing of."""
    rng = np.random.default_rng(seed)
    positions = np.convolve(rng.standard_normal(n + 19), np.ones(20) / 20, mode="valid")
    return positions, 0.01 * rng.standard_normal(n)


def test_on_noise_every_p_value_is_as_likely():
    found = [permutation_test(*noise(seed), block_length=8, n_resamples=199, seed=seed).p_value for seed in range(200)]
    assert stats.kstest(found, "uniform").pvalue > 0.01
    assert min(found) >= 1 / 200


def test_a_planted_edge_is_found():
    positions, returns = noise(1)
    returns[1:] += 0.004 * np.sign(positions[:-1])
    assert permutation_test(positions, returns, block_length=8).p_value <= 0.005


def test_an_edge_turned_round_is_no_better_than_chance():
    positions, returns = noise(1)
    returns[1:] -= 0.004 * np.sign(positions[:-1])
    assert permutation_test(positions, returns, block_length=8).p_value > 0.99


def test_the_sharpe_is_that_of_positions_times_next_returns():
    positions, returns = noise(3)
    found = permutation_test(positions, returns, bars_per_year=8760)
    assert found.sharpe == pytest.approx(sharpe(positions[:-1] * returns[1:], bars_per_year=8760))


def test_every_order_of_few_blocks_is_drawn_about_as_often():
    positions, returns = noise(4, n=13)  # three blocks of four
    held, earned = positions[:-1], returns[1:]
    blocks = earned.reshape(3, 4)
    pnls = [held * blocks[list(order)].ravel() for order in permutations(range(3))]
    expected = [pnl.mean() / pnl.std(ddof=1) for pnl in pnls]
    drawn = bootstrap.permuted_sharpes(held, earned, 6000, 4, np.random.default_rng(0))
    counts = [int(np.isclose(drawn, ratio, rtol=1e-9).sum()) for ratio in expected]
    assert sum(counts) == 6000
    assert stats.chisquare(counts).pvalue > 0.001


def test_bars_left_over_keep_their_place():
    positions = np.concatenate([np.zeros(9), np.ones(3)])
    returns = np.concatenate([np.zeros(9), [0.01, 0.02, 0.03]])
    # 11 bars are held over: two blocks of four, and three left over that carry all there is.
    found = permutation_test(positions, returns, block_length=4, n_resamples=50)
    np.testing.assert_allclose(found.resampled, found.sharpe)
    assert found.p_value == 1.0


def test_the_same_seed_gives_the_same_test_and_another_one_another():
    first, again, other = (permutation_test(*noise(5), seed=seed).resampled for seed in (7, 7, 8))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_positions_that_hold_nothing_prove_nothing():
    found = permutation_test(np.zeros(100), noise(6, n=100)[1])
    assert np.isnan(found.sharpe)
    assert found.p_value == 1.0


def test_the_kernel_is_its_python_twin():
    held, earned = noise(7, n=50)
    both = [
        kernel(held, earned, 5, 8, np.random.default_rng(1))
        for kernel in (bootstrap.permuted_sharpes, bootstrap.permuted_sharpes_py)
    ]
    np.testing.assert_allclose(*both, rtol=1e-12)


@pytest.mark.parametrize(
    ("positions", "returns", "says"),
    [
        (np.ones(9), np.ones(10), "one number a bar each"),
        (np.ones(100), np.full(100, np.nan), "finite, 99 were not"),
        (np.ones(40), np.ones(40), "at least 2 blocks of 24 bars, had 39"),
    ],
)
def test_numbers_that_cannot_be_permuted_are_refused(positions, returns, says):
    with pytest.raises(ReturnsError, match=says):
        permutation_test(positions, returns)


@pytest.mark.parametrize("wrong", [{"block_length": 0}, {"n_resamples": 0}, {"seed": -1}, {"bars_per_year": 0}])
def test_parameters_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        permutation_test(*noise(1), **wrong)
