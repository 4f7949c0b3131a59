"""The one check of bars, and the join of rates with klines."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from market.bars import BAR_COLUMNS, as_bars, bar_arrays, join_bars
from market.errors import BarsError
from tests.bars_builders import make_bars

RATES = ["open", "high", "low", "close", "tick_volume"]


def klines_of(bars: pd.DataFrame) -> pd.DataFrame:
    return bars[["volume", "taker_buy_base_vol"]].rename(columns={"taker_buy_base_vol": "taker_buy_base_volume"})


def changed(column: str, value: object, *, at: int = 3) -> pd.DataFrame:
    bars = make_bars(n=10)
    bars.loc[bars.index[at], column] = value  # type: ignore[call-overload]  # values of all kinds
    return bars


def test_good_bars_come_back_with_the_same_values_and_index():
    bars = make_bars(n=50)
    pd.testing.assert_frame_equal(as_bars(bars), bars)


def test_other_columns_are_left_out_and_bar_columns_are_put_in_order():
    bars = make_bars(n=5).assign(spread=3, real_volume=0)[["spread", "close", "low", "high", "open", "tick_volume"]]
    assert list(as_bars(bars).columns) == RATES


def test_the_copy_does_not_share_memory_with_what_it_came_from():
    bars = make_bars(n=5)
    before = bars.copy()
    copy = as_bars(bars)
    copy.loc[copy.index[0], "close"] = 1.0
    pd.testing.assert_frame_equal(bars, before)


def test_the_copy_is_one_block_of_contiguous_floats():
    whole = as_bars(make_bars(n=5).astype({"tick_volume": np.int64, "volume": np.float32}))
    assert (whole.dtypes == np.float64).all()
    assert all(whole[name].to_numpy().flags.c_contiguous for name in whole)


def test_arrays_are_contiguous_and_writable_so_that_kernels_compile_once():
    for array in bar_arrays(make_bars(n=5)).columns.values():
        assert array.dtype == np.float64
        assert array.flags.c_contiguous
        assert array.flags.writeable


def test_arrays_keep_their_values_when_the_frame_changes_later():
    bars = make_bars(n=5)
    arrays = bar_arrays(bars)
    close = bars["close"].to_numpy().copy()
    bars.loc[:, "close"] = 1.0
    np.testing.assert_array_equal(arrays["close"], close)


def test_a_derived_value_is_computed_once():
    arrays, answers = bar_arrays(make_bars(n=5)), iter([42, 43])
    assert [arrays.derive("answer", lambda: next(answers)) for _ in range(2)] == [42, 42]


def test_no_bars_are_fine():
    assert len(as_bars(make_bars(n=5).iloc[:0])) == 0


def test_numbers_of_other_types_become_floats():
    bars = make_bars(n=5)
    bars["volume"] = bars["volume"].astype("Float64").mask(bars.index == bars.index[1])
    assert np.isnan(as_bars(bars)["volume"].iloc[1])


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (pd.RangeIndex(4), "must be a DatetimeIndex of open times in UTC, was RangeIndex"),
        (pd.date_range("2024-01-01", periods=4, freq="h"), "must be aware and in UTC, its time zone was None"),
        (pd.date_range("2024-01-01", periods=4, freq="h", tz="Europe/Athens"), "its time zone was Europe/Athens"),
        (
            pd.to_datetime(["2024-01-01 00:00", "2024-01-01 02:00", "2024-01-01 01:00", "2024-01-01 03:00"], utc=True),
            r"strictly increasing .* 1 of 4 times .* first 2024-01-01 01:00:00\+00:00 after 2024-01-01 02:00",
        ),
        (
            pd.to_datetime(["2024-01-01 00:00", "2024-01-01 01:00", "2024-01-01 01:00", "2024-01-01 01:00"], utc=True),
            "without duplicates, 2 of 4 times",
        ),
        (pd.DatetimeIndex([pd.NaT, *pd.date_range("2024-01-01", periods=3, freq="h", tz="UTC")]), "1 of 4 were NaT"),
    ],
)
def test_an_index_that_is_not_times_in_order_is_refused(index, message):
    with pytest.raises(BarsError, match=message):
        as_bars(make_bars(n=4).set_axis(index, axis=0))


@pytest.mark.parametrize("column", ["open", "high", "low", "close"])
@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf, -np.inf])
def test_a_price_that_is_no_price_is_refused_with_its_column_and_time(column, value):
    with pytest.raises(BarsError, match=r"column (open|high|low|close) must be .* first .* at 2024-01-01 03:00"):
        as_bars(changed(column, value))
    with pytest.raises(BarsError, match=f"column {column} must be finite and above 0: 1 of 10 bars were not"):
        bar_arrays(changed(column, value), [column])


@pytest.mark.parametrize(
    ("column", "factor", "message"),
    [
        ("open", 2.0, "column high must be at least open"),
        ("open", 0.5, "column low must be at most open"),
        ("close", 2.0, "column high must be at least close"),
        ("close", 0.5, "column low must be at most close"),
    ],
)
def test_open_and_close_outside_the_bar_are_refused(column, factor, message):
    bars = make_bars(n=10)
    with pytest.raises(BarsError, match=f"{message}: 1 of 10 bars were not"):
        as_bars(changed(column, bars[column].iloc[3] * factor))


@pytest.mark.parametrize("column", ["tick_volume", "volume", "taker_buy_base_vol"])
@pytest.mark.parametrize("value", [-1.0, np.inf, -np.inf])
def test_a_volume_below_zero_or_infinite_is_refused(column, value):
    with pytest.raises(BarsError, match=f"column {column} must be finite and at least 0"):
        as_bars(changed(column, value))


def test_a_missing_kline_is_allowed_and_a_missing_tick_volume_is_not():
    assert as_bars(changed("volume", np.nan))["volume"].isna().sum() == 1
    with pytest.raises(BarsError, match="column tick_volume must be finite and at least 0: 1 of 10"):
        as_bars(changed("tick_volume", np.nan))


def test_a_missing_column_is_named():
    with pytest.raises(BarsError, match="bars lack high, tick_volume; columns were open, low, close"):
        as_bars(make_bars(n=4)[["open", "low", "close"]])


def test_text_is_refused():
    bars = make_bars(n=4).astype(object)
    bars.loc[bars.index[1], "close"] = "much"
    with pytest.raises(BarsError, match="column close must be numbers, was of type object"):
        as_bars(bars)


def test_a_column_twice_is_refused():
    bars = make_bars(n=4)
    with pytest.raises(BarsError, match="each column once, twice were close"):
        as_bars(pd.concat([bars, bars[["close"]]], axis=1))


def test_what_is_not_a_frame_is_refused():
    with pytest.raises(BarsError, match="must be a DataFrame, was list"):
        as_bars([1, 2])  # type: ignore[arg-type]


def test_joining_puts_klines_beside_rates_of_the_same_time():
    bars = make_bars(n=20)
    pd.testing.assert_frame_equal(join_bars(bars[RATES], klines_of(bars)), bars[list(BAR_COLUMNS)])


def test_joining_keeps_every_rate_and_leaves_nan_where_a_kline_is_missing():
    bars = make_bars(n=20)
    joined = join_bars(bars[RATES], klines_of(bars).drop(bars.index[7]))
    assert joined.index.equals(bars.index)
    assert list(joined.index[joined["volume"].isna()]) == [bars.index[7]]
    assert list(joined.index[joined["taker_buy_base_vol"].isna()]) == [bars.index[7]]


def test_joining_drops_a_kline_without_a_rate():
    bars = make_bars(n=20)
    joined = join_bars(bars[RATES].iloc[5:10], klines_of(bars))
    pd.testing.assert_frame_equal(joined, bars.iloc[5:10], check_freq=False)


def test_without_klines_there_are_no_kline_columns_even_if_rates_bring_some():
    bars = make_bars(n=20)
    assert list(join_bars(bars, None).columns) == RATES


def test_a_brokers_volume_never_stands_in_for_binances():
    bars = make_bars(n=20)
    joined = join_bars(bars.assign(volume=1e9), klines_of(bars).iloc[:10])
    assert joined["volume"].iloc[:10].tolist() == bars["volume"].iloc[:10].tolist()
    assert joined["volume"].iloc[10:].isna().all()


def test_times_of_different_resolution_join():
    bars = make_bars(n=20)
    times = pd.DatetimeIndex(bars.index)
    klines = klines_of(bars).set_axis(times.as_unit("ms"), axis=0)
    rates = bars[RATES].set_axis(times.as_unit("s"), axis=0)
    assert join_bars(rates, klines)["volume"].notna().all()


def test_klines_out_of_order_are_refused():
    bars = make_bars(n=20)
    with pytest.raises(BarsError, match="strictly increasing"):
        join_bars(bars[RATES], klines_of(bars).iloc[::-1])


def test_klines_without_takers_volume_are_refused():
    bars = make_bars(n=20)
    with pytest.raises(BarsError, match="bars lack taker_buy_base_vol"):
        join_bars(bars[RATES], bars[["volume"]])


@pytest.mark.parametrize("name", ["BTCUSDT_1h_full_2017-08_2019-12", "BTCUSDT_1h_full_2023-01_2023-05"])
def test_real_klines_are_bars_even_with_gaps_and_off_grid_times(trading_data, name):
    klines = pd.read_parquet(trading_data / "klines_1h_full" / f"{name}.parquet")
    times = pd.to_datetime(klines["open_time"], unit="ms", utc=True)
    frame = klines.assign(tick_volume=klines["count"]).set_index(times)
    assert len(join_bars(frame, frame)) == len(klines)
