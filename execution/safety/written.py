"""Orders as the journal keeps them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from execution.brokers.base import OrderTicket, Reduction


def as_json(order: OrderTicket | Reduction) -> dict[str, Any]:
    """Return an order as the journal keeps it."""
    kind = "reduce" if isinstance(order, Reduction) else "submit"
    position = {"ticket": order.position.ticket} if isinstance(order, Reduction) else {}
    symbol = order.position.symbol if isinstance(order, Reduction) else order.symbol
    levels = {} if isinstance(order, Reduction) else levels_as_json(order.stop, order.target)
    return {"call": kind, "symbol": symbol, "volume": str(order.volume), "magic": order.magic, **position, **levels}


def levels_as_json(stop: Decimal | None, target: Decimal | None) -> dict[str, str]:
    """Return those of a stop and a target that there are."""
    return {name: str(level) for name, level in (("stop", stop), ("target", target)) if level is not None}
