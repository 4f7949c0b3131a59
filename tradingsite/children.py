"""Processes that ``up`` starts, watches, and ends with everything below them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

from ops.files import write_json

STOP_WITHIN_S = 8.0
FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 1.0, 30.0
HEALTHY_AFTER_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpec:
    """How to start one process."""

    name: str
    argv: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)


class Child:
    """One supervised process, the leader of a group of its own."""

    def __init__(self, spec: ChildSpec, show: Callable[[str, str], None]) -> None:
        self.spec = spec
        self.started_mono = 0.0
        self._show = show
        self._process: subprocess.Popen[str] | None = None
        self._backoff_s = FIRST_BACKOFF_S
        self._due_mono = 0.0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process and print its lines with its name in front."""
        # A session of its own: Ctrl+C in the terminal reaches only the supervisor, which stops children in order.
        self._process = subprocess.Popen(  # noqa: S603  # our own commands
            self.spec.argv,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "DESK_PROCESS": self.spec.name, **self.spec.env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self.started_mono = time.monotonic()
        threading.Thread(target=self._pump, args=(self._process.stdout,), daemon=True).start()

    def _pump(self, lines: IO[str] | None) -> None:
        for line in lines or ():
            self._show(self.spec.name, line.rstrip())

    def revive(self) -> bool:
        """Start a process that died, later each time it does so soon; True when it was started now."""
        now = time.monotonic()
        if self.is_running:
            if now - self.started_mono > HEALTHY_AFTER_S:
                self._backoff_s = FIRST_BACKOFF_S
            return False
        if not self._due_mono:
            self._show(self.spec.name, f"ended; starting again in {self._backoff_s:.0f} s")
            self.kill()  # a qcluster killed alone leaves workers behind that go on executing
            self._due_mono = now + self._backoff_s
            self._backoff_s = min(self._backoff_s * 2, LONGEST_BACKOFF_S)
        if now < self._due_mono:
            return False
        self._due_mono = 0.0
        self.start()
        return True

    def ask_to_stop(self) -> None:
        """Ask the process alone, not its group: a qcluster signalled as a group hangs."""
        if self.is_running and self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End the whole group at once."""
        if self.pid:
            kill_group(self.pid)
            if self._process:
                self._process.wait()


def kill_group(pgid: int) -> None:
    """SIGKILL every process of a group; one that is gone is no error."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pgid, signal.SIGKILL)


def stop_all(children: Iterable[Child], *, within_s: float = STOP_WITHIN_S) -> None:
    """Ask all to stop, and kill the groups of those that are still there after ``within_s``."""
    children = list(children)
    for child in children:
        child.ask_to_stop()
    deadline = time.monotonic() + within_s
    while any(child.is_running for child in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    for child in children:
        child.kill()


class GroupsFile:
    """The groups that are running, on disk: a supervisor killed without warning leaves them to its successor."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, children: Iterable[Child]) -> None:
        groups = {
            child.spec.name: {"pid": child.pid, "created": psutil.Process(child.pid).create_time()}
            for child in children
            if child.pid and psutil.pid_exists(child.pid)
        }
        write_json(self.path, {"supervisor": os.getpid(), "groups": groups})

    def end_leftovers(self) -> list[str]:
        """Kill what an earlier supervisor left running, and return the names."""
        try:
            groups = json.loads(self.path.read_text())["groups"]
        except (OSError, ValueError, KeyError):
            return []
        left = [name for name, group in groups.items() if _is_same_process(group["pid"], group["created"])]
        for name in left:
            kill_group(groups[name]["pid"])
        self.path.unlink(missing_ok=True)
        return left


def _is_same_process(pid: int, created: float) -> bool:
    try:
        return bool(abs(psutil.Process(pid).create_time() - created) < 1.0)
    except psutil.NoSuchProcess:
        return False


def manage(*arguments: str) -> tuple[str, ...]:
    """Return the command line of one of our own commands."""
    return (sys.executable, "manage.py", *arguments)
