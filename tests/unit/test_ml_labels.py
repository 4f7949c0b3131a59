"""What a label says of a trade, worked out by hand, and what it does not say before it is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from market.errors import BarsError
from mlfilter.features import calculate_features
from mlfilter.labels import forward_return, triple_barrier
from mlfilter.setups import Barriers, Costs
from tests.ml_bars_builders import read_klines, wild_bars, wishes

FREE = Costs(half_spread=0, slippage=0, fee=0)
BARRIERS = Barriers(stop_pct=0.02, target_pct=0.04, horizon=3)
QUIET = (100, 101, 99, 100)


def bars_of(*rows: tuple[float, float, float, float]) -> pd.DataFrame:
    times = pd.date_range("2025-01-15", periods=len(rows), freq="15min", tz="UTC")
    return pd.DataFrame(rows, columns=["open", "high", "low", "close"], index=times, dtype=float)


def first_label(*later: tuple[float, float, float, float], sign: int = 1, costs: Costs = FREE, label=triple_barrier):
    """Return the label of a trade decided at a bar before these."""
    bars = bars_of(QUIET, *later)
    return label(bars, np.array([sign] + [0] * len(later), dtype=np.int8), barriers=BARRIERS, costs=costs).iloc[0]


@pytest.mark.parametrize(
    ("later", "label", "exit_index", "price", "reason"),
    [
        # Entry at 100: stop 98, target 104, three bars.
        ([QUIET, (100, 104.5, 100, 104)], 1, 2, 104, "target"),
        ([QUIET, (100, 104, 100, 103)], 1, 2, 104, "target"),
        ([(100, 101, 97.5, 98)], 0, 1, 98, "stop"),
        ([(100, 101, 98, 99)], 0, 1, 98, "stop"),
        ([QUIET, (100, 104.2, 97.9, 101)], 0, 2, 98, "stop"),  # both in one bar
        ([QUIET, (97, 97.5, 96, 97)], 0, 2, 97, "stop"),  # gap through the stop
        ([QUIET, (105, 106, 104.5, 105)], 1, 2, 105, "target"),  # gap through the target
        ([QUIET, (105, 106, 97, 98)], 0, 2, 98, "stop"),  # beyond the target first, and then at the stop
        ([QUIET, QUIET, QUIET, (101, 110, 90, 100)], 0, 4, 101, "timeout"),
    ],
)
def test_a_long_trade_ends_where_it_would(later, label, exit_index, price, reason):
    found = first_label(*later)
    assert (found["label"], found["exit_index"], found["exit_price"]) == (label, exit_index, price)
    assert (found["exit_reason"], found["known_at"]) == (reason, exit_index)
    assert found["return"] == pytest.approx(price / 100 - 1)
    assert found["r"] == pytest.approx((price / 100 - 1) / 0.02)


@pytest.mark.parametrize(
    ("later", "label", "exit_index", "price", "reason"),
    [
        # Entry at 100: stop 102, target 96.
        ([QUIET, (100, 101, 95.5, 96)], 1, 2, 96, "target"),
        ([QUIET, (100, 102, 99, 101)], 0, 2, 102, "stop"),
        ([QUIET, (100, 102.5, 95, 96)], 0, 2, 102, "stop"),
        ([QUIET, (103, 104, 101, 101)], 0, 2, 103, "stop"),
        ([QUIET, (95, 96, 94, 95)], 1, 2, 95, "target"),
        ([QUIET, QUIET, QUIET, (99, 99, 99, 99)], 0, 4, 99, "timeout"),
    ],
)
def test_a_short_trade_is_the_mirror(later, label, exit_index, price, reason):
    found = first_label(*later, sign=-1)
    assert (found["label"], found["exit_index"], found["exit_price"]) == (label, exit_index, price)
    assert (found["exit_reason"], found["return"]) == (reason, pytest.approx(1 - price / 100))


def test_the_entry_is_the_next_bars_open_and_so_are_the_barriers():
    found = first_label((110, 111, 109, 110), (110, 111, 107.8, 108))
    assert (found["exit_price"], found["exit_reason"]) == (pytest.approx(107.8), "stop")
    assert found["return"] == pytest.approx(-0.02)


@pytest.mark.parametrize("later", [[], [QUIET], [QUIET, QUIET, QUIET]])
def test_what_is_not_over_is_not_known(later):
    found = first_label(*later)
    assert found[["label", "exit_price", "return", "r"]].isna().all()
    assert (found["exit_index"], found["known_at"], found["exit_reason"]) == (-1, -1, "")


def test_both_fills_cost_what_they_are_worth():
    found = first_label(QUIET, (100, 104.5, 100, 104), costs=Costs(half_spread=0.0005, slippage=0.0002, fee=0.0003))
    # 4 % won, 0.1 % of 100 and 0.1 % of 104 paid.
    assert found["return"] == pytest.approx(0.04 - 0.001 - 0.00104)
    assert found["r"] == pytest.approx((0.04 - 0.00204) / 0.02)


def test_a_bar_without_a_direction_has_no_label():
    bars = wild_bars(1)
    labels = triple_barrier(bars, np.zeros(len(bars), dtype=np.int8))
    assert labels["label"].isna().all()
    assert (labels["known_at"] == -1).all()


@pytest.mark.parametrize(("threshold", "label"), [(0.0, 1), (0.0099, 1), (0.01, 0), (0.02, 0)])
def test_a_forward_return_has_to_exceed_its_threshold(threshold, label):
    later = [QUIET, (100, 110, 90, 100), QUIET, (101, 101, 101, 101)]
    bars = bars_of(QUIET, *later)
    signs = np.array([1, 0, 0, 0, 0], dtype=np.int8)
    # 1 % in exact halves: 101 / 100 - 1 is 0.010000000000000009 as a float.
    found = forward_return(bars, signs, barriers=BARRIERS, costs=FREE, success_threshold=threshold + 1e-15).iloc[0]
    assert found["label"] == label
    assert (found["exit_index"], found["exit_reason"], found["known_at"]) == (4, "timeout", 4)


def test_a_forward_return_is_taken_after_costs_and_in_the_trades_direction():
    later = [QUIET, QUIET, QUIET, (99.9, 100, 99, 99)]
    assert first_label(*later, sign=-1, label=forward_return)["label"] == 1
    assert first_label(*later, sign=-1, label=forward_return, costs=Costs())["label"] == 0
    assert first_label(*later, sign=1, label=forward_return)["label"] == 0
    assert np.isnan(first_label(*later[:3], label=forward_return)["label"])


def test_forward_returns_are_pandas_on_real_bars(trading_data):
    bars = read_klines(trading_data, last=5_000)
    found = forward_return(bars, np.ones(5_000, dtype=np.int8), costs=FREE)
    entry = bars["open"].shift(-1)
    expected = bars["open"].shift(-25) / entry - 1
    np.testing.assert_allclose(found["return"], expected, rtol=1e-9, atol=1e-12)


def test_barriers_may_be_multiples_of_the_atr(trading_data):
    bars = read_klines(trading_data, last=2_000)
    away = (2 * calculate_features(bars)["atr_pct"]).clip(0.001, 0.2)
    signs = wishes(2_000)
    found = triple_barrier(bars, signs, stop_pct=away, target_pct=away, costs=FREE)
    assert found["label"][away.isna()].isna().all()
    opening = bars["open"].to_numpy()
    smooth = found[(found["exit_reason"] == "target") & ~np.isin(found["exit_price"], opening)]
    rows = bars.index.get_indexer(smooth.index)
    expected = opening[rows + 1] * (1 + signs[rows] * away.to_numpy()[rows])
    np.testing.assert_allclose(smooth["exit_price"], expected, rtol=1e-12)
    assert len(smooth) > 100


def test_a_fraction_worked_out_of_two_prices_may_be_off_by_a_rounding():
    bars = bars_of(QUIET, QUIET, QUIET)
    least = abs(1.001 / 1.0 - 1.0)
    assert least < 0.001
    assert triple_barrier(bars, np.ones(3, dtype=np.int8), stop_pct=least)["exit_reason"].iloc[0] == "stop"
    with pytest.raises(ValueError, match="stop_pct must be within"):
        triple_barrier(bars, np.ones(3, dtype=np.int8), stop_pct=0.00099)


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"direction": np.array([2, 0, 0])}, BarsError, "direction must be 1"),
        ({"direction": np.array([np.nan, 0, 0])}, BarsError, "direction must be 1"),
        ({"direction": np.array([1, 0])}, BarsError, "direction must be one for each of 3 bars"),
        ({"direction": pd.Series([1, 0, 0])}, BarsError, "direction must be on the index of the bars"),
        ({"stop_pct": 0.5}, ValueError, r"stop_pct must be within 0.001..0.2, was 0.5"),
        ({"target_pct": 2.0}, ValueError, r"target_pct must be within 0.001..0.5, was 2"),
        ({"bars": bars_of(QUIET, QUIET, (100, 99, 98, 98))}, BarsError, "column high must be at least open"),
    ],
)
def test_what_cannot_be_labelled_is_named(changed, error, message):
    given = {"bars": bars_of(QUIET, QUIET, QUIET), "direction": np.zeros(3, dtype=np.int8), **changed}
    with pytest.raises(error, match=message):
        triple_barrier(given.pop("bars"), given.pop("direction"), **given)


def test_no_bars_have_no_labels():
    assert triple_barrier(bars_of(), np.zeros(0, dtype=np.int8)).empty
    assert forward_return(bars_of(), np.zeros(0, dtype=np.int8)).empty
