"""Stored bars come back as frames: closed ones only, in UTC, joined on open time."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from market.bars import as_bars
from market.errors import DataMissingError, UnknownSymbolError
from market.models import Bar, Symbol
from market.services import default_symbols, get_binance_symbol, joined_bars, read_klines, read_mtbars
from market.store import store_rows
from market.tables import KLINES, RATES
from ops import clock
from tests.market_builders import HOUR, HOUR_MS, MONDAY, StoppedClock, change, make_raw

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def now():
    with clock.use(StoppedClock("2025-06-02T10:00")) as stopped:
        yield stopped


@pytest.fixture
def stored():
    default_symbols()
    later = MONDAY + 1000 * HOUR_MS
    store_rows(RATES, "BTCUSD", make_raw(24, klines=False), interval="1h", source="t", now_ms=later, replace=True)
    store_rows(KLINES, "BTCUSDT", make_raw(24), interval="1h", source="t", now_ms=later, replace=True)


def hours(frame) -> list[int]:
    return frame.index.hour.tolist()


@pytest.mark.usefixtures("stored")
def test_only_bars_that_have_ended_by_market_time_are_read(now):
    assert hours(joined_bars("BTCUSD")) == list(range(10))

    now.pass_by(timedelta(minutes=59, seconds=59))
    assert hours(joined_bars("BTCUSD"))[-1] == 9

    now.pass_by(timedelta(seconds=1))
    assert hours(joined_bars("BTCUSD"))[-1] == 10


@pytest.mark.usefixtures("stored")
def test_until_looks_from_an_earlier_moment_and_never_into_the_future(now):
    assert hours(joined_bars("BTCUSD", until=now.now - 3 * HOUR))[-1] == 6
    assert hours(joined_bars("BTCUSD", until=now.now + 3 * HOUR))[-1] == 9
    assert hours(read_mtbars("BTCUSD", until=now.now - 3 * HOUR))[-1] == 6
    assert hours(read_klines("BTCUSDT", until=now.now - 3 * HOUR))[-1] == 6


@pytest.mark.usefixtures("stored")
def test_limit_takes_the_newest(now):
    assert hours(joined_bars("BTCUSD", limit=3)) == [7, 8, 9]
    assert hours(read_mtbars("BTCUSD", 2)) == [8, 9]
    assert hours(read_klines("BTCUSDT", limit=2)) == [8, 9]
    assert hours(read_klines("BTCUSDT", since=now.now - 4 * HOUR)) == [6, 7, 8, 9]


@pytest.mark.usefixtures("stored")
def test_frames_are_utc_and_float_and_what_strategies_take():
    bars = joined_bars("BTCUSD")

    assert str(bars.index.tz) == "UTC"
    assert set(map(str, bars.dtypes)) == {"float64"}
    assert list(bars.columns) == ["open", "high", "low", "close", "tick_volume", "volume", "taker_buy_base_vol"]
    as_bars(bars)
    assert bars["tick_volume"].iloc[3] == 1003
    assert bars["volume"].iloc[3] == 13
    assert bars["taker_buy_base_vol"].iloc[3] == 8


@pytest.mark.usefixtures("stored")
def test_a_missing_kline_is_nan_and_a_kline_without_a_bar_is_dropped():
    KLINES.model.objects.filter(open_ms=MONDAY + 4 * HOUR_MS).delete()
    Bar.objects.filter(open_ms=MONDAY + 6 * HOUR_MS).delete()

    bars = joined_bars("BTCUSD")

    assert hours(bars) == [0, 1, 2, 3, 4, 5, 7, 8, 9]
    assert np.isnan(bars["volume"].iloc[4])
    assert np.isnan(bars["taker_buy_base_vol"].iloc[4])


def test_columns_that_no_source_brought_are_nan():
    default_symbols()
    raw = make_raw(5)
    del raw.columns["taker_buy_base_volume"]
    store_rows(KLINES, "BTCUSDT", raw, interval="1h", source="t", now_ms=2 * MONDAY, replace=True)
    rates = change(make_raw(5, klines=False), 2, spread=np.nan)
    store_rows(RATES, "BTCUSD", rates, interval="1h", source="t", now_ms=2 * MONDAY, replace=True)

    assert joined_bars("BTCUSD")["taker_buy_base_vol"].isna().all()
    assert read_klines("BTCUSDT")["n_trades"].isna().all()
    assert read_mtbars("BTCUSD")["spread"].isna().tolist() == [False, False, True, False, False]


def test_a_symbol_that_binance_does_not_list_has_no_such_columns():
    Symbol.objects.create(name="XAUUSD")
    store_rows(RATES, "XAUUSD", make_raw(5, klines=False), interval="1h", source="t", now_ms=2 * MONDAY, replace=True)

    assert list(joined_bars("XAUUSD").columns) == ["open", "high", "low", "close", "tick_volume"]
    assert get_binance_symbol("XAUUSD") == ""


def test_an_unknown_symbol_names_the_known_ones():
    default_symbols()

    with pytest.raises(UnknownSymbolError, match="no symbol 'DOGE'; known: BTCUSD, ETHUSD, BNBUSD"):
        joined_bars("DOGE")


def test_no_bars_are_an_error_that_says_what_to_do():
    default_symbols()

    with pytest.raises(DataMissingError, match=r"run `manage\.py data_update`"):
        joined_bars("BTCUSD")
    assert len(read_mtbars("BTCUSD")) == 0
    assert len(read_klines("BTCUSDT")) == 0


def test_the_first_symbols_are_registered_once_and_keep_what_a_person_changed():
    default_symbols()
    Symbol.objects.filter(name="BTCUSD").update(is_traded=False, binance_symbol="BTCUSDC")

    default_symbols()

    assert list(Symbol.objects.values_list("name", "binance_symbol", "is_traded")) == [
        ("BTCUSD", "BTCUSDC", False),
        ("ETHUSD", "ETHUSDT", True),
        ("BNBUSD", "BNBUSDT", True),
    ]


def test_a_change_of_a_symbol_is_remembered():
    symbol = default_symbols()[0]
    symbol.is_traded = False
    symbol.save()

    assert [past.is_traded for past in symbol.history.all()] == [False, True]


def test_a_year_of_joined_hours_is_read_in_milliseconds():
    import time

    default_symbols()
    start = MONDAY - 8760 * HOUR_MS
    store_rows(
        RATES,
        "BTCUSD",
        make_raw(8760, start=start, klines=False),
        interval="1h",
        source="t",
        now_ms=MONDAY,
        replace=True,
    )
    store_rows(KLINES, "BTCUSDT", make_raw(8760, start=start), interval="1h", source="t", now_ms=MONDAY, replace=True)
    joined_bars("BTCUSD", limit=5)

    started = time.process_time()
    bars = joined_bars("BTCUSD")
    assert len(bars) == 8760
    assert time.process_time() - started < 0.1  # 0.03 on an idle core
