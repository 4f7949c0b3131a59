"""Hours of the week in which nothing is opened: a venue's break, the weekend, news."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
YESTERDAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """From ``begin`` until before ``end``, UTC; an end at or before the begin is the next day's."""

    begin: time
    end: time
    weekday: int | None = None  # of the begin, 0 is Monday; None is every day
    symbol: str = ""  # empty: all
    note: str = ""

    def __post_init__(self) -> None:
        if self.weekday is not None and not 0 <= self.weekday < len(DAYS):
            raise ValueError(f"a weekday must be from 0 (Monday) to 6 (Sunday), was {self.weekday}")

    def covers(self, symbol: str, at: datetime) -> bool:
        """Return whether nothing may be opened in ``symbol`` at a moment."""
        if self.symbol not in ("", symbol):
            return False
        moment = at.astimezone(UTC)
        now = moment.time()
        if self.begin < self.end:
            return self._begins_on(moment) and self.begin <= now < self.end
        return (self._begins_on(moment) and now >= self.begin) or (
            self._begins_on(moment - YESTERDAY) and now < self.end
        )

    def _begins_on(self, moment: datetime) -> bool:
        return self.weekday in (None, moment.weekday())

    def __str__(self) -> str:
        day = "every day" if self.weekday is None else DAYS[self.weekday]
        words = f"{day} {self.begin:%H:%M} to {self.end:%H:%M} UTC"
        return f"{words} ({self.note})" if self.note else words
