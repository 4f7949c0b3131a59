"""When the setup bot acts, and on which bar: once for every bar of its interval, shortly after that has closed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A venue shows a bar as closed with the first tick after it; that takes it a few seconds.
AFTER_CLOSE = timedelta(seconds=5)


def newest_closed_bar(now: datetime, length: timedelta) -> datetime:
    """Return the open time of the newest bar of a length that is closed at ``now``.

    >>> str(newest_closed_bar(datetime(2025, 1, 1, 14, 15, tzinfo=UTC), timedelta(minutes=15)))
    '2025-01-01 14:00:00+00:00'
    >>> str(newest_closed_bar(datetime(2025, 1, 1, 14, 14, 59, tzinfo=UTC), timedelta(minutes=15)))
    '2025-01-01 13:45:00+00:00'
    """
    return EPOCH + ((now - EPOCH) // length - 1) * length


@dataclass(frozen=True, slots=True, kw_only=True)
class BotSlot:
    """The turn to act on one closed bar."""

    interval: str  # like 15m
    length: timedelta
    bar_at: datetime  # open time

    @property
    def key(self) -> str:
        """The slot's name in run keys."""
        return f"{self.interval}:{self.bar_at:%Y-%m-%dT%H:%M}"

    @property
    def at(self) -> datetime:
        """When it acts."""
        return self.bar_at + self.length + AFTER_CLOSE

    def is_too_late(self, now: datetime) -> bool:
        """Return whether a newer bar has closed."""
        return newest_closed_bar(now, self.length) > self.bar_at


def slot_at(now: datetime, interval: str, length: timedelta) -> BotSlot:
    """Return the slot of the newest closed bar."""
    return BotSlot(interval=interval, length=length, bar_at=newest_closed_bar(now, length))


def slot_named(key: str, length: timedelta) -> BotSlot:
    """Return the slot of a key made by ``BotSlot.key``."""
    interval, _, moment = key.partition(":")
    return BotSlot(interval=interval, length=length, bar_at=datetime.fromisoformat(f"{moment}:00+00:00"))
