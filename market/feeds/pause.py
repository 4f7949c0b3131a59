"""A pause that all processes of this machine keep: nobody sends anything to an exchange before it is over."""

from __future__ import annotations

import json
import os
from pathlib import Path

LONGEST_S = 3 * 86_400.0  # the longest ban of Binance; a clock that jumps must not stop us for ever


class Pause:
    """When requests may go on, kept in a file; in memory without one. Times are unix seconds.

    Two processes may start a pause at once: the later write stands, and whoever was refused last knows best.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._until = 0.0

    def until(self, moment_s: float) -> None:
        """Let nobody send before the moment."""
        self._until = moment_s
        if self.path is not None:
            draft = self.path.with_name(f"{self.path.name}.{os.getpid()}")
            draft.write_text(json.dumps({"until": moment_s}))
            draft.replace(self.path)

    def left_s(self, now_s: float) -> float:
        """Return how many seconds are left, at least 0."""
        return max(0.0, min(LONGEST_S, max(self._until, self._written()) - now_s))

    def _written(self) -> float:
        if self.path is None:
            return 0.0
        try:
            return float(json.loads(self.path.read_text())["until"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return 0.0
