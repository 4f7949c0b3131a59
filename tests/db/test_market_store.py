"""Rows go in once, whole and checked; what does not stand is in quarantine."""

from __future__ import annotations

import numpy as np
import pytest
from django.db import IntegrityError

from market.errors import BarsError
from market.models import Bar, Kline, QuarantinedRow
from market.raw import joined
from market.store import store_rows
from market.tables import KLINES, RATES
from tests.market_builders import HOUR_MS, MONDAY, change, make_raw

pytestmark = pytest.mark.django_db

LATER = MONDAY + 10_000 * HOUR_MS


def store(raw, *, table=KLINES, source="binance", replace=True, now_ms=LATER, **options):
    symbol = "BTCUSDT" if table is KLINES else "BTCUSD"
    return store_rows(table, symbol, raw, interval="1h", source=source, now_ms=now_ms, replace=replace, **options)


def counts(stored) -> tuple[int, int, int, int]:
    return stored.inserted, stored.changed, stored.unchanged, stored.n_quarantined


def test_rows_are_stored_with_their_columns():
    assert counts(store(make_raw(5))) == (5, 0, 0, 0)

    row = Kline.objects.get(open_ms=MONDAY + HOUR_MS)
    assert (row.symbol, row.interval, row.open, row.high, row.low, row.close) == ("BTCUSDT", "1h", 101, 103, 100, 102)
    assert (row.volume, row.taker_buy_base_volume, row.quote_volume) == (11, 6, None)
    assert f"{row.open_at:%Y-%m-%d %H:%M}" == "2025-06-02 01:00"


def test_rates_have_whole_numbers_and_unknown_spreads():
    store(make_raw(3, klines=False, spread=[5.0, np.nan, 7.0]), table=RATES)

    assert list(Bar.objects.values_list("tick_volume", "spread", "real_volume")) == [
        (1000, 5, None),
        (1001, None, None),
        (1002, 7, None),
    ]


def test_storing_twice_changes_nothing():
    raw = make_raw(20)
    store(raw)
    before = list(Kline.objects.values())

    assert counts(store(raw)) == (0, 0, 20, 0)
    assert list(Kline.objects.values()) == before


def test_a_mixed_batch_is_counted_by_what_became_of_each_row():
    store(make_raw(10))

    mixed = change(make_raw(12), 4, close=104.5)

    assert counts(store(mixed)) == (2, 1, 9, 1)  # the old version is kept
    assert Kline.objects.get(open_ms=MONDAY + 4 * HOUR_MS).close == 104.5


def test_a_feeds_revision_replaces_the_bar_and_keeps_the_old_one():
    store(make_raw(10))

    stored = store(change(make_raw(10), 4, close=104.5))

    assert stored.differing == (MONDAY + 4 * HOUR_MS,)
    kept = QuarantinedRow.objects.get()
    assert kept.reason == "stored before the source revised it"
    assert kept.row["close"] == 105


@pytest.mark.parametrize("replace", [True, False])
def test_a_partial_row_does_not_erase_what_a_fuller_one_brought(replace):
    store(make_raw(6))
    partial = make_raw(6)
    del partial.columns["taker_buy_base_volume"]

    assert counts(store(partial, replace=replace)) == (0, 0, 6, 0)
    assert list(Kline.objects.values_list("taker_buy_base_volume", flat=True)) == [5, 6, 7, 8, 9, 10]


@pytest.mark.parametrize("replace", [True, False])
def test_a_row_with_an_empty_column_does_not_erase_it_either(replace):
    store(make_raw(3))

    store(change(make_raw(3), 1, taker_buy_base_volume=np.nan), replace=replace)

    assert Kline.objects.get(open_ms=MONDAY + HOUR_MS).taker_buy_base_volume == 6


@pytest.mark.parametrize("replace", [True, False])
def test_a_fuller_row_fills_what_a_partial_one_left_open(replace):
    partial = make_raw(6)
    del partial.columns["taker_buy_base_volume"]
    store(partial)

    stored = store(make_raw(6), replace=replace)

    assert counts(stored) == (0, 6, 0, 0)
    assert stored.differing == ()
    assert Kline.objects.filter(taker_buy_base_volume=None).count() == 0


def test_a_file_never_overwrites_a_bar_that_differs():
    store(make_raw(10))

    stored = store(change(make_raw(10), 4, close=104.5), source="file.csv", replace=False)

    assert counts(stored) == (0, 0, 9, 1)
    assert stored.differing == (MONDAY + 4 * HOUR_MS,)
    assert Kline.objects.get(open_ms=MONDAY + 4 * HOUR_MS).close == 105
    kept = QuarantinedRow.objects.get()
    assert (kept.reason, kept.row["close"], kept.source) == ("differs from the stored bar", 104.5, "file.csv")


def test_a_file_that_disagrees_about_taker_volume_fills_nothing_from_that_row():
    raw = change(make_raw(4, quote_volume=[1.0, 2.0, 3.0, 4.0]), 2, taker_buy_base_volume=1.0)
    store(make_raw(4))

    store(raw, replace=False)

    row = Kline.objects.get(open_ms=MONDAY + 2 * HOUR_MS)
    assert (row.taker_buy_base_volume, row.quote_volume) == (7, None)
    assert Kline.objects.exclude(quote_volume=None).count() == 3


