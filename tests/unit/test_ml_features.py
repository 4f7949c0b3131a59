"""Features are TA-Lib's numbers, the formulas of the docs, and clear about what they cannot be made of."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
import talib
from talib import abstract

from market.errors import BarsError
from mlfilter.features import FEATURES, OUTSIDE_COLUMNS, calculate_features, get_feature_list, warmup_bars
from tests.bars_builders import ETH_FULL
from tests.docs_reader import DOCS, codes, section, table
from tests.ml_bars_builders import OHLCV, TAKER, outside_of, read_klines, short_bars

MANY = 20_000


@pytest.fixture(scope="module")
def bars(trading_data) -> pd.DataFrame:
    return read_klines(trading_data, last=MANY)


@pytest.fixture(scope="module")
def features(bars) -> pd.DataFrame:
    return calculate_features(bars)


@pytest.fixture(scope="module")
def columns(bars) -> dict[str, np.ndarray]:
    return {name: bars[name].to_numpy() for name in OHLCV}


def close_to(actual, expected, *, atol=1e-9):
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=atol)


@pytest.mark.parametrize(
    ("name", "function", "inputs", "arguments"),
    [
        ("rsi_14", talib.RSI, ["close"], [14]),
        ("adx_14", talib.ADX, ["high", "low", "close"], [14]),
        ("plus_di_14", talib.PLUS_DI, ["high", "low", "close"], [14]),
        ("minus_di_14", talib.MINUS_DI, ["high", "low", "close"], [14]),
        ("mfi_14", talib.MFI, ["high", "low", "close", "volume"], [14]),
        ("roc_3", talib.ROCP, ["close"], [3]),
        ("roc_10", talib.ROCP, ["close"], [10]),
        ("roc_24", talib.ROCP, ["close"], [24]),
    ],
)
def test_an_indicator_is_talibs(features, columns, name, function, inputs, arguments):
    close_to(features[name], function(*(columns[each] for each in inputs), *arguments))


def test_what_is_put_together_from_indicators_is_put_together_from_talibs(features, columns):
    high, low, close = columns["high"], columns["low"], columns["close"]
    atr = talib.ATR(high, low, close, 14)
    upper, middle, lower = talib.BBANDS(close, 20, 2.0, 2.0, 0)
    close_to(features["bb_position"], (close - lower) / (upper - lower))
    close_to(features["bb_width"], (upper - lower) / middle)
    close_to(features["zscore_20"], (close - talib.SMA(close, 20)) / talib.STDDEV(close, 20))
    close_to(features["zscore_50"], (close - talib.SMA(close, 50)) / talib.STDDEV(close, 50))
    close_to(features["atr_pct"], atr / close)
    close_to(features["ema_gap"], (talib.EMA(close, 20) - talib.EMA(close, 50)) / atr)
    close_to(features["mom_10"], talib.MOM(close, 10) / close)
    close_to(features["rel_volume_20"], columns["volume"] / talib.SMA(columns["volume"], 20))
    close_to(features["support_dist_50"], (close - talib.MIN(low, 50)) / atr)
    close_to(features["resistance_dist_50"], (talib.MAX(high, 50) - close) / atr)
    close_to(features["consolidation_20"], (talib.MAX(high, 20) - talib.MIN(low, 20)) / (atr * 20**0.5))


@pytest.mark.parametrize(
    ("name", "function"), [("doji", "CDLDOJI"), ("hammer", "CDLHAMMER"), ("engulfing", "CDLENGULFING")]
)
def test_a_pattern_is_the_sign_of_talibs_and_unknown_while_it_warms_up(features, columns, name, function):
    found = getattr(talib, function)(*(columns[each] for each in ("open", "high", "low", "close")))
    warm = abstract.Function(function).lookback
    assert features[name].iloc[:warm].isna().all()
    np.testing.assert_array_equal(features[name].iloc[warm:], np.sign(found[warm:]))
    assert found.any()


def test_what_talib_does_not_have_is_pandas(features, bars):
    close, volume = bars["close"], bars["volume"]
    returns = np.log(close).diff()
    short, long = (returns.rolling(window).std(ddof=0) for window in (20, 96))
    close_to(features["ret_std_20"], short)
    close_to(features["ret_std_96"], long)
    np.testing.assert_allclose(features["vol_ratio"], short / long, rtol=1e-7)  # both sides subtract squares
    close_to(features["drawdown_50"], close / close.rolling(50).max() - 1)
    close_to(features["runup_50"], close / close.rolling(50).min() - 1)
    close_to(features["rel_volume_20"], volume / volume.rolling(20).mean(), atol=1e-7)
    reach = bars["high"] - bars["low"]
    top, bottom = bars[["open", "close"]].max(axis=1), bars[["open", "close"]].min(axis=1)
    for name, part in {
        "body": top - bottom,
        "upper_wick": bars["high"] - top,
        "lower_wick": bottom - bars["low"],
    }.items():
        close_to(features[f"{name}_pct"], (part / reach).fillna(0.0))


def test_the_clock_and_the_week_are_circles(features):
    noon_on_a_wednesday = features.loc["2026-04-29 12:00:00+00:00"]
    assert noon_on_a_wednesday["hour_sin"] == pytest.approx(0, abs=1e-12)
    assert noon_on_a_wednesday["hour_cos"] == pytest.approx(-1)
    assert noon_on_a_wednesday["weekday_sin"] == pytest.approx(np.sin(4 * np.pi / 7))
    quarter_to_midnight, midnight = features.loc["2026-04-29 23:45:00+00:00"], features.loc["2026-04-30 00:00:00+00:00"]
    assert abs(quarter_to_midnight["hour_sin"] - midnight["hour_sin"]) < 0.07


def test_longer_intervals_are_pandas_on_bars_that_were_closed(features, bars):
    for interval in ("1h", "4h"):
        closes = bars["close"].resample(interval).last()
        known = pd.DataFrame(
            {
                "rsi": talib.RSI(closes.to_numpy(), 14),
                "zscore": ((closes - closes.rolling(20).mean()) / closes.rolling(20).std(ddof=0)).to_numpy(),
            },
            index=closes.index + pd.Timedelta(interval),
        )
        seen = known.reindex(bars.index + pd.Timedelta(minutes=15), method="ffill")
        warm = slice(20 * 17, None)  # the first hours may be left out: where the file was cut is inside one
        np.testing.assert_allclose(features[f"zscore_20_{interval}"][warm], seen["zscore"][warm], rtol=1e-6, atol=1e-6)
        late = slice(16 * 250, None)
        np.testing.assert_allclose(features[f"rsi_14_{interval}"][late], seen["rsi"][late], atol=1e-5)


def test_an_hour_is_seen_at_its_last_bars_close_and_not_before():
    bars = short_bars(1, 200, minutes=15)
    seen = calculate_features(bars)["rsi_14_1h"]
    values = seen.dropna()
    changes = values.index[values.diff().fillna(0) != 0]
    assert len(changes) > 20
    assert set(changes.minute) == {45}


def test_the_source_of_higher_bars_makes_no_difference(bars):
    hours = (
        bars.iloc[: -MANY % 4 or None]
        .resample("1h")
        .agg({"open": "first", "high": "max", "low": "min", "close": "last"})
    )
    whole = bars.loc[hours.index[1] :]
    fed = calculate_features(whole, higher={"1h": hours.iloc[1:]})
    made = calculate_features(whole)
    pd.testing.assert_frame_equal(fed, made)


def test_an_hour_that_is_fed_unfinished_is_not_looked_at():
    bars = short_bars(2, 202, minutes=15)  # ends at 02:30 of its third day: the hour has begun
    hours = bars["close"].resample("1h").last().to_frame()
    known = calculate_features(bars, higher={"1h": hours})
    hours.iloc[-1] *= 1.1
    pd.testing.assert_frame_equal(calculate_features(bars, higher={"1h": hours}), known)


def test_the_taker_ratio_is_there_where_its_column_is(trading_data):
    bars = read_klines(trading_data, ETH_FULL, last=2_000)
    ratio = bars[TAKER].rolling(20).sum() / bars["volume"].rolling(20).sum()
    close_to(calculate_features(bars)["taker_ratio_20"], ratio)
    renamed = bars.rename(columns={TAKER: "taker_buy_base_volume"})
    pd.testing.assert_frame_equal(calculate_features(renamed), calculate_features(bars))
    assert "taker_ratio_20" not in calculate_features(bars[OHLCV])


def test_a_bar_that_does_not_say_who_bought_is_forgotten_after_twenty():
    bars = short_bars(3, 100)
    bars.iloc[40, bars.columns.get_loc(TAKER)] = np.nan
    ratio = calculate_features(bars)["taker_ratio_20"]
    assert list(np.flatnonzero(ratio.isna())) == [*range(19), *range(40, 60)]


def test_outside_columns_pass_through_and_are_absent_when_they_are_not_fed():
    bars = short_bars(4, 80)
    outside = outside_of(bars)
    with_all = calculate_features(bars, outside=outside)
    pd.testing.assert_frame_equal(with_all[list(OUTSIDE_COLUMNS)], outside)
    with_one = calculate_features(bars, outside=outside[["fear_greed"]])
    assert list(with_one) == [name for name in with_all if name not in ("funding_rate", "book_imbalance")]
    assert set(OUTSIDE_COLUMNS).isdisjoint(calculate_features(bars))


def test_the_list_is_the_columns_in_their_order_and_there_are_more_than_thirty():
    bars = short_bars(5, 60)
    outside = outside_of(bars)
    assert list(calculate_features(bars[OHLCV])) == get_feature_list() == get_feature_list(OHLCV)
    everything = get_feature_list([*bars.columns, *outside.columns])
    assert list(calculate_features(bars, outside=outside)) == everything
    assert get_feature_list([*OHLCV, "taker_buy_base_volume"]) == get_feature_list(bars.columns)
    assert len(get_feature_list()) == 38
    assert len(set(everything)) == len(everything) == 42


def test_the_docs_have_the_groups_and_their_features():
    rows = table(section(DOCS / "mlfilter.md", "Features"))
    assert {codes(row[0])[0]: tuple(codes(row[1])) for row in rows} == {
        name: group.names for name, group in FEATURES.items()
    }


def test_a_price_that_stands_still_is_undefined_and_not_infinite():
    bars = short_bars(6, 150)
    for name in ("open", "high", "low", "close"):
        bars[name] = 100.0
    still = calculate_features(bars).iloc[-1]
    undefined = {"bb_position", "zscore_20", "zscore_50", "vol_ratio", "ema_gap"}
    undefined |= {"support_dist_50", "resistance_dist_50", "consolidation_20", "zscore_20_1h"}
    assert set(still.index[still.isna()]) - {"rsi_14_4h", "zscore_20_4h"} == undefined
    assert (still[["body_pct", "upper_wick_pct", "lower_wick_pct"]] == 0).all()


def test_a_symbol_that_is_not_traded_has_no_relative_volume():
    bars = short_bars(7, 60).assign(volume=0.0, **{TAKER: 0.0})
    silent = calculate_features(bars)
    assert silent[["rel_volume_20", "taker_ratio_20"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda bars: bars.drop(columns="volume"), "bars lack volume"),
        (lambda bars: bars.tz_localize(None), "must be aware and in UTC"),
        (lambda bars: bars.iloc[::-1], "strictly increasing"),
        (lambda bars: bars.assign(close=bars["high"] * 2), "column high must be at least close"),
        (
            lambda bars: bars.assign(volume=np.nan),
            "column volume must be finite and at least 0: 60 of 60 bars had none",
        ),
        (lambda bars: bars["close"], "must be a DataFrame, was Series"),
        (lambda bars: bars.assign(open="x"), "column open must be numbers"),
    ],
)
def test_what_is_no_bars_is_named(change, message):
    with pytest.raises(BarsError, match=message):
        calculate_features(change(short_bars(8, 60)))


def test_what_is_fed_beside_the_bars_is_checked():
    bars = short_bars(9, 60)
    with pytest.raises(BarsError, match="outside columns may be funding_rate, book_imbalance, fear_greed, was tweets"):
        calculate_features(bars, outside=pd.DataFrame({"tweets": 1.0}, index=bars.index))
    with pytest.raises(BarsError, match="the index of outside columns must be that of the bars"):
        calculate_features(bars, outside=outside_of(bars).iloc[1:])
    with pytest.raises(BarsError, match="outside column fear_greed must be finite"):
        calculate_features(bars, outside=outside_of(bars).assign(fear_greed=np.inf))
    with pytest.raises(BarsError, match="higher bars may be of 1h, 4h, was 1d"):
        calculate_features(bars, higher={"1d": bars})
    with pytest.raises(BarsError, match="bars of 120 minutes do not add up to 1h: feed bars of 1h"):
        calculate_features(bars.iloc[::4])


@pytest.mark.parametrize("n", [0, 1, 2, 30])
def test_few_bars_give_rows_of_nothing_and_no_error(n):
    features = calculate_features(short_bars(10, 60).iloc[:n])
    assert features.shape == (n, 39)
    assert features["zscore_50"].isna().all()


def test_the_bars_are_left_alone(bars):
    few = bars.iloc[:500].copy()
    calculate_features(few)
    pd.testing.assert_frame_equal(few, bars.iloc[:500])


def test_a_live_bot_reads_as_many_bars_as_four_hours_need():
    assert [warmup_bars(interval) for interval in ("1m", "5m", "15m", "1h")] == [60_000, 12_000, 4_000, 1_000]
    with pytest.raises(ValueError, match="interval must be one of"):
        warmup_bars("7m")


def test_a_hundred_thousand_bars_take_less_than_a_second():
    bars = short_bars(11, 100_000, minutes=15, volatility=0.001)
    calculate_features(bars)
    took = []
    for _ in range(3):
        begin = time.perf_counter()
        calculate_features(bars)
        took.append(time.perf_counter() - begin)
    assert min(took) < 1.0
