"""The only place that asks the time.

``market_now`` dates bars, slots, days and resets; in the demo it is the simulator's clock, accelerated and able to
pause. ``mono`` is real and never accelerated: deadlines, leases, heartbeats. ``wall_now`` stamps what a person reads
about processes. Times are aware UTC.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from ops.errors import DeskError, ExitCode

# A dead simulator stops market time this long after its last sign of life, so that a restart loses nothing.
MAX_EXTRAPOLATION_S = 3.0


class Clock(Protocol):
    """What tells the time to everything above."""

    def market_now(self) -> datetime: ...

    def wall_now(self) -> datetime: ...

    def mono(self) -> float: ...

    def speed(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The clock of ``paper`` and ``live``: the market's time is the world's."""

    def market_now(self) -> datetime:
        return self.wall_now()

    def wall_now(self) -> datetime:
        return datetime.now(UTC)

    def mono(self) -> float:
        return time.monotonic()

    def speed(self) -> float:
        return 1.0

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Anchor:
    """A moment at which wall time and market time are both known, in unix seconds."""

    wall: float
    market: float
    speed: float
    paused: bool
    ended: bool

    def market_at(self, wall: float) -> float:
        elapsed = 0.0 if self.paused else min(max(wall - self.wall, 0.0), MAX_EXTRAPOLATION_S)
        return self.market + elapsed * self.speed


class SimulatedClock(SystemClock):
    """The demo's clock: read from the file that the simulator alone writes.

    Raises
    ------
    ClockMissingError
        No simulator has ever run on this state.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp = (0, 0)
        self._anchor: Anchor | None = None

    def market_now(self) -> datetime:
        return datetime.fromtimestamp(self.anchor().market_at(time.time()), UTC)

    def speed(self) -> float:
        anchor = self.anchor()
        return 0.0 if anchor.paused or anchor.ended else anchor.speed

    def anchor(self) -> Anchor:
        """Return the last published anchor; the file is read again only when it changed."""
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            raise ClockMissingError(
                f"no simulated clock at {self.path.name}: start it with `manage.py up` or `manage.py simulator`"
            ) from None
        stamp = (stat.st_mtime_ns, stat.st_ino)
        if self._anchor is None or stamp != self._stamp:
            self._anchor, self._stamp = read_anchor(self.path), stamp
        return self._anchor


class ClockMissingError(DeskError):
    """The demo's market time is not known because its simulator never ran."""

    exit_code = ExitCode.UNREACHABLE


def read_anchor(path: Path) -> Anchor:
    """Return what the simulator wrote."""
    fields = json.loads(path.read_text())
    return Anchor(
        wall=fields["wall_anchor"],
        market=fields["market_anchor"],
        speed=fields["speed"],
        paused=fields["paused"],
        ended=fields.get("ended", False),
    )


class _Current:
    """Holds the clock of this process, chosen from the settings at first use."""

    clock: Clock | None = None


def current() -> Clock:
    """Return this process's clock."""
    if _Current.clock is None:
        _Current.clock = _from_settings()
    return _Current.clock


def _from_settings() -> Clock:
    from django.conf import settings

    if settings.TRADING_MODE == "demo":
        return SimulatedClock(Path(settings.SIM_DIR) / "clock.json")
    return SystemClock()


@contextmanager
def use(clock: Clock) -> Iterator[Clock]:
    """Let ``clock`` tell the time inside the block: tests and replays."""
    before, _Current.clock = _Current.clock, clock
    try:
        yield clock
    finally:
        _Current.clock = before


def market_now() -> datetime:
    """Return the market's time: bars, slots, days, resets."""
    return current().market_now()


def wall_now() -> datetime:
    """Return the world's time: when a process did something."""
    return current().wall_now()


def mono() -> float:
    """Return seconds on this machine's clock that nobody can set: deadlines, leases, heartbeats."""
    return current().mono()


def speed() -> float:
    """Return market seconds per real second; 0 while the market's clock stands."""
    return current().speed()


def sleep(seconds: float) -> None:
    """Wait for real seconds, or let a virtual clock pass them."""
    current().sleep(seconds)
