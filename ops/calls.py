"""Calls of the world outside that cannot hold up whoever makes them: a process each, killed when its time is over.

A process keeps the machine's time, whatever clock a test or a replay has put in its place.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import IO, Any, cast

from django.conf import settings

POLL_S = 0.1
PROGRAM = (sys.executable, "-m", "ops.sending")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of a call. ``reason`` is in words of ours: it never holds an address."""

    ok: bool
    reason: str = ""
    is_final: bool = False  # trying again cannot help


class Call:
    """One call under way."""

    def __init__(self, request: dict[str, Any], *, limit_s: float) -> None:
        self._limit_s = limit_s
        self._deadline = time.monotonic() + limit_s
        self._process = subprocess.Popen(  # noqa: S603  # our own program; the address goes in by the pipe, not by ps
            PROGRAM,
            cwd=settings.BASE_DIR,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        # One that ends before it has read is told of by `answer`.
        with contextlib.suppress(BrokenPipeError), cast(IO[str], self._process.stdin) as pipe:
            json.dump(request, pipe)

    def answer(self) -> Answer | None:
        """Return what came of it, None while it is not over; a call that takes too long is ended here."""
        if self._process.poll() is None:
            if time.monotonic() < self._deadline:
                return None
            self.end()
            return Answer(ok=False, reason=f"no answer within {self._limit_s:.0f} s")
        with cast(IO[str], self._process.stdout) as pipe:
            said = pipe.read()
        try:
            fields = json.loads(said)
        except ValueError:
            return Answer(ok=False, reason=f"the sending program ended with code {self._process.returncode}")
        return Answer(ok=fields["ok"], reason=fields["reason"], is_final=fields.get("is_final", False))

    def end(self) -> None:
        """End it now; whether it had arrived nobody knows."""
        self._process.kill()
        self._process.wait()
        cast(IO[str], self._process.stdout).close()


def wait_for(call: Call) -> Answer:
    """Wait for a call's answer, at most as long as it may take."""
    while (found := call.answer()) is None:
        time.sleep(POLL_S)
    return found
