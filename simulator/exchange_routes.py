"""A row of the exchange's handler table, and an answer that is no plain JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True)
class RawReply:
    """An answer as it goes over the wire; with status 0 there is none, and the connection is closed."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def is_cut(self) -> bool:
        """Return whether the connection has to be closed: nothing, or less than was promised, is sent."""
        return not self.status or int(self.headers.get("Content-Length", 0)) > len(self.body)
