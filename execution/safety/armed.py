"""The armed file: while it is missing or unreadable, nothing that adds risk is sent.

A file, because it can be removed by hand, by any process, and while the database is locked.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmedMark:
    """Which account was armed."""

    login: int
    server: str


class ArmedFile:
    """The file ``armed`` in the safety folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "armed"

    def arm(self, mark: ArmedMark) -> None:
        """Write the mark so that it is on the disk when this returns."""
        draft = self.path.with_suffix(f".{os.getpid()}")
        with draft.open("w") as file:
            json.dump(asdict(mark), file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)

    def disarm(self) -> bool:
        """Remove the file; False when there was none."""
        try:
            self.path.unlink()
        except FileNotFoundError:
            return False
        return True

    def read(self) -> ArmedMark | None:
        """Return the mark, or None when it is missing or cannot be read: both mean killed."""
        try:
            fields = json.loads(self.path.read_text())
            return ArmedMark(login=int(fields["login"]), server=str(fields["server"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
