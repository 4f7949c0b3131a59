"""When the hourly session acts, and on which bar: pure arithmetic on aware UTC times.

The source's ``onhour_offset`` waits until ``H:01:00 + offset``: 45 seconds after the bar closed by default. In the hour
before the market's daily break it is five minutes earlier, *instead of* that hour's own slot.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

HOUR = timedelta(hours=1)
ON_HOUR = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotRule:
    """The offsets of the session's settings."""

    offset: timedelta = timedelta(seconds=-15)
    early_hour: int = 22  # UTC
    early_offset: timedelta = timedelta(minutes=-5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One hour's turn to act."""

    hour: datetime  # the hour it belongs to: names the slot
    at: datetime  # when it acts

    @property
    def key(self) -> str:
        """The slot's name in run and intent keys."""
        return f"{self.hour:%Y-%m-%dT%H}"

    @property
    def bar_at(self) -> datetime:
        """Open time of the newest bar that is closed when the slot acts."""
        return floor_hour(self.at) - HOUR


def floor_hour(moment: datetime) -> datetime:
    """Return the start of the hour that ``moment`` is in."""
    return moment.replace(minute=0, second=0, microsecond=0)


def slot_of(hour: datetime, rule: SlotRule) -> Slot:
    """Return the slot that belongs to an hour.

    >>> from datetime import UTC
    >>> str(slot_of(datetime(2025, 1, 1, 14, tzinfo=UTC), SlotRule()).at)
    '2025-01-01 14:00:45+00:00'
    >>> str(slot_of(datetime(2025, 1, 1, 22, tzinfo=UTC), SlotRule()).at)
    '2025-01-01 21:55:45+00:00'
    """
    early = rule.early_offset if hour.hour == rule.early_hour else timedelta(0)
    return Slot(hour=hour, at=hour + ON_HOUR + rule.offset + early)


def next_slot(now: datetime, rule: SlotRule) -> Slot:
    """Return the first slot that acts at or after ``now``."""
    candidates = (slot_of(floor_hour(now) + n * HOUR, rule) for n in range(-1, 4))
    return min((slot for slot in candidates if slot.at >= now), key=lambda slot: slot.at)


def previous_slot(now: datetime, rule: SlotRule) -> Slot:
    """Return the last slot that acted before ``now``."""
    candidates = (slot_of(floor_hour(now) + n * HOUR, rule) for n in range(-3, 3))
    return max((slot for slot in candidates if slot.at < now), key=lambda slot: slot.at)


def slot_named(key: str, rule: SlotRule) -> Slot:
    """Return the slot of a key made by ``Slot.key``."""
    return slot_of(datetime.fromisoformat(f"{key}:00:00+00:00"), rule)


def is_too_late(slot: Slot, now: datetime) -> bool:
    """Return whether the slot's bar is no longer the newest closed one."""
    return floor_hour(now) - HOUR > slot.bar_at
