"""Splitters on series short enough to write down, inside scikit-learn, and where they cannot cut."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score

from strategies.errors import ParameterError
from strategies.research.errors import SplitError
from strategies.research.splitters import BlockBootstrap, BlockPermutation, PurgedWalkForward

SPLITTERS = [
    BlockBootstrap(4, block_length=10, embargo=2),
    BlockPermutation(4, block_length=10, embargo=2),
    PurgedWalkForward(4, test_length=20, embargo=2),
]
every_splitter = pytest.mark.parametrize("splitter", SPLITTERS, ids=lambda splitter: type(splitter).__name__)


def rows_of(split) -> tuple[list[int], list[int]]:
    train, test = split
    return train.tolist(), test.tolist()


def test_a_walk_steps_by_its_test_window_and_leaves_the_embargo_out():
    splits = PurgedWalkForward(2, test_length=3, train_length=2, embargo=1).split(range(10))
    assert [rows_of(split) for split in splits] == [([1, 2], [4, 5, 6]), ([4, 5], [7, 8, 9])]


def test_an_expanding_walk_starts_at_the_first_bar():
    splits = PurgedWalkForward(2, test_length=3, embargo=1).split(range(10))
    assert [rows_of(split)[0] for split in splits] == [[0, 1, 2], [0, 1, 2, 3, 4, 5]]


def test_a_walk_without_a_test_length_cuts_the_series_into_one_part_more_than_it_tests():
    splits = list(PurgedWalkForward(4, embargo=0).split(range(25)))
    assert [rows_of(split)[1][0] for split in splits] == [5, 10, 15, 20]


def test_the_embargo_is_taken_off_both_ends_of_what_is_trained_on_between_test_blocks():
    for train, test in BlockPermutation(2, block_length=5, embargo=1, random_state=0).split(range(20)):
        tested = set(test.tolist())
        beside = {row + step for row in tested for step in (-1, 1)}
        assert train.tolist() == sorted(set(range(20)) - tested - beside)


def test_the_last_block_takes_what_is_left_over():
    # 23 bars are two blocks of 10: rows 0 to 9, and rows 10 to 22.
    tests = [test.tolist() for _, test in BlockPermutation(2, block_length=10, embargo=0).split(range(23))]
    assert sorted(tests) == [list(range(10)), list(range(10, 23))]


def test_a_block_that_is_drawn_twice_is_trained_on_twice():
    seen = set()
    for train, _ in BlockBootstrap(50, block_length=5, train_fraction=1.0, embargo=0).split(range(50)):
        times = np.bincount(train, minlength=50).reshape(10, 5)
        assert (times == times[:, :1]).all()
        assert times[:, 0].sum() == 10
        seen.update(times[:, 0].tolist())
    assert {0, 1, 2, 3} <= seen


@pytest.mark.parametrize("fraction", [0.3, 0.7, 1.0])
def test_a_bootstrap_leaves_one_over_e_to_the_fraction_of_many_blocks_to_test(fraction):
    splitter = BlockBootstrap(200, block_length=2, train_fraction=fraction, embargo=0)
    shares = [test.size / 1000 for _, test in splitter.split(range(1000))]
    assert np.mean(shares) == pytest.approx((1 - 1 / 500) ** round(500 * fraction), abs=0.01)
    assert np.mean(shares) == pytest.approx(np.exp(-fraction), abs=0.01)


def test_another_seed_gives_other_splits():
    for kind in (BlockBootstrap, BlockPermutation):
        first, second = (
            next(kind(2, block_length=5, embargo=1, random_state=seed).split(range(500))) for seed in (1, 2)
        )
        assert rows_of(first) != rows_of(second)


@every_splitter
def test_scikit_learn_scores_and_searches_with_it(splitter):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 2))
    y = X @ [1.0, -2.0] + 0.1 * rng.standard_normal(200)
    assert (cross_val_score(LinearRegression(), X, y, cv=splitter) > 0.9).all()
    search = GridSearchCV(Ridge(), {"alpha": [0.01, 1000.0]}, cv=splitter).fit(X, y)
    assert search.n_splits_ == 4
    assert search.best_params_ == {"alpha": 0.01}
    assert clone(search).cv == splitter


@pytest.mark.parametrize(
    ("kind", "parameters", "message"),
    [
        (BlockBootstrap, {"n_splits": 0}, "BlockBootstrap: n_splits must be a whole number of at least 1, was 0"),
        (BlockBootstrap, {"train_fraction": 0.0}, "train_fraction must be a number above 0 and at most 1, was 0.0"),
        (BlockBootstrap, {"random_state": None}, "random_state must be a whole number of at least 0, was None"),
        (BlockPermutation, {"n_splits": 1}, "n_splits must be a whole number of at least 2, was 1"),
        (BlockPermutation, {"block_length": 2.5}, "block_length must be a whole number of at least 1, was 2.5"),
        (BlockPermutation, {"embargo": -1}, "embargo must be a whole number of at least 0, was -1"),
        (PurgedWalkForward, {"test_length": 0}, "test_length must be None or a whole number of at least 1, was 0"),
        (PurgedWalkForward, {"train_length": 0}, "train_length must be None or a whole number of at least 1, was 0"),
    ],
)
def test_a_parameter_outside_what_it_may_be_is_named_at_once(kind, parameters, message):
    with pytest.raises(ParameterError, match=message):
        kind(**parameters)


@pytest.mark.parametrize(
    ("splitter", "n_bars", "message"),
    [
        (BlockBootstrap(block_length=10), 19, "2 blocks of 10 bars need at least 20 bars, got 19"),
        (BlockPermutation(3, block_length=10), 29, "3 blocks of 10 bars need at least 30 bars, got 29"),
        (BlockBootstrap(block_length=10), 0, "need at least 20 bars, got 0"),
        (BlockBootstrap(block_length=10, embargo=99), 100, "no draw of 7 out of 10 blocks .* 99 apart"),
        (BlockPermutation(2, block_length=10, embargo=99), 100, "fold 0 has nothing to train on"),
        (PurgedWalkForward(2, test_length=10, train_length=5, embargo=3), 27, "need at least 28 bars, got 27"),
        (PurgedWalkForward(2, test_length=10, embargo=3), 23, "need at least 24 bars, got 23"),
        (PurgedWalkForward(5, embargo=0), 4, "5 test windows of 1 bars, .* need at least 6 bars, got 4"),
    ],
)
def test_a_series_too_short_to_cut_is_an_error_that_says_what_would_do(splitter, n_bars, message):
    with pytest.raises(SplitError, match=message):
        list(splitter.split(range(n_bars)))


@pytest.mark.parametrize(
    ("splitter", "n_bars"),
    [
        (PurgedWalkForward(2, test_length=10, train_length=5, embargo=3), 28),
        (PurgedWalkForward(2, test_length=10, embargo=3), 24),
        (PurgedWalkForward(5, embargo=0), 6),
        (BlockBootstrap(block_length=10, embargo=0), 20),
        (BlockPermutation(3, block_length=10, embargo=0), 30),
    ],
)
def test_as_many_bars_as_the_error_asks_for_are_enough(splitter, n_bars):
    assert len(list(splitter.split(range(n_bars)))) == splitter.n_splits
