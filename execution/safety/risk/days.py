"""The days that losses are counted in: midnight to midnight in Europe/Prague, so 23, 24 or 25 hours.

All moments are aware and come back in UTC; every comparison is made there, where no hour is missing or doubled.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

LOSS_DAY_ZONE = ZoneInfo("Europe/Prague")  # FTMO's midnight
ONE_DAY = timedelta(days=1)


def loss_day(at: datetime) -> date:
    """Return the day that losses of a moment are counted in."""
    return at.astimezone(LOSS_DAY_ZONE).date()


def day_begin(day: date) -> datetime:
    """Return the midnight that a loss day begins with, in UTC. The zone never changes its offset at midnight."""
    return datetime.combine(day, time(), tzinfo=LOSS_DAY_ZONE).astimezone(UTC)


def last_reset(at: datetime) -> datetime:
    """Return the midnight at or before a moment."""
    return day_begin(loss_day(at))


def next_reset(at: datetime) -> datetime:
    """Return the first midnight after a moment."""
    return day_begin(loss_day(at) + ONE_DAY)


def is_reset_within(at: datetime, ahead: timedelta) -> bool:
    """Return whether the next midnight is at most ``ahead`` away."""
    return next_reset(at) - at <= ahead
