"""Ask one of our modules something in a Python process that has done nothing else.

``ask`` starts ``python -m MODULE``, writes one JSON document to its standard input (keys too, which no list of
processes may show) and reads one from its standard output; such a module ends with ``serve(answer)``.

No Django here: neither side needs it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ops.errors import DeskError

PROJECT = Path(__file__).resolve().parent.parent
TIMEOUT_S = 600.0  # a first start compiles the kernels
SHOWN_CHARACTERS = 300  # of what a process that failed said last


class FreshProcessError(DeskError):
    """The process itself failed: nothing is known about what it was asked."""


def ask(module: str, request: Mapping[str, Any], *, what: str, timeout_s: float = TIMEOUT_S) -> Any:
    """Return a module's answer to a request.

    Parameters
    ----------
    what : str
        That it is to check, for people: ``the models``.

    Raises
    ------
    FreshProcessError
        It did not end well, or not in time.
    """
    command = [sys.executable, "-m", module]
    try:
        done = subprocess.run(  # noqa: S603  # our own module
            command,
            input=json.dumps(request),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            cwd=PROJECT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise FreshProcessError(f"a fresh process did not check {what} within {timeout_s:.0f} s") from None
    if done.returncode != 0:
        said = done.stderr.strip()[-SHOWN_CHARACTERS:] or "nothing"
        raise FreshProcessError(f"a fresh process that checks {what} ended with {done.returncode}; it said: {said}")
    return json.loads(done.stdout)


def serve(answer: Callable[[Any], Any]) -> None:
    """Answer the request on standard input: what a module that is asked does when it is run."""
    json.dump(answer(json.load(sys.stdin)), sys.stdout)
