"""A setup is found where all three signals agree, and nowhere on a guess."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from market.errors import BarsError
from mlfilter.features import calculate_features
from mlfilter.signals import DEFAULTS, SIGNALS, OversoldThresholds, identify_long_setups, identify_short_setups
from tests.docs_reader import DOCS, first_codes, section
from tests.ml_bars_builders import read_klines, short_bars

every_family = pytest.mark.parametrize("key", SIGNALS)


def rows(*values: tuple[float, float, float]) -> pd.DataFrame:
    return pd.DataFrame(values, columns=["rsi_14", "bb_position", "zscore_20"])


def test_a_long_setup_is_below_all_three_thresholds():
    features = rows((29.9, 0.19, -1.6), (30, 0.19, -1.6), (29.9, 0.2, -1.6), (29.9, 0.19, -1.5), (10, -0.3, -3))
    assert list(identify_long_setups(features)) == [True, False, False, False, True]
    assert not identify_short_setups(features).any()


def test_a_short_setup_is_above_all_three_thresholds():
    features = rows((70.1, 0.81, 1.6), (70, 0.81, 1.6), (70.1, 0.8, 1.6), (70.1, 0.81, 1.5), (95, 1.4, 3))
    assert list(identify_short_setups(features)) == [True, False, False, False, True]
    assert not identify_long_setups(features).any()


@pytest.mark.parametrize("column", ["rsi_14", "bb_position", "zscore_20"])
def test_what_is_not_known_makes_no_setup(column):
    for features in (rows((10, 0, -3)), rows((90, 1, 3))):
        features[column] = np.nan
        assert SIGNALS["oversold"].directions(features).tolist() == [0]


def test_thresholds_move_what_is_found():
    features = rows((34, 0.1, -2))
    assert not identify_long_setups(features).any()
    assert identify_long_setups(features, OversoldThresholds(long_rsi=35)).all()
    assert SIGNALS["oversold"].directions(features, OversoldThresholds(long_rsi=35)).tolist() == [1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("long_rsi", wrong) for wrong in (-1, 50.1, np.nan, True)),
        *(("short_rsi", wrong) for wrong in (49.9, 101, np.inf)),
        *(("long_bb_position", wrong) for wrong in (0.51, -1.1)),
        *(("short_bb_position", wrong) for wrong in (0.49, 2.1)),
        ("long_zscore", 0.1),
        ("short_zscore", -0.1),
    ],
)
def test_a_threshold_on_the_wrong_side_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"{name} must be within .*, was {value}"):
        OversoldThresholds(**{name: value})


def test_thresholds_cannot_be_changed_on_the_way():
    with pytest.raises(AttributeError):
        DEFAULTS.long_rsi = 99.0


@every_family
def test_a_family_finds_long_and_short_on_real_bars_and_asks_only_for_what_it_needs(key, trading_data):
    features = calculate_features(read_klines(trading_data, last=20_000))
    family = SIGNALS[key]
    directions = family.directions(features[list(family.needs)])
    assert directions.index.equals(features.index)
    assert set(directions.unique()) == {-1, 0, 1}
    assert 0.001 < directions.ne(0).mean() < 0.2
    with pytest.raises(BarsError, match=f"features lack {family.needs[0]}"):
        family.directions(features.drop(columns=family.needs[0]))


@every_family
def test_a_family_looks_at_each_row_alone(key):
    features = calculate_features(short_bars(1, 400, volatility=0.02))
    whole = SIGNALS[key].directions(features)
    one_by_one = [SIGNALS[key].directions(features.iloc[[row]]).iloc[0] for row in range(0, 400, 7)]
    assert one_by_one == whole.iloc[::7].tolist()


def test_the_docs_have_every_family():
    assert first_codes(section(DOCS / "mlfilter.md", "Signals")) == list(SIGNALS)
