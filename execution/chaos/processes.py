"""A desk of real processes, started by ``manage.py up`` on the state of this process, and its disturbance."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any, TypeVar

import psutil
import requests
from django.conf import settings

from execution.errors import ExecutionError

T = TypeVar("T")
UP_WITHIN_S, STOP_WITHIN_S, LOOK_EVERY_S = 180.0, 15.0, 0.05
ALIVE_S = 3.0  # no sign of life of the sentinel is older


@dataclass
class RealDesk:
    """Everything that ``up`` runs.

    Attributes
    ----------
    seen : set of psutil.Process
        Who has ever been one of them: each is ended at the end.
    """

    up: subprocess.Popen[bytes]
    log: IO[bytes]
    seen: set[psutil.Process] = field(default_factory=set)

    def family(self) -> set[psutil.Process]:
        """Return ``up`` and everything below it."""
        try:
            leader = psutil.Process(self.up.pid)
            family = {leader, *leader.children(recursive=True)}
        except psutil.NoSuchProcess:
            return set()
        self.seen |= family
        return family

    def group(self, name: str) -> list[psutil.Process]:
        """Return the process that runs under a name and everything below it; none while it is being started."""
        try:
            groups = json.loads((Path(settings.RUN_DIR) / "up.json").read_text())["groups"]
            leader = psutil.Process(groups[name]["pid"])
            return [leader, *leader.children(recursive=True)]
        except (OSError, ValueError, KeyError, psutil.NoSuchProcess):
            return []

    def is_ready(self) -> bool:
        """Return whether site and sentinel answer."""
        if self.up.poll() is not None:
            raise ExecutionError(f"`up` ended with {self.up.poll()}: see {self.log.name}")
        try:
            health = requests.get(f"http://127.0.0.1:{settings.PORT}/healthz", timeout=5)
        except requests.RequestException:
            return False
        age_s = health.json()["sentinel_age_s"] if health.ok else None
        self.family()
        return age_s is not None and age_s < ALIVE_S

    def end(self) -> None:
        """Leave nothing behind, whatever state it is in."""
        everyone = self.family() | self.seen
        self.up.send_signal(signal.SIGINT)
        _, alive = psutil.wait_procs(everyone, timeout=STOP_WITHIN_S)
        for process in alive:
            process.kill()
        self.up.wait()
        self.log.close()


@contextmanager
def real_desk() -> Iterator[RealDesk]:
    """Start everything for the block, and end all of it after.

    Raises
    ------
    ExecutionError
        It did not come up.
    """
    path = Path(settings.STATE_DIR) / "logs" / "chaos-up.log"
    with path.open("ab") as log:
        command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "up"]
        up = subprocess.Popen(  # noqa: S603  # our own command
            command, cwd=settings.BASE_DIR, env=dict(os.environ), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        desk = RealDesk(up, log)
        try:
            until(desk.is_ready, "site and sentinel", within_s=UP_WITHIN_S)
            yield desk
        finally:
            desk.end()


class MarketHand:
    """A hand on the clock of the running simulator, through its own control endpoint."""

    def now(self) -> datetime:
        """Return the market's time."""
        return datetime.fromisoformat(self._ask("GET", "status")["market_time"])

    def step_to(self, moment: datetime) -> None:
        """Move on to a moment."""
        self._ask("POST", "step", until=moment.isoformat())

    def pace(self, speed: float) -> None:
        """Let time run so many times faster than ours."""
        self._ask("POST", "speed", speed=speed)

    def _ask(self, method: str, action: str, **fields: object) -> dict[str, Any]:
        """Ask until the simulator answers: it may just have been killed."""

        def answer() -> dict[str, Any] | None:
            try:
                at = json.loads((Path(settings.RUN_DIR) / "control.json").read_text())
                address, headers = f"http://127.0.0.1:{at['port']}/{action}", {"Authorization": f"Bearer {at['token']}"}
                reply = requests.request(method, address, json=fields, headers=headers, timeout=30)
            except (OSError, ValueError, KeyError):
                return None
            return dict(reply.json()) if reply.ok or reply.status_code == requests.codes.bad_request else None

        return until(answer, "the simulator to answer", within_s=UP_WITHIN_S)


def until(condition: Callable[[], T | None], what: str, *, within_s: float) -> T:
    """Return the first true answer of a condition.

    Raises
    ------
    ExecutionError
        There was none in time.
    """
    give_up_at = time.monotonic() + within_s
    while not (answer := condition()):
        if time.monotonic() >= give_up_at:
            raise ExecutionError(f"waited {within_s:.0f} s in vain for {what}")
        time.sleep(LOOK_EVERY_S)
    return answer
