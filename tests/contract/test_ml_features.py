"""What every group of features promises: causal, warm when it says, and the same live as in a backtest."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import talib

from mlfilter.features import FEATURES, FeatureGroup, calculate_features, get_feature_list, warmup_bars
from mlfilter.features.calculate import calculate
from tests.bars_builders import ETH_FULL
from tests.ml_bars_builders import OHLCV, outside_of, read_klines, short_bars

every_group = pytest.mark.parametrize("key", FEATURES)
TOLERANCE = 1e-5  # absolute, of any feature: RSI counts to 100, most others to 5
same = np.testing.assert_array_equal


def with_outside(bars: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([bars, outside_of(bars)], axis=1)


def of(groups: dict[str, FeatureGroup], frame: pd.DataFrame) -> np.ndarray:
    """Return the features of some groups, bars and outside columns in one frame."""
    outside = [name for name in frame if name in ("funding_rate", "book_imbalance", "fear_greed")]
    return calculate(groups, frame.drop(columns=outside), outside=frame[outside]).to_numpy()


def rewritten_futures(groups: dict[str, FeatureGroup], n: int = 220) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the features of bars, and, for every cut, those of the bars before it with another future."""
    bars, other = with_outside(short_bars(0, n)), with_outside(short_bars(100, n))
    values, others = bars.to_numpy(), other.to_numpy()
    rewritten = []
    for now in range(1, n):
        frame = pd.DataFrame(np.vstack([values[:now], others[now:]]), bars.index, bars.columns)
        rewritten.append(of(groups, frame)[:now])
    return of(groups, bars), rewritten


def assert_past_ignores_future(whole: np.ndarray, rewritten: list[np.ndarray]) -> None:
    """What was known before the cut must not move by a bit."""
    assert np.isfinite(whole[-1]).all()
    for past in rewritten:
        same(past, whole[: len(past)])


@pytest.fixture(scope="module")
def futures() -> tuple[np.ndarray, list[np.ndarray]]:
    return rewritten_futures(FEATURES)


@every_group
def test_rewriting_the_future_leaves_the_past_alone(key, futures):
    columns = [name for group in FEATURES.values() for name in group.names]
    own = [columns.index(name) for name in FEATURES[key].names]
    whole, rewritten = futures
    assert_past_ignores_future(whole[:, own], [past[:, own] for past in rewritten])


def test_cutting_the_future_off_changes_nothing():
    bars = with_outside(short_bars(1, 190))
    whole = of(FEATURES, bars)
    for now in (*range(1, len(bars), 3), len(bars)):
        same(of(FEATURES, bars.iloc[:now])[-1], whole[now - 1])


def peeking(bars):
    return {"next_close": np.append(bars["close"][1:], bars["close"][-1])}


def centred(bars):
    return {"above_mean": bars["close"] - bars["close"].mean()}


def unfinished_hours(bars):
    """Look at the hour that a bar is in, as if it were closed."""
    longer = bars.higher["1h"]
    inside = np.minimum(longer.newest + 1, len(longer.close) - 1)
    return {"hour_close": longer.close[inside]}


@pytest.mark.parametrize(
    ("calculate_it", "name"), [(peeking, "next_close"), (centred, "above_mean"), (unfinished_hours, "hour_close")]
)
def test_the_check_catches_a_feature_that_looks_ahead(calculate_it, name):
    group = FeatureGroup(names=(name,), calculate=calculate_it, warm_up=0)
    with pytest.raises(AssertionError):
        assert_past_ignores_future(*rewritten_futures({name: group}, 60))


@every_group
def test_a_group_gives_what_it_names_and_never_an_infinity(key):
    group = FEATURES[key]
    features = of({key: group}, with_outside(short_bars(2, 190)))
    assert features.shape == (190, len(group.names))
    assert not np.isinf(features).any()
    assert features.dtype == np.float64


@every_group
def test_only_the_warm_up_is_without_a_value(key):
    group, bars = FEATURES[key], with_outside(short_bars(3, 190))
    first_known = np.isfinite(of({key: group}, bars)).all(axis=1)
    if group.needs and key != "taker":
        same(first_known, bars[key].notna())
        return
    # The higher group counts bars of four hours, eight of these to each; its first value comes at a close.
    warm_up = (group.warm_up + 1) * 8 - 1 if key == "higher" else group.warm_up
    assert int(np.argmax(first_known)) == warm_up
    assert first_known[warm_up:].all()


def test_no_two_groups_give_a_feature_of_the_same_name():
    names = [name for group in FEATURES.values() for name in group.names]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("name", "interval"), [(None, "15m"), (ETH_FULL, "1h")])
def test_the_last_row_of_the_bars_that_a_live_bot_reads_is_that_of_the_whole_history(trading_data, name, interval):
    bars = read_klines(trading_data, name) if name else read_klines(trading_data)
    whole = calculate_features(bars)
    n = warmup_bars(interval)
    for end in np.random.default_rng(30).integers(n, len(bars), size=25):
        live = calculate_features(bars.iloc[end - n : end]).iloc[-1]
        np.testing.assert_allclose(live, whole.iloc[end - 1], rtol=0, atol=TOLERANCE)


def test_half_the_bars_would_show_where_they_began(trading_data):
    bars = read_klines(trading_data)
    whole, n = calculate_features(bars), warmup_bars("15m") // 3
    ends = np.random.default_rng(30).integers(4 * n, len(bars), size=25)
    off = [np.abs(calculate_features(bars.iloc[end - n : end]).iloc[-1] - whole.iloc[end - 1]).max() for end in ends]
    assert max(off) > TOLERANCE


def test_a_gap_closes_the_hour_that_it_ends():
    bars = short_bars(4, 260, minutes=15)
    hole = bars.drop(bars.index[[150, 151]])  # the hour of 37 ends with its first two quarters
    at = bars.index[152]
    hours = hole["close"].resample("1h").last()
    closed = hours[hours.index + pd.Timedelta("1h") <= at + pd.Timedelta("15min")]
    assert closed.iloc[-1] == bars["close"].iloc[149]
    expected = talib.RSI(closed.to_numpy(), 14)[-1]
    assert calculate_features(hole)["rsi_14_1h"][at] == pytest.approx(expected, rel=1e-12)


def test_the_order_is_that_of_the_groups():
    assert get_feature_list(OHLCV)[0] == FEATURES["mean_reversion"].names[0]
    assert get_feature_list(OHLCV)[-4:] == list(FEATURES["higher"].names)
