"""Things that a loop does less often than it goes round."""

from __future__ import annotations

from dataclasses import dataclass

from ops import clock


@dataclass
class Due:
    """Lets something happen at most every so many seconds."""

    every_s: float
    at_mono: float = float("-inf")

    def __call__(self) -> bool:
        if clock.mono() < self.at_mono:
            return False
        self.at_mono = clock.mono() + self.every_s
        return True
