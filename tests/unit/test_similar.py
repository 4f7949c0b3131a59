"""Similar trades by hand: ties by index, distances of the training, and what counts as far."""

from __future__ import annotations

import numpy as np
import pytest

from mlfilter.similar import SimilarTrades, far_distance


def make_trades(X, **changed) -> SimilarTrades:
    X = np.asarray(X, dtype=np.float64)
    n = len(X)
    values = {
        "times": np.arange(n) * 3_600_000_000_000,
        "sides": np.ones(n, np.int64),
        "won": np.arange(n) % 2,
        "r": np.linspace(-1.0, 1.0, n),
        "far": 1.0,
    }
    return SimilarTrades(X, **(values | changed))


def test_ties_are_broken_by_index():
    trades = make_trades([[1.0], [-1.0], [1.0], [0.5], [-1.0], [1.0]])
    places, distances = trades.nearest(np.array([0.0]), 4)
    assert places.tolist() == [3, 0, 1, 2]
    assert distances.tolist() == [0.5, 1.0, 1.0, 1.0]


def test_fewer_trades_than_asked_for_are_all_of_them():
    assert make_trades([[1.0], [2.0]]).nearest(np.array([0.0]), 10)[0].tolist() == [0, 1]
    assert make_trades(np.empty((0, 1))).nearest(np.array([0.0]), 10)[0].tolist() == []


def test_a_trade_is_described_as_a_person_reads_it():
    trades = make_trades([[3.0, 4.0]], sides=np.array([-1]), won=np.array([1]), r=np.array([np.nan]))
    assert trades.as_data(*trades.nearest(np.zeros(2), 1)) == [
        {"bar_at": "1970-01-01T00:00:00+00:00", "direction": "short", "outcome": "win", "r": None, "distance": 5.0}
    ]


def test_far_is_the_99th_percentile_of_the_distances_to_the_nearest_other():
    # On a line at 0, 1, 3, 7: the nearest others are 1, 1, 2 and 4 away.
    assert far_distance(np.array([[0.0], [1.0], [3.0], [7.0]])) == pytest.approx(np.quantile([1, 1, 2, 4], 0.99))
    assert far_distance(np.array([[0.0]])) == np.inf


def test_far_does_not_depend_on_how_rows_are_cut_into_chunks(monkeypatch):
    X = np.random.default_rng(0).normal(size=(100, 3))
    whole = far_distance(X)
    monkeypatch.setattr("mlfilter.similar.CHUNK_ROWS", 7)
    assert far_distance(X) == whole


def test_extending_leaves_what_was_there():
    trades = make_trades([[0.0], [2.0]])
    longer = trades.extended(np.array([1.0]), at=5, side=-1, won=True, r=2.0)
    assert (len(trades), len(longer), longer.far) == (2, 3, trades.far)
    assert longer.nearest(np.array([1.0]), 1)[0].tolist() == [2]
