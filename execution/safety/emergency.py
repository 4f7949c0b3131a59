"""The journal of an emergency: a line on the disk before each close, while the database takes no row.

The file has its space on the disk from the moment of arming, so that a full disk does not keep a kill from closing.
Reconciliation brings its lines into the database as soon as that can be written, and empties it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from execution.safety.locks import file_lock
from ops import clock

SIZE = 2**20  # bytes: some thousand closes
LOCK_WITHIN_S = 1.0
EMPTY = b"\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmergencyEntry:
    """A close or a cancellation that was about to be sent, and what came of it if that was written too."""

    number: int
    at: str  # ISO, real time
    login: int
    server: str
    call: str  # reduce or cancel
    symbol: str
    side: str  # of the order
    volume: str
    ticket: int
    result: dict[str, Any] | None = None


class EmergencyLog:
    """The file ``emergency.log`` in the safety folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "emergency.log"

    def allocate(self) -> None:
        """Take the space on the disk, unless that is done."""
        if self.path.exists():
            return
        draft = self.path.with_suffix(f".{os.getpid()}")
        with draft.open("wb") as file:
            file.write(EMPTY * SIZE)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)

    def begin(self, **fields: Any) -> int:
        """Write what is about to be sent, durable when this returns, and return its number.

        Raises
        ------
        OSError
            It could not be written: nothing may be sent.
        """
        with self._locked():
            number = self._next_number()
            self._append({"number": number, "at": clock.wall_now().isoformat(), **fields})
        return number

    def finish(self, number: int, **result: Any) -> None:
        """Write what came of it."""
        with self._locked():
            self._append({"of": number, **result})

    def entries(self) -> list[EmergencyEntry]:
        """Return what was sent, each with its result; a last line that was cut short is left out."""
        lines = self._lines()
        results = {line.pop("of"): line for line in lines if "of" in line}
        return [EmergencyEntry(**line, result=results.get(line["number"])) for line in lines if "call" in line]

    def clear(self, entries: list[EmergencyEntry]) -> bool:
        """Empty the file, but for the numbers that are spent; False when there is more in it than these."""
        with self._locked():
            if [asdict(entry) for entry in self.entries()] != [asdict(entry) for entry in entries]:
                return False
            head = json.dumps({"spent": self._next_number() - 1}).encode() + b"\n"
            self._write(0, head.ljust(SIZE, EMPTY))
        return True

    def _next_number(self) -> int:
        return 1 + max((line.get("number", line.get("spent", 0)) for line in self._lines()), default=0)

    def _lines(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        text = self.path.read_bytes().split(EMPTY, 1)[0]
        whole = text[: text.rfind(b"\n") + 1]
        return [json.loads(line) for line in whole.splitlines()]

    def _append(self, line: dict[str, Any]) -> None:
        self.allocate()
        text = self.path.read_bytes().split(EMPTY, 1)[0]
        self._write(text.rfind(b"\n") + 1, json.dumps(line).encode() + b"\n")

    def _write(self, offset: int, data: bytes) -> None:
        with self.path.open("r+b") as file:
            file.seek(offset)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        path = self.path.with_suffix(".lock")
        with file_lock(path, timeout_s=LOCK_WITHIN_S, mono=clock.mono, sleep=clock.sleep):
            yield


def emergency_log() -> EmergencyLog:
    """Return this site's log."""
    return EmergencyLog(Path(settings.SAFETY_DIR))
