"""Raw rows are split into bars and rows to quarantine, each with its reason."""

from __future__ import annotations

import numpy as np
import pytest

from market.intervals import INTERVAL_MS, bars_behind, newest_closed_open_ms
from market.quality import check_rows, find_gaps
from market.raw import RawBars, joined
from tests.market_builders import HOUR_MS, MONDAY, change, make_raw, ms


def test_good_rows_pass_unchanged():
    raw = make_raw(50)

    checked = check_rows(raw, interval="1h")

    assert len(checked.bad) == 0
    np.testing.assert_array_equal(checked.good.open_ms, raw.open_ms)
    np.testing.assert_array_equal(checked.good["close"], raw["close"])


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"close": np.nan}, "not a finite number"),
        ({"high": np.inf}, "not a finite number"),
        ({"volume": np.nan}, "not a finite number"),
        ({"taker_buy_base_volume": np.inf}, "not a finite number"),
        ({"low": 0.0}, "price not above 0"),
        ({"open": -5.0}, "price not above 0"),
        ({"volume": -1.0}, "negative volume"),
        ({"taker_buy_base_volume": -1.0}, "negative volume"),
        ({"high": 101.0, "close": 102.0}, "open or close outside low..high"),
        ({"low": 103.5}, "open or close outside low..high"),
        ({"taker_buy_base_volume": 11.0, "volume": 10.0}, "taker volume above volume"),
        ({"open_ms": MONDAY + 3 * HOUR_MS + 28 * 60_000}, "open time not on the interval's grid"),
        ({"open_ms": -1}, "at a time that the server's clock never shows"),
        ({"open": 2000.0, "high": 2002.0, "low": 1999.0, "close": 2001.0}, "price jump beyond a factor of 10"),
        ({"low": 3.0}, "price jump beyond a factor of 10"),
    ],
)
def test_a_bad_row_is_quarantined_with_its_reason_and_the_others_stay(values, reason):
    checked = check_rows(change(make_raw(10), 3, **values), interval="1h")

    assert checked.reasons == (reason,)
    assert len(checked.good) == 9
    assert checked.bad.row(0)["open"] == values.get("open", 103.0)


def test_a_missing_taker_volume_is_no_fault():
    checked = check_rows(change(make_raw(5), 2, taker_buy_base_volume=np.nan), interval="1h")

    assert checked.reasons == ()


def test_a_row_that_ends_after_now_is_unfinished():
    raw = make_raw(3)

    assert check_rows(raw, interval="1h", now_ms=MONDAY + 3 * HOUR_MS).reasons == ()
    forming = check_rows(raw, interval="1h", now_ms=MONDAY + 3 * HOUR_MS - 1)
    assert forming.reasons == ("unfinished when it was taken",)
    assert forming.bad.open_ms.tolist() == [MONDAY + 2 * HOUR_MS]


def test_rows_out_of_order_are_sorted_and_counted():
    raw = make_raw(5).take(np.array([0, 3, 1, 2, 4]))

    checked = check_rows(raw, interval="1h")

    assert checked.n_reordered == 1
    assert checked.good.open_ms.tolist() == sorted(raw.open_ms.tolist())


def test_of_equal_rows_one_is_kept():
    raw = make_raw(4)

    checked = check_rows(joined([raw, raw.take(np.array([1, 1]))]), interval="1h")

    assert checked.reasons == ("repeated row", "repeated row")
    assert checked.good.open_ms.tolist() == raw.open_ms.tolist()


def test_of_different_rows_of_one_time_none_is_kept():
    raw = make_raw(4)
    other = change(raw, 2, close=102.5).take(np.array([2]))

    checked = check_rows(joined([raw, other]), interval="1h")

    assert checked.reasons == ("rows of the same time disagree",) * 2
    assert checked.bad["close"].tolist() == [raw["close"][2], 102.5]
    assert len(checked.good) == 3


def test_a_bad_copy_does_not_drag_the_good_one_down():
    raw = make_raw(4)
    broken = change(raw, 2, close=np.nan).take(np.array([2]))

    checked = check_rows(joined([raw, broken]), interval="1h")

    assert checked.reasons == ("not a finite number",)
    assert len(checked.good) == 4


def test_a_lone_new_bar_is_measured_against_the_stored_closes():
    spike = make_raw(1, price=5000.0)

    assert check_rows(spike, interval="1h", before=np.full(4, 100.0)).reasons == ("price jump beyond a factor of 10",)
    assert check_rows(spike, interval="1h").reasons == ()  # nothing to compare it with


def test_a_lasting_change_of_level_is_accepted():
    raw = joined([make_raw(20), make_raw(20, start=MONDAY + 20 * HOUR_MS, price=5000.0)])

    assert check_rows(raw, interval="1h").reasons == ()


def test_a_fall_by_half_in_an_hour_is_a_market_and_no_fault():
    raw = joined([make_raw(5), make_raw(5, start=MONDAY + 5 * HOUR_MS, price=50.0)])

    assert check_rows(raw, interval="1h").reasons == ()


def test_no_rows_are_fine():
    checked = check_rows(make_raw(0), interval="1h", now_ms=0)

    assert len(checked.good) == len(checked.bad) == 0


def test_a_row_becomes_json_without_what_json_cannot_hold():
    raw = change(change(make_raw(1), 0, close=np.inf), 0, taker_buy_base_volume=np.nan)

    row = raw.row(0)

    assert row["close"] == "inf"
    assert row["taker_buy_base_volume"] is None
    assert row["open_ms"] == MONDAY


def test_gaps_say_where_and_how_many():
    raw = make_raw(10).take(np.array([0, 1, 2, 6, 7, 9]))

    gaps = find_gaps(raw.open_ms, HOUR_MS)

    assert [(gap.after_ms, gap.until_ms, gap.n_missing) for gap in gaps] == [
        (MONDAY + 2 * HOUR_MS, MONDAY + 6 * HOUR_MS, 3),
        (MONDAY + 7 * HOUR_MS, MONDAY + 9 * HOUR_MS, 1),
    ]


def test_an_unknown_interval_says_which_are_known():
    with pytest.raises(ValueError, match=r"must be one of 1m, .*, was '7m'"):
        check_rows(make_raw(1), interval="7m")


def test_the_newest_closed_bar_is_the_one_before_the_present_one():
    assert newest_closed_open_ms("1h", ms("2025-06-02T10:00")) == ms("2025-06-02T09:00")
    assert newest_closed_open_ms("1h", ms("2025-06-02T10:59")) == ms("2025-06-02T09:00")
    assert bars_behind("1h", ms("2025-06-02T07:00"), ms("2025-06-02T10:30")) == 2
    assert bars_behind("1h", ms("2025-06-02T10:00"), ms("2025-06-02T10:30")) == 0


def test_checking_a_year_of_hours_takes_milliseconds():
    import time

    n_bars = 8760
    rng = np.random.default_rng(1)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, n_bars)))
    raw = RawBars(
        MONDAY + HOUR_MS * np.arange(n_bars),
        {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close, "volume": close},
    )

    started = time.process_time()
    assert check_rows(raw, interval="1h").reasons == ()
    assert time.process_time() - started < 0.25
    assert set(INTERVAL_MS) >= {"15m", "1h"}
