"""Files that are whole or absent, and a lock on a folder that dies with its owner; the standard library only."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path


def write_atomically(path: Path, text: str) -> None:
    """Let ``path`` hold ``text``, on the disk before this returns, readable by the owner alone (mode 0600)."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Write the renaming itself to the disk; Windows cannot open a folder and does not need to."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class FolderLock:
    """Hold a folder's state for one process; the operating system lets go when the process ends, however it ends.

    Two guards with one state would each remember a fence of its own. SQLite's file lock is the one in the standard
    library that is the same on Linux, on Windows and under Wine.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            self._connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            self._connection.close()
            raise BlockingIOError(f"another terminal serves {path.parent}: stop it, or use another folder") from error

    def release(self) -> None:
        self._connection.close()
