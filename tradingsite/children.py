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
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import psutil

from ops.files import write_json

PROJECT = Path(__file__).resolve().parent.parent
STOP_WITHIN_S = 8.0
POLL_S = 0.05
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

    @property
    def exit_code(self) -> int | None:
        """How the last process ended, negative for a signal; None while it runs or before it was started."""
        return self._process.poll() if self._process else None

    def start(self) -> None:
        """Start the process and print its lines with its name in front."""
        # A session of its own: Ctrl+C in the terminal reaches only the supervisor, which stops children in order.
        self._process = subprocess.Popen(  # noqa: S603  # our own commands
            self.spec.argv,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "DESK_PROCESS": self.spec.name, **self.spec.env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            encoding="utf-8",
            errors="replace",  # a line in another encoding must not end the reading: the pipe would fill
            start_new_session=True,
        )
        self.started_mono = time.monotonic()
        output = cast(IO[str], self._process.stdout)
        threading.Thread(target=self._pump, args=(output,), daemon=True).start()

    def _pump(self, output: IO[str]) -> None:
        with output:
            for line in output:
                self._show(self.spec.name, line.rstrip())

    def revive(self) -> bool:
        """Start a process that died, later each time it does so soon; True when it was started now."""
        now = time.monotonic()
        if self.is_running:
            if now - self.started_mono > HEALTHY_AFTER_S:
                self._backoff_s = FIRST_BACKOFF_S
            return False
        if not self._due_mono:
            self._show(self.spec.name, f"ended ({self._how()}); starting again in {self._backoff_s:.0f} s")
            self.kill()  # a qcluster killed alone leaves workers behind that go on executing
            self._due_mono = now + self._backoff_s
            self._backoff_s = min(self._backoff_s * 2, LONGEST_BACKOFF_S)
        if now < self._due_mono:
            return False
        self._due_mono = 0.0
        self.start()
        return True

    def _how(self) -> str:
        code = self.exit_code
        return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"

    def ask_to_stop(self) -> None:
        """Ask the process alone, not its group: a qcluster signalled as a group hangs."""
        if self.is_running and self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End the whole group at once."""
        if self._process:
            kill_group(self._process.pid)
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
        time.sleep(POLL_S)
    for child in children:
        child.kill()


class GroupsFile:
    """The groups that are running, on disk: a supervisor killed without warning leaves them to its successor."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, children: Iterable[Child]) -> None:
        """Keep who supervises, and the processes that lead the groups."""
        groups = {child.spec.name: _identity(child.pid) for child in children if child.is_running and child.pid}
        write_json(self.path, {"supervisor": _identity(os.getpid()), "groups": groups})

    def is_supervised(self) -> bool:
        """Return whether the supervisor that wrote the file is alive."""
        return _is_same_process(self._read().get("supervisor"))

    def running(self) -> dict[str, bool]:
        """Return which of the processes in the file are alive."""
        return {name: _is_same_process(identity) for name, identity in self._read().get("groups", {}).items()}

    def end_leftovers(self) -> list[str]:
        """Kill what an earlier supervisor left running, and return the names."""
        groups = self._read().get("groups", {})
        left = [name for name, identity in groups.items() if _is_left(identity)]
        for name in left:
            kill_group(groups[name]["pid"])
        self.path.unlink(missing_ok=True)
        return left

    def _read(self) -> dict[str, Any]:
        try:
            fields = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return {}
        return fields if isinstance(fields, dict) else {}


def _identity(pid: int) -> dict[str, float]:
    """Return what tells a process from a later one with the same number."""
    try:
        return {"pid": pid, "created": psutil.Process(pid).create_time()}
    except psutil.NoSuchProcess:
        return {"pid": pid, "created": 0.0}


def _is_same_process(identity: Mapping[str, float] | None) -> bool:
    if not identity:
        return False
    try:
        return bool(abs(psutil.Process(int(identity["pid"])).create_time() - identity["created"]) < 1.0)
    except (psutil.NoSuchProcess, KeyError, TypeError, ValueError):
        return False


def _is_left(identity: Mapping[str, float]) -> bool:
    """Return whether the leader lives, or died and left workers of its group behind."""
    if _is_same_process(identity):
        return True
    # The system gives no new process the number of a group that has members, so these are the leader's.
    return not psutil.pid_exists(int(identity["pid"])) and any(_members(int(identity["pid"])))


def _members(pgid: int) -> Iterator[int]:
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpgid(pid) == pgid:
                yield pid


def manage(*arguments: str) -> tuple[str, ...]:
    """Return the command line of one of our own commands."""
    return (sys.executable, str(PROJECT / "manage.py"), *arguments)
