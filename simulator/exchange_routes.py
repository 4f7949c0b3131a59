"""A row of the exchange's handler table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Query = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Route:
    """What answers a request, and what it weighs: a number, or a function of its parameters."""

    handle: Callable[[Query], Any]
    weight: int | Callable[[Query], int] = 1

    def weighs(self, query: Query) -> int:
        """Return the request's weight."""
        return self.weight(query) if callable(self.weight) else self.weight
