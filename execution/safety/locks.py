"""File locks between processes of this machine: freed by the system when their holder dies."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from execution.errors import BrokerUnavailableError

POLL_S = 0.02


@contextmanager
def file_lock(
    path: Path, *, timeout_s: float, mono: Callable[[], float], sleep: Callable[[float], None]
) -> Iterator[None]:
    """Hold the lock of ``path`` inside the block.

    Raises
    ------
    BrokerUnavailableError
        Somebody else held it for ``timeout_s``; nothing was sent.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = mono() + timeout_s
        while not _try_lock(handle):
            if mono() >= deadline:
                raise BrokerUnavailableError(f"{path.name} was held by another process for {timeout_s:.0f} s")
            sleep(POLL_S)
        yield
    finally:
        os.close(handle)  # closing frees the lock


if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _try_lock(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
