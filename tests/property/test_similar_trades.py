"""The nearest trades are those of brute force, whatever ties there are."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.unit.test_similar import make_trades

# Few different values: most distances tie.
COARSE = st.integers(-2, 2).map(float)
FINE = st.floats(-1e6, 1e6, allow_nan=False)


def brute_force(X, row, n):
    """Return places and distances by sorting every pair of (distance, index) in plain Python."""
    distances = [float(np.sqrt(np.sum(np.square(x - row)))) for x in X]
    pairs = sorted((distance, at) for at, distance in enumerate(distances))[:n]
    return [at for _, at in pairs], [distance for distance, _ in pairs]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_nearest_trades_are_those_of_brute_force(data):
    values = data.draw(st.sampled_from([COARSE, FINE]))
    n_rows, n_columns = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 4))
    X = data.draw(arrays(np.float64, (n_rows, n_columns), elements=values))
    row = data.draw(arrays(np.float64, n_columns, elements=values))
    n = data.draw(st.integers(1, 12))
    places, distances = make_trades(X).nearest(row, n)
    expected_places, expected = brute_force(X, row, n)
    assert places.tolist() == expected_places
    assert distances.tolist() == expected
