"""``up``: everything a mode needs, in one terminal, restarted when it dies and stopped within seconds."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import requests
from django.conf import settings
from django.db import DatabaseError
from loguru import logger

from ops import heartbeats, queues
from ops.errors import DeskError, ExitCode
from tradingsite.children import Child, ChildSpec, GroupsFile, manage, stop_all

LOOK_EVERY_S = 0.5
WATCH_EVERY_S = 5.0
GRACE_S = 60.0  # a process has this long to give its first sign of life
SENTINEL_DEAD_AFTER_S = 20.0
READY_WITHIN_S = 120.0


class StartUpError(DeskError):
    """Something that ``up`` waits for did not come up."""

    exit_code = ExitCode.FAILED


def outside_world() -> list[ChildSpec]:
    """Return what stands in for, or speaks to, the broker in this mode."""
    if settings.TRADING_MODE == "demo":
        return [ChildSpec(name="simulator", argv=manage("simulator"))]
    if settings.MT5_BRIDGE:
        return []  # somebody else serves the terminal
    return [ChildSpec(name="terminal", argv=manage("terminal"))]


def desk() -> list[ChildSpec]:
    """Return the processes of the desk itself."""
    web = (sys.executable, "-m", "uvicorn", "tradingsite.asgi:application")
    serve = ("--host", settings.HOST, "--port", str(settings.PORT), "--lifespan", "on", "--log-level", "warning")
    return [
        ChildSpec(name="web", argv=(*web, *serve)),
        ChildSpec(name="trader", argv=manage("qcluster"), env={"Q_CLUSTER_NAME": queues.TRADING}),
        ChildSpec(name="research", argv=manage("qcluster"), env={"Q_CLUSTER_NAME": queues.RESEARCH}),
        ChildSpec(name="sentinel", argv=manage("sentinel")),
    ]


class Supervisor:
    """Starts children, revives the dead, replaces the hung, and stops them all."""

    def __init__(self, *, show: Callable[[str, str], None]) -> None:
        self.children: list[Child] = []
        self.stopping = threading.Event()
        self._show = show
        self._groups = GroupsFile(Path(settings.RUN_DIR) / "up.json")
        self._watched_mono = 0.0

    def listen_for_stop(self) -> None:
        """Stop on Ctrl+C and on SIGTERM."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self.stopping.set())

    def end_leftovers(self) -> None:
        """End what an earlier supervisor that was killed left behind."""
        for name in self._groups.end_leftovers():
            self._show("up", f"ended {name}, left running by an earlier start")

    def start(self, specs: list[ChildSpec]) -> None:
        """Start processes and remember them for a successor."""
        for spec in specs:
            child = Child(spec, self._show)
            child.start()
            self.children.append(child)
        self._groups.write(self.children)

    def watch(self) -> None:
        """Keep all running until somebody asks to stop."""
        while not self.stopping.wait(LOOK_EVERY_S):
            revived = [child for child in self.children if child.revive()]
            if revived:
                self._groups.write(self.children)
            if time.monotonic() - self._watched_mono >= WATCH_EVERY_S:
                self._watched_mono = time.monotonic()
                self._end_the_hung()

    def _end_the_hung(self) -> None:
        for child in self.children:
            try:
                hung = _is_hung(child)
            except DatabaseError as error:
                logger.warning("could not look for signs of life: {}", error)
                return
            if hung:
                self._show(child.spec.name, "gives no sign of life; replaced")
                child.kill()

    def stop(self) -> None:
        """Stop everything and leave nothing behind."""
        stop_all(self.children)
        self._groups.path.unlink(missing_ok=True)

    def wait_until(self, what: str, is_ready: Callable[[], bool]) -> None:
        """Wait for a condition while the children run.

        Raises
        ------
        StartUpError
            Names what did not come up in time.
        """
        deadline = time.monotonic() + READY_WITHIN_S
        while not is_ready():
            if time.monotonic() > deadline:
                raise StartUpError(f"{what} did not come up within {READY_WITHIN_S:.0f} s; its lines above say why")
            if self.stopping.wait(0.1):
                raise KeyboardInterrupt
            for child in self.children:
                child.revive()


def _is_hung(child: Child) -> bool:
    """Return whether a process runs and yet does nothing: measured by what went through it, not by its pid."""
    if not child.is_running or time.monotonic() - child.started_mono < GRACE_S:
        return False
    if child.spec.name == "sentinel":
        return heartbeats.age_s("sentinel") > SENTINEL_DEAD_AFTER_S
    queue = child.spec.env.get("Q_CLUSTER_NAME")
    # Without a sentinel nobody sends heartbeats through the queues, which then say nothing.
    return bool(queue) and heartbeats.age_s("sentinel") < SENTINEL_DEAD_AFTER_S and queues.is_dead(str(queue))


def is_site_up() -> bool:
    """Return whether the site answers."""
    try:
        return requests.get(f"{site_address()}/healthz", timeout=2).ok
    except requests.RequestException:
        return False


def site_address() -> str:
    """Return where a browser finds the site."""
    return f"http://{settings.HOST}:{settings.PORT}"
