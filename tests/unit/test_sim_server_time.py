"""The simulated broker's clock is New York + 7 h, on American dates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from simulator.server_time import (
    DAY_MS,
    HOUR_MS,
    next_midnight_ms,
    server_times_ms,
    to_server_ms,
    to_server_s,
    to_utc_ms,
    utc_times_ms,
)
from tests.sim_builders import moment

NEW_YORK = ZoneInfo("America/New_York")


def wall(text: str) -> int:
    return moment(text)  # the server's clock is written as if it were UTC


@pytest.mark.parametrize("year", range(2007, 2038))
def test_the_offset_is_new_yorks_plus_seven_hours_around_both_switches(year):
    for month in (3, 11):
        start = datetime(year, month, 1, tzinfo=UTC)
        for hours in range(0, 15 * 24):
            t = start + timedelta(hours=hours)
            shown = t.astimezone(NEW_YORK).replace(tzinfo=UTC) + timedelta(hours=7)
            assert to_server_ms(round(t.timestamp() * 1000)) == round(shown.timestamp() * 1000), t


@pytest.mark.parametrize(
    ("utc", "server"),
    [
        ("2026-01-05T22:00", "2026-01-06T00:00"),
        ("2026-03-08T06:59", "2026-03-08T08:59"),
        ("2026-03-08T07:00", "2026-03-08T10:00"),
        ("2026-03-29T12:00", "2026-03-29T15:00"),  # Europe switches: nothing happens
        ("2026-11-01T05:59", "2026-11-01T08:59"),
        ("2026-11-01T06:00", "2026-11-01T08:00"),
    ],
)
def test_known_moments(utc, server):
    assert to_server_ms(moment(utc)) == wall(server)
    assert to_server_s(moment(utc)) == wall(server) // 1000


def test_going_to_utc_and_back_changes_nothing_but_the_hour_that_is_left_out():
    hours = np.arange(moment("2018-01-01T00:00"), moment("2035-12-31T00:00"), HOUR_MS)
    back = server_times_ms(utc_times_ms(hours))
    assert ((back - hours)[back != hours] == HOUR_MS).all()
    assert (back != hours).sum() == 18  # one an American spring


def test_an_hour_shown_twice_means_its_first_showing():
    assert to_utc_ms(wall("2026-11-01T08:30")) == moment("2026-11-01T05:30")
    assert to_utc_ms(wall("2026-11-01T09:00")) == moment("2026-11-01T07:00")


def test_arrays_and_single_moments_agree():
    t = np.arange(moment("2026-01-01T00:00"), moment("2027-01-01T00:00"), HOUR_MS // 2)
    assert server_times_ms(t).tolist() == [to_server_ms(int(x)) for x in t]
    assert utc_times_ms(t).tolist() == [to_utc_ms(int(x)) for x in t]


def test_days_have_23_hours_in_march_and_25_in_november():
    lengths = {}
    t = next_midnight_ms(moment("2026-01-01T00:00"))
    while t < moment("2026-12-30T00:00"):
        following = next_midnight_ms(t)
        assert to_server_ms(following) % DAY_MS == 0
        lengths[to_server_ms(t)] = (following - t) // HOUR_MS
        t = following
    odd = {day: hours for day, hours in lengths.items() if hours != 24}
    assert odd == {wall("2026-03-08T00:00"): 23, wall("2026-11-01T00:00"): 25}