def test_a_files_rounded_extra_column_does_not_replace_the_stored_one():
    store(make_raw(3, quote_volume=[1.23456, 2.34567, 3.45678]))

    stored = store(make_raw(3, quote_volume=[1.23, 2.35, 3.46]), replace=False)

    assert counts(stored) == (0, 0, 3, 0)
    assert list(Kline.objects.values_list("quote_volume", flat=True)) == [1.23456, 2.34567, 3.45678]


def test_a_file_about_other_bars_is_refused_whole():
    store(make_raw(48))

    with pytest.raises(BarsError, match="48 of the 48 bars that are already stored for BTCUSDT differ"):
        store(make_raw(60, price=200.0), replace=False)

    assert Kline.objects.count() == 48
    assert QuarantinedRow.objects.count() == 0


def test_bad_rows_are_quarantined_and_the_good_ones_stored():
    raw = change(change(make_raw(10), 3, high=50.0), 7, taker_buy_base_volume=np.inf)

    stored = store(raw)

    assert counts(stored) == (8, 0, 0, 2)
    assert stored.quarantined == {"open or close outside low..high": 1, "not a finite number": 1}
    rows = {row.reason: row for row in QuarantinedRow.objects.all()}
    assert rows["open or close outside low..high"].row["high"] == 50.0
    assert rows["open or close outside low..high"].open_ms == MONDAY + 3 * HOUR_MS
    assert rows["not a finite number"].row["taker_buy_base_volume"] == "inf"


def test_a_bad_row_is_kept_once_however_often_it_comes():
    raw = change(make_raw(10), 3, high=50.0)

    store(raw)
    store(raw)

    assert QuarantinedRow.objects.count() == 1


def test_a_row_without_a_time_in_utc_is_kept_under_its_servers_time():
    raw = change(make_raw(4, klines=False, server_s=MONDAY / 1000 + 3600 * np.arange(4)), 1, open_ms=-1)

    assert counts(store(raw, table=RATES)) == (3, 0, 0, 1)

    kept = QuarantinedRow.objects.get()
    assert (kept.open_ms, kept.open_text) == (None, "server time 2025-06-02 01:00")


def test_an_unfinished_bar_is_not_stored():
    stored = store(make_raw(3), now_ms=MONDAY + 3 * HOUR_MS - 1)

    assert counts(stored) == (2, 0, 0, 1)
    assert Kline.objects.count() == 2


def test_a_spike_is_measured_against_the_stored_bars():
    store(make_raw(10))

    stored = store(make_raw(1, start=MONDAY + 10 * HOUR_MS, price=9000.0))

    assert stored.quarantined == {"price jump beyond a factor of 10": 1}


def test_an_old_price_says_nothing_about_a_new_one():
    store(make_raw(10))

    assert counts(store(make_raw(10, start=MONDAY + 5000 * HOUR_MS, price=9000.0))) == (10, 0, 0, 0)


def test_a_dry_run_counts_and_changes_nothing():
    store(make_raw(5))

    stored = store(change(make_raw(8), 6, high=1.0), dry_run=True)

    assert counts(stored) == (2, 0, 5, 1)
    assert Kline.objects.count() == 5
    assert QuarantinedRow.objects.count() == 0


def test_no_rows_are_fine():
    assert counts(store(make_raw(0))) == (0, 0, 0, 0)


def test_symbols_and_intervals_are_apart():
    store(make_raw(4))
    store_rows(KLINES, "ETHUSDT", make_raw(4), interval="1h", source="binance", now_ms=LATER, replace=True)

    assert Kline.objects.count() == 8
    assert counts(store(joined([make_raw(4), make_raw(2, start=MONDAY + 4 * HOUR_MS)]))) == (2, 0, 4, 0)


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"high": 99.0}, "high_is_highest"),
        ({"low": 101.5}, "low_is_lowest"),
        ({"low": 0.0}, "prices_above_0"),
        ({"volume": -1.0}, "volume_not_negative"),
    ],
)
def test_the_database_itself_refuses_what_is_no_bar(values, rule):
    good = {"symbol": "X", "interval": "1h", "open_ms": MONDAY, "open": 100, "high": 102, "low": 99, "close": 101}

    with pytest.raises(IntegrityError, match=f"kline_{rule}"):
        Kline.objects.create(**(good | {"volume": 1} | values))


def test_storing_is_several_times_as_fast_as_the_orm():
    import time

    raw = make_raw(4000)
    started = time.process_time()
    store(raw)
    ours = time.process_time() - started
    rows = [
        Kline(symbol="ETHUSDT", interval="1h", open_ms=t, open=o, high=h, low=lo, close=c, volume=v)
        for t, o, h, lo, c, v in zip(
            *(raw.open_ms.tolist(), *(raw[name].tolist() for name in ("open", "high", "low", "close", "volume"))),
            strict=True,
        )
    ]
    started = time.process_time()
    Kline.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["symbol", "interval", "open_ms"], update_fields=["open", "close"]
    )
    orm = time.process_time() - started

    assert orm > 3 * ours  # 7 to 10 on 46,330 rows, checks included; less is asked of a busy machine
