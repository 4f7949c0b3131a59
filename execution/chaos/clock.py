"""One virtual clock for everything: it moves only when somebody waits, so a month takes minutes and repeats itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

TICK = timedelta(milliseconds=1)


class VirtualClock:
    """The market's clock, the machine's and the world's in one.

    Parameters
    ----------
    now : datetime
        UTC, where the simulated world stands.
    step : callable
        Moves that world to a moment.
    """

    def __init__(self, now: datetime, step: Callable[[datetime], None]) -> None:
        self._now = now
        self._step = step

    def market_now(self) -> datetime:
        return self._now

    def wall_now(self) -> datetime:
        return self._now

    def mono(self) -> float:
        return self._now.timestamp()

    def speed(self) -> float:
        return 1.0

    def sleep(self, seconds: float) -> None:
        """Let time pass, at least a millisecond: the world counts no less."""
        self.sleep_until(self._now + max(timedelta(milliseconds=round(seconds * 1000)), TICK))

    def sleep_until(self, moment: datetime) -> None:
        """Let time pass until a moment; one that has passed is now."""
        if moment > self._now:
            self._now = moment  # before the world lives through it: it may ask
            self._step(moment)
