"""The days that losses are counted in, also those on which the clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from execution.safety.risk.days import day_begin, is_reset_within, last_reset, loss_day, next_reset

SECOND = timedelta(seconds=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# Summer time began on 2026-03-29 and ended on 2026-10-25, both at 01:00 UTC.
@pytest.mark.parametrize(
    ("day", "begin", "hours"),
    [
        ("2026-01-15", "2026-01-14T23:00", 24),
        ("2026-03-28", "2026-03-27T23:00", 24),
        ("2026-03-29", "2026-03-28T23:00", 23),
        ("2026-03-30", "2026-03-29T22:00", 24),
        ("2026-07-15", "2026-07-14T22:00", 24),
        ("2026-10-25", "2026-10-24T22:00", 25),
        ("2026-10-26", "2026-10-25T23:00", 24),
    ],
)
def test_a_day_begins_at_midnight_in_prague_and_has_its_hours(day, begin, hours):
    day_on, begin_at = date.fromisoformat(day), utc(begin)

    assert day_begin(day_on) == begin_at
    assert day_begin(day_on).utcoffset() == timedelta(0)
    assert next_reset(begin_at) - begin_at == timedelta(hours=hours)
    assert (loss_day(begin_at - SECOND), loss_day(begin_at)) == (day_on - timedelta(days=1), day_on)
    assert loss_day(next_reset(begin_at) - SECOND) == day_on
    assert last_reset(begin_at) == begin_at == last_reset(begin_at + SECOND)


@pytest.mark.parametrize("midnight", ["2026-01-14T23:00", "2026-07-14T22:00", "2026-03-29T22:00", "2026-10-25T23:00"])
def test_the_hour_before_midnight_is_an_hour_of_every_day(midnight):
    an_hour, reset = timedelta(hours=1), utc(midnight)

    assert not is_reset_within(reset - an_hour - SECOND, an_hour)
    assert is_reset_within(reset - an_hour, an_hour)
    assert is_reset_within(reset - SECOND, an_hour)
    assert not is_reset_within(reset, an_hour)
