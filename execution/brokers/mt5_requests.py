"""MetaTrader 5 trade requests, built from our orders. Pure: facts in, a dict for ``order_send`` out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

from execution.brokers.base import OrderTicket, Protection, Reduction
from execution.errors import ConfigError
from execution.planning.orders import MarginMode, Quote, Side, SymbolSpec
from execution.planning.rounding import is_on_step, round_half_even
from execution.planning.stops import require_stops

ACTION_DEAL, ACTION_SLTP, ACTION_REMOVE = 1, 6, 8
ORDER_TYPES = {Side.BUY: 0, Side.SELL: 1}
TIME_GTC = 0
FILLING_FOK, FILLING_IOC, FILLING_RETURN = 0, 1, 2
# The bits of symbol_info().filling_mode are not the order constants, and the package does not name them.
FOK_BIT, IOC_BIT = 1, 2
EXECUTION_REQUEST, EXECUTION_INSTANT, EXECUTION_MARKET, EXECUTION_EXCHANGE = range(4)
COMMENT_LENGTH = 26  # longer ones make order_send return None


@dataclass(frozen=True, slots=True)
class Mt5Symbol:
    """A symbol's specification and how its orders are filled."""

    spec: SymbolSpec
    filling_mode: int  # bits
    trade_exemode: int


def filling_type(symbol: Mt5Symbol) -> int:
    """Return the filling type of a market order: no part left working where there is a choice.

    Raises
    ------
    ConfigError
        If the symbol takes none that we know: it cannot be traded.
    """
    bits, execution = symbol.filling_mode, symbol.trade_exemode
    if execution in (EXECUTION_REQUEST, EXECUTION_INSTANT):
        return FILLING_FOK
    if bits & IOC_BIT and execution in (EXECUTION_MARKET, EXECUTION_EXCHANGE):
        return FILLING_IOC
    if bits & FOK_BIT and execution in (EXECUTION_MARKET, EXECUTION_EXCHANGE):
        return FILLING_FOK
    if execution == EXECUTION_EXCHANGE:
        return FILLING_RETURN
    raise ConfigError(
        f"{symbol.spec.symbol} cannot be traded: filling_mode bits {bits} with trade_exemode {execution} "
        f"leave no filling type; market execution needs bit {FOK_BIT} or {IOC_BIT}"
    )


def clean_comment(text: str) -> str:
    """Return what a terminal takes as a comment: letters, digits, ``_`` and ``-``, at most 26.

    >>> clean_comment("BTCUSD ü 12:00 rebalance (session)")
    'BTCUSD---12-00-rebalance--'
    """
    return re.sub(r"[^A-Za-z0-9_-]", "-", text)[:COMMENT_LENGTH]


def entry_request(ticket: OrderTicket, symbol: Mt5Symbol, quote: Quote) -> dict[str, Any]:
    """Return the request of a market order, its stop and target attached."""
    require_stops(ticket.side, quote, symbol.spec, stop=ticket.stop, target=ticket.target)
    _require_volume(ticket.volume, symbol.spec, smallest=symbol.spec.volume_min)
    request = _deal(ticket, symbol, quote, side=ticket.side)
    return request | _stops(ticket.stop, ticket.target, symbol.spec.digits, only_set=True)


def reduction_request(
    reduction: Reduction, symbol: Mt5Symbol, quote: Quote, *, margin_mode: MarginMode
) -> dict[str, Any]:
    """Return the request that closes a position or a part of it.

    On hedging accounts it must carry the ticket: without it an opposite deal opens a second position. On netting
    accounts the symbol's one position is meant anyway, and naming it harms nothing.
    """
    position = reduction.position
    if margin_mode is MarginMode.HEDGING and position.ticket <= 0:
        raise ValueError(f"a close on a hedging account needs the position's ticket, was {position.ticket}")
    if reduction.volume != position.volume:  # a whole position may be closed whatever the grid has become
        _require_volume(reduction.volume, symbol.spec, smallest=symbol.spec.volume_step)
    request = _deal(reduction, symbol, quote, side=position.side.opposite)
    return request | {"position": position.ticket}


def protection_request(protection: Protection, symbol: Mt5Symbol, quote: Quote) -> dict[str, Any]:
    """Return the request that sets a position's stop and target; 0 takes one away."""
    require_stops(protection.side, quote, symbol.spec, stop=protection.stop, target=protection.target)
    stops = _stops(protection.stop, protection.target, symbol.spec.digits, only_set=False)
    return {"action": ACTION_SLTP, "symbol": protection.symbol, "position": protection.ticket, **stops}


def cancel_request(order_id: int) -> dict[str, Any]:
    """Return the request that takes back a resting order."""
    return {"action": ACTION_REMOVE, "order": order_id}


def _require_volume(volume: Decimal, spec: SymbolSpec, *, smallest: Decimal) -> None:
    """Refuse a volume off the symbol's grid: what the venue would refuse anyway costs no request."""
    if not (is_on_step(volume, spec.volume_step) and smallest <= volume <= spec.volume_max):
        allowed = f"a multiple of {spec.volume_step} from {smallest} to {spec.volume_max}"
        raise ValueError(f"the volume of an order of {spec.symbol} must be {allowed}, was {volume}")


def _deal(order: OrderTicket | Reduction, symbol: Mt5Symbol, quote: Quote, *, side: Side) -> dict[str, Any]:
    price = quote.price_for(side)
    return {
        "action": ACTION_DEAL,
        "symbol": symbol.spec.symbol,
        "volume": float(order.volume),
        "type": ORDER_TYPES[side],
        "price": float(price),
        "deviation": _points(order.slippage * price, symbol.spec.point),
        "magic": order.magic,
        "comment": clean_comment(order.comment),
        "type_time": TIME_GTC,
        "type_filling": filling_type(symbol),
    }


def _points(distance: Decimal, point: Decimal) -> int:
    return int((distance / point).to_integral_value(rounding=ROUND_CEILING))


def _stops(stop: Decimal | None, target: Decimal | None, digits: int, *, only_set: bool) -> dict[str, float]:
    levels: Iterable[tuple[str, Decimal | None]] = (("sl", stop), ("tp", target))
    return {
        name: float(round_half_even(level, digits)) if level is not None else 0.0
        for name, level in levels
        if level is not None or not only_set
    }
