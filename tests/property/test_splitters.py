"""Splitters on series of any length: what is tested, what is trained on, and the gap between."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.model_selection import TimeSeriesSplit

from strategies.research.errors import SplitError
from strategies.research.splitters import BlockBootstrap, BlockPermutation, PurgedWalkForward

pytestmark = pytest.mark.slow

few = settings(max_examples=150, deadline=None)
same = np.testing.assert_array_equal
SEEDS = st.integers(0, 2**32 - 1)
embargoes = st.integers(0, 12)
lengths = st.integers(1, 40)


@st.composite
def bootstraps(draw) -> tuple[BlockBootstrap, int]:
    splitter = BlockBootstrap(
        draw(st.integers(1, 4)),
        block_length=draw(lengths),
        train_fraction=draw(st.floats(0.05, 1.0)),
        embargo=draw(embargoes),
        random_state=draw(SEEDS),
    )
    return splitter, draw(st.integers(2, 500))


@st.composite
def permutations(draw) -> tuple[BlockPermutation, int]:
    splitter = BlockPermutation(
        draw(st.integers(2, 6)), block_length=draw(lengths), embargo=draw(embargoes), random_state=draw(SEEDS)
    )
    return splitter, draw(st.integers(2, 500))


@st.composite
def walks(draw) -> tuple[PurgedWalkForward, int]:
    splitter = PurgedWalkForward(
        draw(st.integers(1, 6)),
        test_length=draw(st.none() | st.integers(1, 30)),
        train_length=draw(st.none() | st.integers(1, 60)),
        embargo=draw(embargoes),
    )
    return splitter, draw(st.integers(2, 500))


any_splitter = bootstraps() | permutations() | walks()


def possible(splitter, n_bars: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return all splits of a series, leaving out series that are too short for them."""
    try:
        return list(splitter.split(np.zeros(n_bars)))
    except SplitError:
        assume(False)
        raise


def gaps(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Return the distance of every training bar from the test bar nearest to it, by comparing all of them."""
    return np.abs(train[:, None] - test[None, :]).min(axis=1)


@few
@given(any_splitter)
def test_no_test_bar_nor_one_within_the_embargo_is_trained_on(case):
    splitter, n_bars = case
    for train, test in possible(splitter, n_bars):
        assert train.size
        assert test.size
        assert (gaps(train, test) > splitter.embargo).all()


@few
@given(any_splitter)
def test_rows_are_rows_of_the_series_in_order_and_test_rows_are_there_once(case):
    splitter, n_bars = case
    splits = possible(splitter, n_bars)
    assert len(splits) == splitter.get_n_splits() == splitter.n_splits
    for train, test in splits:
        assert min(train.min(), test.min()) >= 0
        assert max(train.max(), test.max()) < n_bars
        assert (np.diff(train) >= 0).all()
        assert (np.diff(test) > 0).all()


@few
@given(any_splitter)
def test_the_same_splitter_gives_the_same_splits_again(case):
    splitter, n_bars = case
    for first, second in zip(possible(splitter, n_bars), splitter.split(np.zeros(n_bars)), strict=True):
        same(first[0], second[0])
        same(first[1], second[1])


@few
@given(bootstraps())
def test_a_bootstrap_trains_on_whole_blocks_as_often_as_drawn_and_tests_the_rest(case):
    splitter, n_bars = case
    n_blocks = n_bars // splitter.block_length
    for train, test in possible(splitter, n_bars):
        times = np.bincount(train, minlength=n_bars)
        drawn = 0
        for block in range(n_blocks):
            end = (block + 1) * splitter.block_length if block < n_blocks - 1 else n_bars
            rows = np.arange(block * splitter.block_length, end)
            tested = np.isin(rows, test)
            assert tested.all() or not tested.any()
            kept = times[rows[gaps(rows, test) > splitter.embargo]]
            assert len(set(kept)) <= 1
            drawn += 0 if tested.all() else max(kept, default=1)
        wanted = max(1, round(splitter.train_fraction * n_blocks))
        assert drawn <= wanted  # a block that the embargo takes whole is counted once, however often it was drawn
        if splitter.embargo == 0:
            assert drawn == wanted


@few
@given(bootstraps(), st.integers(1, 5))
def test_more_bootstrap_splits_leave_the_first_ones_as_they_are(case, more):
    splitter, n_bars = case
    longer = BlockBootstrap(**{**vars(splitter), "n_splits": splitter.n_splits + more})
    for first, second in zip(possible(splitter, n_bars), longer.split(np.zeros(n_bars)), strict=False):
        same(first[0], second[0])
        same(first[1], second[1])


@few
@given(permutations())
def test_a_permutation_tests_every_bar_once_and_trains_on_all_that_is_far_enough(case):
    splitter, n_bars = case
    splits = possible(splitter, n_bars)
    same(np.sort(np.concatenate([test for _, test in splits])), np.arange(n_bars))
    blocks = [
        len(set(np.minimum(test // splitter.block_length, n_bars // splitter.block_length - 1))) for _, test in splits
    ]
    assert max(blocks) - min(blocks) <= 1
    for train, test in splits:
        every = np.arange(n_bars)
        same(train, every[gaps(every, test) > splitter.embargo])


@few
@given(walks())
def test_a_walk_is_scikit_learns_with_a_gap_but_never_short_of_training_bars(case):
    splitter, n_bars = case
    splits = possible(splitter, n_bars)
    assert all(splitter.train_length in (None, train.size) for train, _ in splits)
    assert splits[-1][1][-1] == n_bars - 1
    assume(splitter.n_splits > 1)  # scikit-learn's least
    theirs = TimeSeriesSplit(
        splitter.n_splits, max_train_size=splitter.train_length, test_size=splitter.test_length, gap=splitter.embargo
    )
    for ours, expected in zip(splits, theirs.split(np.zeros(n_bars)), strict=True):
        same(ours[0], expected[0])
        same(ours[1], expected[1])
