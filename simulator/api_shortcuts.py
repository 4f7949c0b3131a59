"""The package's three helpers, which are written over its other functions; the project itself never uses them."""

from __future__ import annotations

from typing import Any, Literal

from simulator import constants as mt5
from simulator.api_prices import symbol_info_tick
from simulator.api_trades import order_send, positions_get
from simulator.structs import OrderSendResult


def Buy(  # noqa: N802 - the package's name
    symbol: str, volume: float, price: float | None = None, *, comment: str | None = None, ticket: int | None = None
) -> OrderSendResult | None:
    """Buy at a price or at the market, without a filling mode: many symbols refuse that."""
    if price is not None:
        return _raw_order(mt5.ORDER_TYPE_BUY, symbol, volume, price, comment, ticket)
    return _at_market(mt5.ORDER_TYPE_BUY, symbol, volume, comment, ticket)


def Sell(  # noqa: N802 - the package's name
    symbol: str, volume: float, price: float | None = None, *, comment: str | None = None, ticket: int | None = None
) -> OrderSendResult | None:
    """Sell at a price or at the market, without a filling mode: many symbols refuse that."""
    if price is not None:
        return _raw_order(mt5.ORDER_TYPE_SELL, symbol, volume, price, comment, ticket)
    return _at_market(mt5.ORDER_TYPE_SELL, symbol, volume, comment, ticket)


def Close(  # noqa: N802 - the package's name
    symbol: str, *, comment: str | None = None, ticket: int | None = None
) -> bool | Literal["Partially"] | None:
    """Close a symbol's positions, or one: True when all are closed, "Partially" when some are, False when none is."""
    positions = positions_get(ticket=ticket) if ticket is not None else positions_get(symbol=symbol)
    if positions is None:
        return None
    done = 0
    for position in positions:
        side = mt5.ORDER_TYPE_SELL if position.type == mt5.POSITION_TYPE_BUY else mt5.ORDER_TYPE_BUY
        result = _at_market(side, symbol, position.volume, comment, position.ticket)
        if result is None:
            return None
        done += result.retcode == mt5.TRADE_RETCODE_DONE
    if not done:
        return False
    return True if done == len(positions) else "Partially"


def _at_market(
    side: int, symbol: str, volume: float, comment: str | None, ticket: int | None
) -> OrderSendResult | None:
    """Send at the current price, up to ten times while the server asks for another."""
    result = None
    for _ in range(10):
        tick = symbol_info_tick(symbol)
        if tick is None:
            return None
        price = tick.ask if side == mt5.ORDER_TYPE_BUY else tick.bid
        result = _raw_order(side, symbol, volume, price, comment, ticket)
        if result is None or result.retcode not in (mt5.TRADE_RETCODE_REQUOTE, mt5.TRADE_RETCODE_PRICE_OFF):
            break
    return result


def _raw_order(
    side: int, symbol: str, volume: float, price: float, comment: str | None, ticket: int | None
) -> OrderSendResult | None:
    request: dict[str, Any] = {"action": mt5.TRADE_ACTION_DEAL, "symbol": symbol, "volume": volume, "type": side}
    request |= {"price": price, "deviation": 10}
    if comment is not None:
        request["comment"] = comment
    if ticket is not None:
        request["position"] = ticket
    return order_send(request)
