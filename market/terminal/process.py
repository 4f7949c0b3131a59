"""The guard's side of the process that has the module: start it, hand it a call, wait for the answer, kill it."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, cast

from .calls import Answer, Call, Kind
from .clock import server_now
from .codec import dumps
from .errors import TerminalUnavailableError
from .frames import read_answer, write_call

log = logging.getLogger("terminal")
IMPORT_DEADLINE_S = 60.0  # of the module, numba and all
DEATH_S = 5.0  # how long a killed process may take to be gone


class NoAnswerError(Exception):
    """The process died, or the call outlived its deadline."""

    def __init__(self, message: str, *, hung: bool) -> None:
        super().__init__(message)
        self.hung = hung


class ModuleProcess:
    """One run of ``child.py``. Only the thread whose turn it is may use it; anyone may kill it."""

    def __init__(self, module: str) -> None:
        self.module = module
        self._started_at = server_now()
        self._popen = subprocess.Popen(  # noqa: S603 (this interpreter and a module of this package)
            [sys.executable, "-m", f"{__package__}.child", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_environment(),
        )
        self._pipe = cast(IO[bytes], self._popen.stdin)
        self._answers: SimpleQueue[Answer | None] = SimpleQueue()
        self._ready = False
        self._killed = False
        threading.Thread(target=self._read, name="answers", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def alive(self) -> bool:
        return self._popen.poll() is None

    @property
    def usable(self) -> bool:
        return self.alive and not self._killed

    def require_ready(self, timeout_s: float) -> None:
        """Wait until the module is imported; raise TerminalUnavailableError when it is not, or cannot be."""
        if self._ready:
            return
        try:
            answer = self._answers.get(timeout=max(0.0, timeout_s))
        except Empty:
            if server_now() > self._started_at + IMPORT_DEADLINE_S:
                self.kill()
            raise TerminalUnavailableError(f"module {self.module!r} is still being imported") from None
        if answer is None or answer.kind is not Kind.READY:
            self.kill()
            raise TerminalUnavailableError(self._why_not_ready(answer))
        self._ready = True

    def hand_over(self, call: Call) -> None:
        """Give the process a call, which never waits; raise OSError when nobody is there to take it."""
        write_call(self._pipe, dumps(call.to_wire()))

    def answer(self, timeout_s: float) -> Answer:
        """Wait for the answer; raise NoAnswerError when the process dies or the time is over."""
        try:
            answer = self._answers.get(timeout=timeout_s)
        except Empty:
            message = f"the module did not answer within {timeout_s:g} s and its process is killed"
            raise NoAnswerError(message, hung=True) from None
        if answer is None:
            raise NoAnswerError("the process with the module died before it answered", hung=False)
        return answer

    def kill(self) -> None:
        """End the process whatever it does; ``alive`` says whether it is really gone."""
        self._killed = True
        self._popen.kill()
        try:
            self._popen.wait(DEATH_S)
        except subprocess.TimeoutExpired:
            log.error("process %s was killed and is still there", self.pid)
        with contextlib.suppress(OSError):
            self._pipe.close()

    def _read(self) -> None:
        try:
            with cast(IO[bytes], self._popen.stdout) as pipe, contextlib.suppress(EOFError, OSError):
                while True:
                    self._answers.put(read_answer(pipe))
        finally:
            self._answers.put(None)

    def _why_not_ready(self, answer: Answer | None) -> str:
        if answer is None:
            return f"module {self.module!r} ended its process while it was imported: its traceback is in this log"
        return str(json.loads(answer.document)["message"])


def _environment() -> dict[str, str]:
    """Return an environment in which the child finds this package where the guard found it, and no token."""
    root = Path(__file__).resolve().parents[__name__.count(".")]
    path = os.pathsep.join(filter(None, (str(root), os.environ.get("PYTHONPATH", ""))))
    return {name: value for name, value in os.environ.items() if name != "TERMINAL_TOKEN"} | {"PYTHONPATH": path}
