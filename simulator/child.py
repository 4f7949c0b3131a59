"""A child process that is started again when it dies, and ended with its owner."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

LONGEST_PAUSE_S = 30.0
SETTLED_S = 60.0  # a child that lived so long has its back-off forgotten


class Child:
    """One child, watched by calling :meth:`watch` every second or so.

    Parameters
    ----------
    name : str
        What to call it.
    command : sequence of str
    env : mapping
        The child's whole environment.
    mono : callable
        Real seconds.
    say : callable
        Told, in a sentence, when the child is started and when it died.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        mono: Callable[[], float],
        say: Callable[[str], None],
    ) -> None:
        self._name = name
        self._command = [sys.executable, "-m", "simulator.tether", *command]
        self._env = dict(env) | {"TETHER_PARENT": str(os.getpid())}
        self._mono = mono
        self._say = say
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._start_at = 0.0
        self._pause_s = 1.0

    @property
    def pid(self) -> int | None:
        """Return the living child's process id."""
        alive = self._process is not None and self._process.poll() is None
        return self._process.pid if alive and self._process else None

    def watch(self) -> None:
        """Start the child when there is none; after a death only when its back-off is over."""
        now = self._mono()
        if self._process is not None:
            code = self._process.poll()
            if code is None:
                return
            self._process = None
            self._pause_s = 1.0 if now - self._started_at > SETTLED_S else min(2 * self._pause_s, LONGEST_PAUSE_S)
            self._start_at = now + self._pause_s
            self._say(f"{self._name} ended with code {code}; started again in {self._pause_s:.0f} s")
        if now >= self._start_at:
            self._process = subprocess.Popen(self._command, env=self._env)  # noqa: S603 - our own
            self._started_at = now

    def end(self, *, timeout_s: float) -> None:
        """Ask the child to stop, and kill it when it has not after a while."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
