"""The armed file: while it is missing or unreadable, nothing that adds risk is sent.

A file, because it can be removed by hand, by any process, and while the database is locked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmedMark:
    """Which accounts were armed: MetaTrader 5's, and by their keys those at other venues."""

    login: int
    server: str
    venues: Mapping[str, tuple[int, str]] = field(default_factory=dict)

    def covers(self, login: int, server: str) -> bool:
        """Return whether an account is one of those."""
        return (login, server) in ((self.login, self.server), *self.venues.values())


def read_mark(fields: Mapping[str, Any]) -> ArmedMark:
    """Return the mark that was stored as plain values.

    Raises
    ------
    KeyError, TypeError, ValueError, AttributeError
        It is none.
    """
    venues = {str(key): (int(login), str(server)) for key, (login, server) in fields.get("venues", {}).items()}
    return ArmedMark(login=int(fields["login"]), server=str(fields["server"]), venues=venues)


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
            return read_mark(json.loads(self.path.read_text()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
