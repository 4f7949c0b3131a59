"""Waiting for what processes do: for a condition, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import psutil

T = TypeVar("T")

PATIENCE_S = 90.0
LOOK_EVERY_S = 0.02


def until(condition: Callable[[], T], what: str, *, within_s: float = PATIENCE_S) -> T:
    """Return the first true answer of the condition."""
    give_up_at = time.monotonic() + within_s
    while not (answer := condition()):
        assert time.monotonic() < give_up_at, f"waited {within_s:.0f} s for: {what}"
        time.sleep(LOOK_EVERY_S)
    return answer


def is_gone(process: psutil.Process) -> bool:
    """Return whether a process has ended; one that nobody has asked about yet has ended too."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
