"""The broker's server clock: both ways, on the days on which clocks change, and against live ticks."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from market.errors import FeedReplyError
from market.feeds.server_time import (
    check_offset,
    measured_offset,
    offsets_s,
    server_moment_to_utc_ms,
    server_to_utc_ms,
    utc_to_server_s,
    zone_of,
)
from market.intervals import NO_TIME
from tests.market_builders import HOUR_MS, ms

NEW_YORK_7 = ""


def to_utc(zone: str, *server_times: str) -> list[str | None]:
    """Convert server times, given and returned as text."""
    seconds = np.array([ms(text) // 1000 for text in server_times], dtype=np.int64)
    return [
        None if t == NO_TIME else f"{datetime.fromtimestamp(t / 1000, UTC):%Y-%m-%dT%H:%M}"
        for t in server_to_utc_ms(seconds, zone).tolist()
    ]


# The United States changed on 14 March and 7 November 2021, at 07:00 and 06:00 UTC; Europe on 28 March and 31 October.
@pytest.mark.parametrize(
    ("utc", "hours"),
    [
        ("2021-01-15T12:00", 2),
        ("2021-03-14T06:59", 2),
        ("2021-03-14T07:00", 3),
        ("2021-03-20T12:00", 3),  # Europe is still in winter
        ("2021-07-01T12:00", 3),
        ("2021-10-31T12:00", 3),  # Europe is in winter again
        ("2021-11-07T05:59", 3),
        ("2021-11-07T06:00", 2),
    ],
)
def test_the_usual_server_follows_the_clock_changes_of_the_united_states(utc, hours):
    assert offsets_s(np.array([ms(utc) // 1000]), NEW_YORK_7).tolist() == [hours * 3600]


def test_the_offset_follows_the_rule_in_force_since_2007_on_every_day_to_2035():
    days = np.arange(ms("2018-01-01T12:00"), ms("2036-01-01T12:00"), 24 * HOUR_MS)
    by_rule = [3 if second_sunday(3, t) <= t < first_sunday(11, t) else 2 for t in days.tolist()]

    assert (offsets_s(days // 1000, NEW_YORK_7) // 3600).tolist() == by_rule


def second_sunday(month: int, t: int) -> int:
    return first_sunday(month, t) + 7 * 24 * HOUR_MS


def first_sunday(month: int, t: int) -> int:
    first = datetime(datetime.fromtimestamp(t / 1000, UTC).year, month, 1, tzinfo=UTC)
    return int(first.timestamp() * 1000) + (6 - first.weekday()) % 7 * 24 * HOUR_MS


@pytest.mark.parametrize("zone", [NEW_YORK_7, "GMT+3", "Europe/Athens", "America/New_York", "Asia/Kolkata"])
def test_hours_go_to_the_server_clock_and_back_unharmed_all_year(zone):
    utc = np.arange(ms("2021-01-01T00:00"), ms("2022-01-01T00:00"), HOUR_MS)

    assert (server_to_utc_ms(utc_to_server_s(utc, zone), zone) == utc).all()


def test_quarter_hours_of_a_repeated_hour_keep_their_order():
    utc = np.arange(ms("2021-11-07T03:00"), ms("2021-11-07T09:00"), HOUR_MS // 4)

    assert (server_to_utc_ms(utc_to_server_s(utc, NEW_YORK_7), NEW_YORK_7) == utc).all()


def test_a_repeated_hour_that_shows_once_is_its_first_showing():
    assert to_utc(NEW_YORK_7, "2021-11-07T07:00", "2021-11-07T08:00", "2021-11-07T09:00") == [
        "2021-11-07T04:00",
        "2021-11-07T05:00",
        "2021-11-07T07:00",
    ]


def test_an_hour_that_is_never_shown_is_marked_and_the_ones_around_it_are_placed():
    assert to_utc(NEW_YORK_7, "2021-03-14T08:00", "2021-03-14T09:00", "2021-03-14T10:00") == [
        "2021-03-14T06:00",
        None,
        "2021-03-14T07:00",
    ]


def test_an_european_server_changes_on_european_dates():
    assert to_utc("Europe/Athens", "2021-03-20T12:00", "2021-03-29T12:00") == ["2021-03-20T10:00", "2021-03-29T09:00"]


@pytest.mark.parametrize(("zone", "expected"), [("GMT+2", "2021-07-01T10:00"), ("GMT-5", "2021-07-01T17:00")])
def test_a_fixed_offset_has_the_sign_that_people_mean_and_no_summer(zone, expected):
    assert to_utc(zone, "2021-07-01T12:00") == [expected]
    # the names under Etc/ mean the opposite
    etc = ZoneInfo(f"Etc/{zone}").utcoffset(datetime(2021, 7, 1, tzinfo=UTC))
    assert etc == -zone_of(zone).utcoffset(None)


def test_an_unknown_zone_says_what_is_allowed():
    with pytest.raises(ValueError, match=r"no time zone 'Mars'.*GMT\+2"):
        zone_of("Mars")


def test_one_moment_of_a_repeated_hour_is_the_showing_near_the_present():
    shown = ms("2021-11-07T08:30") // 1000

    assert server_moment_to_utc_ms(shown, NEW_YORK_7) == ms("2021-11-07T05:30")
    assert server_moment_to_utc_ms(shown, NEW_YORK_7, near_ms=ms("2021-11-07T05:31")) == ms("2021-11-07T05:30")
    assert server_moment_to_utc_ms(shown, NEW_YORK_7, near_ms=ms("2021-11-07T06:31")) == ms("2021-11-07T06:30")


def test_one_moment_of_an_ordinary_hour_does_not_care_for_the_present():
    shown = ms("2021-07-07T08:30") // 1000

    assert server_moment_to_utc_ms(shown, NEW_YORK_7, near_ms=ms("2021-07-07T06:31")) == ms("2021-07-07T05:30")


def test_a_moment_that_a_late_broker_shows_is_read_with_the_old_offset():
    assert server_moment_to_utc_ms(ms("2021-03-14T09:05") // 1000, NEW_YORK_7) == ms("2021-03-14T07:05")


@pytest.mark.parametrize("age_s", [0.0, 3.0, 14.0])
def test_a_live_tick_measures_the_offset(age_s):
    now = ms("2021-07-01T12:00") / 1000

    assert measured_offset(now + 3 * 3600 - age_s, now) == 3 * 3600


def test_an_old_tick_measures_nothing():
    now = ms("2021-07-01T12:00") / 1000

    assert measured_offset(now + 3 * 3600 - 400, now) is None


def test_a_live_tick_on_another_clock_is_an_error_that_names_both():
    now = ms("2021-07-01T12:00") / 1000

    with pytest.raises(FeedReplyError, match=r"UTC\+2\.00 h, expected UTC\+3\.00 h"):
        check_offset(now + 2 * 3600 - 2, now, NEW_YORK_7)


def test_a_tick_from_the_future_is_an_error_however_old_it_is():
    now = ms("2021-07-01T12:00") / 1000

    with pytest.raises(FeedReplyError, match="MT5_TZ"):
        check_offset(now + 4 * 3600 - 700, now, NEW_YORK_7)


@pytest.mark.parametrize("age_s", [1.0, 100.0, 3700.0, 40 * 3600.0 + 100])
def test_a_tick_of_a_closed_market_passes(age_s):
    now = ms("2021-07-01T12:00") / 1000

    check_offset(now + 3 * 3600 - age_s, now, NEW_YORK_7)
