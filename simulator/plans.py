"""A request that passed every check: what it will do, and the step that books it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from simulator import constants as mt5
from simulator.ledger import ZERO, Order, Position

if TYPE_CHECKING:
    from simulator.account import Account
    from simulator.structs import TradeRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What an executed request answers: 0 where it has no such thing."""

    deal: int = 0
    order: int = 0
    volume: Decimal = Decimal(0)
    price: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a request will do.

    Parameters
    ----------
    book : callable
        Does it, inside a transaction of the account.
    positions : list of Position, optional
        The positions after it; None where it changes none.
    realised : Decimal
        What it adds to the balance.
    """

    book: Callable[[], Done]
    positions: list[Position] | None = None
    realised: Decimal = ZERO


def new_order(account: Account, request: TradeRequest, volume: Decimal, **fields: int) -> Order:
    """Return a placed order of the request, under a new ticket; not yet written."""
    values = {"type": request.type, "position_id": 0, "position_by_id": 0, "expiration_ms": 0} | fields
    return Order(
        ticket=account.next_order_ticket(),
        symbol=request.symbol,
        type_time=request.type_time,
        type_filling=request.type_filling,
        state=mt5.ORDER_STATE_PLACED,
        magic=request.magic,
        reason=mt5.ORDER_REASON_EXPERT,
        comment=request.comment,
        volume_initial=volume,
        volume_current=volume,
        price_open=request.price,
        price_stoplimit=request.stoplimit,
        sl=request.sl,
        tp=request.tp,
        setup_ms=account.now_ms,
        done_ms=0,
        **values,
    )
