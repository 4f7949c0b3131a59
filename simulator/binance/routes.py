"""A row of the handler table that only a signed request reaches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simulator.exchange_routes import Query

if TYPE_CHECKING:
    from simulator.binance.params import Params


@dataclass(frozen=True, slots=True)
class SignedRoute:
    """What answers a signed request, what it weighs, and how many orders it places."""

    handle: Callable[[Params], Any]
    weight: int | Callable[[Query], int] = 1
    n_orders: int = 0

    def weighs(self, query: Query) -> int:
        """Return the request's weight."""
        return self.weight(query) if callable(self.weight) else self.weight
