"""The simulated market's clock: real time times a speed, kept in a file that every process reads.

    market = market_anchor + min(now - wall_anchor, 3 s) * speed        (market_anchor while paused or ended)

The running simulator moves both anchors once a second. When it dies, market time stops three seconds later for all
readers, and goes on from there when it is started again. Market time never goes back.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import RLock
from typing import Literal

from simulator.errors import ClockError
from simulator.files import write_json

MAX_SPEED = 240.0
ALIVE_S = 3.0  # how long readers go on without a fresh anchor
SAME_STAMP_S = 0.05  # two files written within a tick of the file system's clock can look alike

Mode = Literal["synthetic", "replay"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockState:
    """What the clock's file holds; anchors and start are UNIX seconds."""

    wall_anchor: float
    market_anchor: float
    speed: float
    paused: bool
    ended: bool
    start: float
    mode: Mode

    def market_s(self, wall_s: float) -> float:
        """Return the market time at a wall time."""
        if self.paused or self.ended:
            return self.market_anchor
        return self.market_anchor + min(max(0.0, wall_s - self.wall_anchor), ALIVE_S) * self.speed


class SimClock:
    """Market time from the clock's file; only the simulator's own process calls the methods that change it.

    Parameters
    ----------
    path : Path
        The clock's file.
    end_ms : int, optional
        Where the market ends: the clock stops there.
    wall : callable
        Returns the wall time in UNIX seconds.

    Raises
    ------
    ClockError
        On reading, if there is no file or it is no clock's.
    """

    def __init__(self, path: Path, *, end_ms: int | None = None, wall: Callable[[], float] = time.time) -> None:
        self.path = path
        self._end_s = float("inf") if end_ms is None else end_ms / 1000
        self._wall = wall
        self._lock = RLock()
        self._seen: tuple[int, int] | None = None
        self._state: ClockState | None = None
        self._latest_ms = 0

    def create(self, *, start_ms: int, speed: float, mode: Mode) -> None:
        """Write a new clock, paused at its start; a clock that exists already stays as it is."""
        if self.path.exists():
            return
        state = ClockState(
            wall_anchor=self._wall(),
            market_anchor=start_ms / 1000,
            speed=checked_speed(speed),
            paused=True,
            ended=False,
            start=start_ms / 1000,
            mode=mode,
        )
        self._write(state)

    @property
    def state(self) -> ClockState:
        """Return what the file holds now; it is read again only when it has been replaced."""
        try:
            stat = self.path.stat()
            seen = (stat.st_mtime_ns, stat.st_ino)
            settled = time.time() - stat.st_mtime > SAME_STAMP_S
            if self._state is None or seen != self._seen or not settled:
                self._state, self._seen = ClockState(**json.loads(self.path.read_text())), seen
        except (OSError, ValueError, TypeError) as error:
            raise ClockError(f"{self.path} is not a market clock ({error}): start `manage.py simulator`") from error
        return self._state

    def now_ms(self) -> int:
        """Return the market time, UTC milliseconds; never less than the last answer."""
        with self._lock:
            now_s = min(self.state.market_s(self._wall()), self._end_s)
            self._latest_ms = max(self._latest_ms, int(now_s * 1000 + 1e-3))
            return self._latest_ms

    @property
    def speed(self) -> float:
        """Return the seconds of market time in a second, while running."""
        return self.state.speed

    @property
    def paused(self) -> bool:
        """Return whether market time stands still: someone asked for it, or the market is over."""
        return self.state.paused

    @property
    def ended(self) -> bool:
        """Return whether the market is over."""
        return self.state.ended

    @property
    def is_new(self) -> bool:
        """Return whether market time has never moved."""
        return self.state.market_anchor == self.state.start

    def pause(self) -> None:
        """Hold market time where it is."""
        self._anchor(paused=True)

    def resume(self) -> None:
        """Let market time run again; ClockError when the market is over."""
        with self._lock:
            self._anchor()
            if self.state.ended:
                raise ClockError("the market is over: there is no time left to run")
            self._anchor(paused=False)

    def set_speed(self, speed: float) -> None:
        """Run at another speed from now on; ValueError unless it is above 0 and at most 240."""
        self._anchor(speed=checked_speed(speed))

    def step(self, until_ms: int) -> None:
        """Move market time forward to a moment, running or paused; past the market's end it stops there.

        Raises
        ------
        ClockError
            If the moment has passed: market time never goes back.
        """
        with self._lock:
            now_ms = self.now_ms()
            if until_ms < now_ms:
                raise ClockError(f"market time never goes back: it is {now_ms}, asked for {until_ms}")
            self._anchor(market_s=until_ms / 1000)

    def persist(self) -> None:
        """Move both anchors to now, so that readers see a living simulator."""
        self._anchor()

    def _anchor(self, *, market_s: float | None = None, speed: float | None = None, paused: bool | None = None) -> None:
        with self._lock:
            wall_s, state = self._wall(), self.state
            now_s = max(state.market_s(wall_s), self._latest_ms / 1000) if market_s is None else market_s
            ended = now_s >= self._end_s
            self._write(
                replace(
                    state,
                    wall_anchor=wall_s,
                    market_anchor=min(now_s, self._end_s),
                    speed=state.speed if speed is None else speed,
                    paused=ended or (state.paused if paused is None else paused),
                    ended=ended,
                )
            )

    def _write(self, state: ClockState) -> None:
        write_json(self.path, asdict(state), mode=0o644)
        self._state, self._seen = state, None  # read again: another simulator may have replaced it since


def checked_speed(speed: float) -> float:
    """Return the speed if processes can keep up with it."""
    if not 0 < speed <= MAX_SPEED:
        raise ValueError(f"speed must be above 0 and at most {MAX_SPEED:g}, was {speed:g}")
    return float(speed)
