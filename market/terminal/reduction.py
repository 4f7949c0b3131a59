"""Prove, where the module is, that a request can only take risk away; a sender's word is not enough.

What counts, and nothing else:

- **A close** (``TRADE_ACTION_DEAL``) of a position that is read right before the send. Its symbol is the position's,
  its side the opposite, its volume above zero and at most the position's. On a hedging account ``position`` is the
  ticket; without it an opposite deal would open a second position. On a netting account it is the symbol's one net
  position (``position``, if given, is its ticket). A stop that rests at a netting venue can still trigger between the
  read and the send: the rules for the bot exclude that (execution.md).
- **A cancel** (``TRADE_ACTION_REMOVE``) of an order that is working: pending, or a market order that waits for a fill.

Changing a stop (``TRADE_ACTION_SLTP``) can widen it, ``TRADE_ACTION_CLOSE_BY`` and pending closes act later or on two
positions: none of them is taken. A read that fails proves nothing: unknown is not flat.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from .codec import is_number
from .errors import TerminalRefusedError, TerminalUnavailableError

TRADE_ACTION_DEAL = 1
TRADE_ACTION_REMOVE = 8
ACCOUNT_MARGIN_MODE_RETAIL_HEDGING = 2
SIDES = ("buy", "sell")  # POSITION_TYPE_* and ORDER_TYPE_* of market orders: the index
VOLUME_NOISE = 1e-9  # lots: below any volume step, above the noise of floats


@dataclass(frozen=True, slots=True)
class Expected:
    """The position as the sender saw it; the server refuses to reduce another one."""

    ticket: int | None  # None: the symbol's net position
    symbol: str
    side: str  # of the position: "buy" or "sell"
    volume: float  # lots, the whole position

    def __post_init__(self) -> None:
        if self.side not in SIDES:
            raise ValueError(f"side is {' or '.join(SIDES)}, was {self.side!r}")
        if not 0.0 < self.volume < math.inf:
            raise ValueError(f"volume is the position's, above zero lots, was {self.volume}")


def require_reduction(module: Any, request: dict[str, Any], expected: Expected | None) -> None:
    """Return if the request is a proven reduction of what was expected.

    Raises
    ------
    TerminalRefusedError
        With ``reason`` ``reduce``, when it is not one or when the position differs.
    TerminalUnavailableError
        When the account or the position could not be read.
    """
    action = request.get("action")
    if action == TRADE_ACTION_DEAL:
        _require_close(module, request, expected)
    elif action == TRADE_ACTION_REMOVE and expected is None:
        _require_cancel(module, request)
    else:
        _refuse(f"action {action!r} is no close of a position (1) and no cancel of an order (8)")


def _require_close(module: Any, request: dict[str, Any], expected: Expected | None) -> None:
    account = _read(module, "account_info", module.account_info)
    hedging = account.margin_mode == ACCOUNT_MARGIN_MODE_RETAIL_HEDGING
    position = _by_ticket(module, request) if hedging else _net(module, request)
    if expected is not None:
        _require_expected(position, expected)
    opposite = 1 - position.type
    if request.get("type") != opposite:
        _refuse(f"a {SIDES[position.type]} position is closed by type {opposite}, was {request.get('type')!r}")
    volume = request.get("volume")
    if not is_number(volume) or not 0.0 < volume <= position.volume + VOLUME_NOISE:
        _refuse(f"the volume is above 0 and at most the position's {position.volume} lots, was {volume!r}")


def _by_ticket(module: Any, request: dict[str, Any]) -> Any:
    ticket = _ticket(request, "position")
    found = _read(module, "positions_get", lambda: module.positions_get(ticket=ticket))
    mine = [position for position in found if position.ticket == ticket]
    if len(mine) != 1:
        _refuse(f"there is no position {ticket}")
    if mine[0].symbol != request.get("symbol"):
        _refuse(f"position {ticket} is in {mine[0].symbol}, the request in {request.get('symbol')!r}")
    return mine[0]


def _net(module: Any, request: dict[str, Any]) -> Any:
    symbol = request.get("symbol")
    if not isinstance(symbol, str):
        _refuse(f"a close names its symbol, was {symbol!r}")
    found = _read(module, "positions_get", lambda: module.positions_get(symbol=symbol))
    mine = [position for position in found if position.symbol == symbol]
    if len(mine) != 1:
        _refuse(f"{symbol} has {len(mine)} positions on a netting account, one is needed")
    if request.get("position") not in (None, 0, mine[0].ticket):
        _refuse(f"the position of {symbol} is {mine[0].ticket}, the request names {request['position']!r}")
    return mine[0]


def _require_expected(position: Any, expected: Expected) -> None:
    ticket = expected.ticket if expected.ticket is not None else position.ticket
    same = (position.ticket, position.symbol, SIDES[position.type]) == (ticket, expected.symbol, expected.side)
    if not same or abs(position.volume - expected.volume) > VOLUME_NOISE:
        seen = f"{position.ticket} is {SIDES[position.type]} {position.volume} {position.symbol}"
        _refuse(f"position {seen}; expected {ticket} as {expected.side} {expected.volume} {expected.symbol}")


def _require_cancel(module: Any, request: dict[str, Any]) -> None:
    ticket = _ticket(request, "order")
    found = _read(module, "orders_get", lambda: module.orders_get(ticket=ticket))
    mine = [order for order in found if order.ticket == ticket]
    if len(mine) != 1:
        _refuse(f"there is no working order {ticket}")


def _ticket(request: dict[str, Any], key: str) -> int:
    ticket = request.get(key)
    if type(ticket) is not int or ticket <= 0:
        _refuse(f"{key!r} is the ticket, a whole number above 0, was {ticket!r}")
    return ticket


def _read(module: Any, name: str, read: Callable[[], Any]) -> Any:
    answer = read()
    if answer is None:
        raise TerminalUnavailableError(f"nothing was sent: {name} answered None, last_error {module.last_error()}")
    return answer


def _refuse(message: str) -> NoReturn:
    raise TerminalRefusedError("reduce", message)
