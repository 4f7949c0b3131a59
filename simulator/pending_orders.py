"""Requests that wait or change what waits: pending orders, their modification and removal, and positions' stops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator import checks
from simulator import constants as mt5
from simulator.account import Account, closing_price, side_of
from simulator.ledger import Order, Position, changed
from simulator.plans import Done, Plan, new_order
from simulator.refusals import RequestRefusedError

if TYPE_CHECKING:
    from simulator.market import Quote
    from simulator.structs import TradeRequest
    from simulator.symbols import SimSymbol

PENDING_TYPES = checks.LIMITS + checks.STOPS + checks.STOP_LIMITS


def plan_pending(account: Account, request: TradeRequest) -> Plan:
    """Plan to place a pending order."""
    symbol = checks.known_symbol(account, request.symbol)
    if request.type not in PENDING_TYPES:
        raise RequestRefusedError(mt5.TRADE_RETCODE_INVALID_ORDER)
    quote = checks.live_quote(account, symbol)
    checks.opening_allowed(account, symbol, side_of(request.type))
    volume = checks.volume_on_grid(symbol, request.volume)
    checks.filling_allowed(symbol, request.type_filling, order_type=request.type)
    _prices_allowed(symbol, request, request.type, quote)
    ends_ms = checks.expiration_ms(account, request.type_time, request.expiration)
    checks.room_for_order(account)
    checks.room_for_position(account)

    def book() -> Done:
        order = new_order(account, request, volume, expiration_ms=ends_ms)
        account.ledger.put(order)
        return Done(order=order.ticket, volume=volume, price=request.price)

    return Plan(book=book)


def plan_modify(account: Account, request: TradeRequest) -> Plan:
    """Plan to change a working order's prices and lifetime; what the request leaves out becomes zero."""
    order = _working(account, request.order)
    symbol = checks.known_symbol(account, order.symbol)
    quote = checks.live_quote(account, symbol)
    _order_not_frozen(symbol, order, quote)
    _prices_allowed(symbol, request, order.type, quote)
    wanted = changed(
        order,
        price_open=request.price,
        price_stoplimit=request.stoplimit,
        sl=request.sl,
        tp=request.tp,
        type_time=request.type_time,
        expiration_ms=checks.expiration_ms(account, request.type_time, request.expiration),
    )
    if wanted == order:
        raise RequestRefusedError(mt5.TRADE_RETCODE_NO_CHANGES)

    def book() -> Done:
        account.ledger.put(wanted)
        return Done(order=order.ticket, price=request.price)

    return Plan(book=book)


def plan_remove(account: Account, request: TradeRequest) -> Plan:
    """Plan to cancel a working order."""
    order = _working(account, request.order)
    symbol = checks.known_symbol(account, order.symbol)
    _order_not_frozen(symbol, order, checks.live_quote(account, symbol))

    def book() -> Done:
        account.end_order(order, mt5.ORDER_STATE_CANCELED)
        return Done(order=order.ticket)

    return Plan(book=book)


def plan_stops(account: Account, request: TradeRequest) -> Plan:
    """Plan to set a position's stop and target; zero removes one."""
    position = _held(account, request)
    symbol = checks.known_symbol(account, position.symbol)
    quote = checks.live_quote(account, symbol)
    if (request.sl, request.tp) == (position.sl, position.tp):
        raise RequestRefusedError(mt5.TRADE_RETCODE_NO_CHANGES)
    checks.position_not_frozen(symbol, position, quote)
    base = closing_price(position.type, quote)
    # A level that stays as it is was allowed when it was set, however near the price has come since.
    sl = request.sl if request.sl != position.sl else 0.0
    tp = request.tp if request.tp != position.tp else 0.0
    checks.stops_allowed(symbol, position.type, base, sl=sl, tp=tp)

    def book() -> Done:
        account.ledger.put(changed(position, sl=request.sl, tp=request.tp, update_ms=account.now_ms))
        return Done()

    return Plan(book=book)


def _prices_allowed(symbol: SimSymbol, request: TradeRequest, order_type: int, quote: Quote) -> None:
    """Check a pending order's price against the market, and its stops against its price."""
    checks.pending_price_allowed(symbol, order_type, quote, price=request.price, stoplimit=request.stoplimit)
    base = request.stoplimit if order_type in checks.STOP_LIMITS else request.price
    checks.stops_allowed(symbol, side_of(order_type), base, sl=request.sl, tp=request.tp)


def _order_not_frozen(symbol: SimSymbol, order: Order, quote: Quote) -> None:
    checks.not_frozen(
        symbol, (order.price_open,), quote.ask if side_of(order.type) == mt5.ORDER_TYPE_BUY else quote.bid
    )


def _working(account: Account, ticket: int) -> Order:
    """Return a working order, or refuse a ticket that is not one."""
    order = next((o for o in account.ledger.orders() if o.ticket == ticket), None)
    if order is None:
        raise RequestRefusedError(mt5.TRADE_RETCODE_INVALID)
    return order


def _held(account: Account, request: TradeRequest) -> Position:
    """Return the position that a request names: by ticket, on a netting account by symbol."""
    position = account.position(request.position) if account.hedging else account.position_of(request.symbol)
    if position is None:
        raise RequestRefusedError(mt5.TRADE_RETCODE_POSITION_CLOSED)
    if request.symbol not in ("", position.symbol):
        raise RequestRefusedError(mt5.TRADE_RETCODE_INVALID)
    return position
