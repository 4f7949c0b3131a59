"""The permutation test of several symbols: against every order by hand, and against the one of a single symbol."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from strategies.errors import ParameterError
from strategies.research.errors import ReturnsError
from strategies.research.permutation import permutation_test
from strategies.research.portfolio_permutation import portfolio_permutation_test


def made(n: int, k: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, (n, k)), 0.01 * rng.standard_normal((n, k))


def sharpe(pnl: np.ndarray) -> float:
    return pnl.mean() / pnl.std(ddof=1) * np.sqrt(8760)


def test_every_order_is_the_sharpe_ratio_of_moved_rows():
    held, returned = made(14, 2)  # 13 rows: 4 blocks of 3, and one row that stays
    found = portfolio_permutation_test(held, returned, block_length=3, n_resamples=500)
    possible = set()
    for order in permutations(range(4)):
        rows = [*(3 * block + i for block in order for i in range(3)), 12]
        possible.add(round(sharpe((held[:-1] * returned[1:][rows]).sum(axis=1)), 9))
    assert {round(value, 9) for value in found.resampled} == possible
    assert found.sharpe == pytest.approx(sharpe((held[:-1] * returned[1:]).sum(axis=1)))
    assert found.n_blocks == 4


def test_the_p_value_counts_the_real_order_too():
    held, returned = made(200, 3)
    found = portfolio_permutation_test(held, returned, n_resamples=99)
    assert found.p_value == (1 + (found.resampled >= found.sharpe).sum()) / 100


def test_with_one_symbol_it_is_the_test_of_one_symbol():
    held, returned = made(2000, 1)
    ours = portfolio_permutation_test(held, returned, n_resamples=4000)
    theirs = permutation_test(held[:, 0], returned[:, 0], n_resamples=4000)
    assert ours.sharpe == pytest.approx(theirs.sharpe)
    assert ours.p_value == pytest.approx(theirs.p_value, abs=0.03)
    assert np.quantile(ours.resampled, [0.1, 0.5, 0.9]) == pytest.approx(
        np.quantile(theirs.resampled, [0.1, 0.5, 0.9]), abs=0.15
    )


def test_who_knows_the_next_returns_is_found_out_and_who_does_not_is_not():
    _, returned = made(1000, 2)
    knowing = np.roll(np.sign(returned), -1, axis=0)
    assert portfolio_permutation_test(knowing, returned, n_resamples=199).p_value == 1 / 200
    guesses = [portfolio_permutation_test(*made(300, 2, seed), n_resamples=99).p_value for seed in range(60)]
    assert 0.35 < np.mean(guesses) < 0.65


def test_nothing_held_has_no_sharpe_ratio_and_proves_nothing():
    found = portfolio_permutation_test(np.zeros((100, 2)), made(100, 2)[1], n_resamples=9)
    assert np.isnan(found.sharpe)
    assert found.p_value == 1.0


@pytest.mark.parametrize(
    ("held", "returned", "message"),
    [
        (np.zeros((10, 2)), np.zeros((10, 3)), "bars x symbols"),
        (np.zeros(10), np.zeros(10), "bars x symbols"),
        (np.full((100, 2), np.nan), np.zeros((100, 2)), "positions must be finite, 198 were not"),
        (np.zeros((48, 2)), np.zeros((48, 2)), "at least 2 blocks of 24 bars, had 47 bars"),
    ],
)
def test_what_cannot_be_permuted_is_refused(held, returned, message):
    with pytest.raises(ReturnsError, match=message):
        portfolio_permutation_test(held, returned)


def test_a_parameter_outside_what_it_may_be_is_refused():
    with pytest.raises(ParameterError, match="n_resamples"):
        portfolio_permutation_test(*made(100, 2), n_resamples=0)
