"""What the simulated server checks before it executes a request; each check raises with the retcode of a refusal.

Prices and volumes are compared as the decimals they are written as, so that a volume of ``0.1 + 0.2`` is refused:
it is not on the grid, and a client that sends it has not rounded.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING

from simulator import constants as mt5
from simulator import server_time
from simulator.account import Account, closing_price, opening_price
from simulator.money import exact
from simulator.refusals import RequestRefusedError

if TYPE_CHECKING:
    from simulator.ledger import Order, Position
    from simulator.market import Quote
    from simulator.structs import TradeRequest
    from simulator.symbols import SimSymbol

# Bits of SymbolInfo.filling_mode; the Python package has no names for them.
FILLING_BITS = {mt5.ORDER_FILLING_FOK: 1, mt5.ORDER_FILLING_IOC: 2, mt5.ORDER_FILLING_BOC: 4}
PRICED_EXECUTIONS = (mt5.SYMBOL_TRADE_EXECUTION_REQUEST, mt5.SYMBOL_TRADE_EXECUTION_INSTANT)
LIMITS = (mt5.ORDER_TYPE_BUY_LIMIT, mt5.ORDER_TYPE_SELL_LIMIT)
STOPS = (mt5.ORDER_TYPE_BUY_STOP, mt5.ORDER_TYPE_SELL_STOP)
STOP_LIMITS = (mt5.ORDER_TYPE_BUY_STOP_LIMIT, mt5.ORDER_TYPE_SELL_STOP_LIMIT)
DAILY = (mt5.ORDER_TIME_DAY, mt5.ORDER_TIME_SPECIFIED_DAY)


def known_symbol(account: Account, name: str) -> SimSymbol:
    """Return the symbol, or refuse a name that the server does not trade."""
    if name not in account.market.symbols:
        raise RequestRefusedError(mt5.TRADE_RETCODE_INVALID)
    return account.market.symbols[name]


def live_quote(account: Account, symbol: SimSymbol) -> Quote:
    """Return the symbol's quote, or refuse while it is disabled, closed or without a price."""
    if account.trade_modes[symbol.name] == mt5.SYMBOL_TRADE_MODE_DISABLED:
        raise RequestRefusedError(mt5.TRADE_RETCODE_TRADE_DISABLED)
    if not account.market.is_open(symbol.name, account.now_ms):
        raise RequestRefusedError(mt5.TRADE_RETCODE_MARKET_CLOSED)
    quote = account.quote(symbol.name)
    if quote is None:
        raise RequestRefusedError(mt5.TRADE_RETCODE_PRICE_OFF)
    return quote


def opening_allowed(account: Account, symbol: SimSymbol, side: int) -> None:
    """Refuse new exposure that the symbol's trade mode forbids."""
    mode = account.trade_modes[symbol.name]
    if mode == mt5.SYMBOL_TRADE_MODE_CLOSEONLY:
        raise RequestRefusedError(mt5.TRADE_RETCODE_CLOSE_ONLY)
    if mode == mt5.SYMBOL_TRADE_MODE_LONGONLY and side == mt5.ORDER_TYPE_SELL:
        raise RequestRefusedError(mt5.TRADE_RETCODE_LONG_ONLY)
    if mode == mt5.SYMBOL_TRADE_MODE_SHORTONLY and side == mt5.ORDER_TYPE_BUY:
        raise RequestRefusedError(mt5.TRADE_RETCODE_SHORT_ONLY)


def volume_on_grid(symbol: SimSymbol, volume: float) -> Decimal:
    """Return the volume in lots, or refuse one outside the symbol's least, largest or step."""
    if not math.isfinite(volume):
        raise RequestRefusedError(mt5.TRADE_RETCODE_INVALID_VOLUME)
    lots = exact(volume)
    within = exact(symbol.volume_min) <= lots <= exact(symbol.volume_max)
    if not within or lots % exact(symbol.volume_step):
        raise RequestRefusedError(mt5.TRADE_RETCODE_INVALID_VOLUME)
    return lots


def closing_volume(symbol: SimSymbol, position: Position, volume: float) -> Decimal:
    """Return the volume to close of a position, or refuse more than it has; the whole of it is always allowed."""
    if math.isfinite(volume) and exact(volume) == position.volume:
        return position.volume
    lots = volume_on_grid(symbol, volume)
    if lots > position.volume:
        raise RequestRefusedError(mt5.TRADE_RETCODE_INVALID_CLOSE_VOLUME)
    return lots


def filling_allowed(symbol: SimSymbol, filling: int, *, order_type: int) -> None:
    """Refuse a filling mode that the symbol's bits and execution do not offer.

    RETURN never goes with a market order under market execution, and always with a pending one; FOK and IOC always go
    under request and instant execution, elsewhere by their bits; BOC is for limit orders only.
    """
    pending = order_type not in (mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_SELL)
    if filling == mt5.ORDER_FILLING_RETURN:
        allowed = pending or symbol.trade_exemode != mt5.SYMBOL_TRADE_EXECUTION_MARKET
    elif filling == mt5.ORDER_FILLING_BOC:
        allowed = order_type in LIMITS + STOP_LIMITS and bool(symbol.filling_mode & FILLING_BITS[filling])
    elif filling in FILLING_BITS:
        allowed = symbol.trade_exemode in PRICED_EXECUTIONS or bool(symbol.filling_mode & FILLING_BITS[filling])
    else:
        allowed = False
    if not allowed:
        raise RequestRefusedError(mt5.TRADE_RETCODE_INVALID_FILL)


def price_acceptable(symbol: SimSymbol, request: TradeRequest, quote: Quote) -> None:
    """Refuse a market order's price where it counts: under request and instant execution, beyond the deviation."""
    if symbol.trade_exemode not in PRICED_EXECUTIONS:
        return
    if not on_price_grid(symbol, request.price):
        raise RequestRefusedError(mt5.TRADE_RETCODE_INVALID_PRICE)
    slip = abs(exact(request.price) - exact(opening_price(request.type, quote)))
    if slip > request.deviation * exact(symbol.point):
        raise RequestRefusedError(mt5.TRADE_RETCODE_REQUOTE)


def on_price_grid(symbol: SimSymbol, price: float) -> bool:
    """Return whether a price is positive and has no more decimals than the symbol."""
    return math.isfinite(price) and price > 0 and price == round(price, symbol.digits)


def stops_allowed(symbol: SimSymbol, side: int, base: float, *, sl: float, tp: float) -> None:
    """Refuse a stop or a target on the wrong side of ``base`` or nearer to it than the stops level.

    ``base`` is where the position would close now (market orders and positions) or an order's own price; 0 is no stop.
    """
    direction = 1 if side == mt5.ORDER_TYPE_BUY else -1
    least = max(symbol.stops_level, 1) * exact(symbol.point)
    for level, sign in ((sl, -direction), (tp, direction)):
        if level == 0:
            continue
        if not on_price_grid(symbol, level) or (exact(level) - exact(base)) * sign < least:
            raise RequestRefusedError(mt5.TRADE_RETCODE_INVALID_STOPS)


def not_frozen(symbol: SimSymbol, levels: tuple[float, ...], price: float) -> None:
    """Refuse to touch what may be executing: one of its levels is within the freeze level of the price."""
    near = symbol.freeze_level * exact(symbol.point)
    if near and any(level and abs(exact(level) - exact(price)) <= near for level in levels):
        raise RequestRefusedError(mt5.TRADE_RETCODE_FROZEN)


def position_not_frozen(symbol: SimSymbol, position: Position, quote: Quote) -> None:
    """Refuse to touch a position whose stop or target is about to be hit."""
    not_frozen(symbol, (position.sl, position.tp), closing_price(position.type, quote))


def pending_price_allowed(symbol: SimSymbol, order_type: int, quote: Quote, *, price: float, stoplimit: float) -> None:
    """Refuse a pending order whose price is off the grid, on the wrong side of the market or too near to it."""
    buying = order_type in (mt5.ORDER_TYPE_BUY_LIMIT, mt5.ORDER_TYPE_BUY_STOP, mt5.ORDER_TYPE_BUY_STOP_LIMIT)
    above = buying != (order_type in LIMITS)  # buy stops and sell limits wait above the market
    least = max(symbol.stops_level, 1) * exact(symbol.point)
    if not on_price_grid(symbol, price):
        raise RequestRefusedError(mt5.TRADE_RETCODE_INVALID_PRICE)
    away = exact(price) - exact(quote.ask if buying else quote.bid)
    if (away if above else -away) < least:
        raise RequestRefusedError(mt5.TRADE_RETCODE_INVALID_PRICE)
    if order_type in STOP_LIMITS:
        beyond = (stoplimit > price) if buying else (stoplimit < price)
        if beyond or not on_price_grid(symbol, stoplimit):
            raise RequestRefusedError(mt5.TRADE_RETCODE_INVALID_PRICE)


def expiration_ms(account: Account, type_time: int, expiration_s: int) -> int:
    """Return the UTC moment at which an order of this lifetime ends, 0 for never, or refuse one in the past."""
    if type_time == mt5.ORDER_TIME_GTC:
        return 0
    if type_time == mt5.ORDER_TIME_DAY:
        return server_time.next_midnight_ms(account.now_ms)
    ends = server_time.to_utc_ms(expiration_s * 1000)
    if type_time not in (mt5.ORDER_TIME_SPECIFIED, mt5.ORDER_TIME_SPECIFIED_DAY) or ends <= account.now_ms:
        raise RequestRefusedError(mt5.TRADE_RETCODE_INVALID_EXPIRATION)
    return server_time.next_midnight_ms(ends) if type_time == mt5.ORDER_TIME_SPECIFIED_DAY else ends


def room_for_position(account: Account, *, waiting: Order | None = None) -> None:
    """Refuse one more position on a hedging account whose positions and working orders reached the limit.

    ``waiting`` is the working order that would become the position, which is counted already.
    """
    if not account.hedging:
        return
    others = len(account.ledger.positions()) + len(account.ledger.orders()) - (waiting is not None)
    if others >= account.limit_orders:
        raise RequestRefusedError(mt5.TRADE_RETCODE_LIMIT_POSITIONS)


def room_for_order(account: Account) -> None:
    """Refuse one more working order than the account may have."""
    if len(account.ledger.orders()) >= account.limit_orders:
        raise RequestRefusedError(mt5.TRADE_RETCODE_LIMIT_ORDERS)


def money_for(account: Account, after: list[Position], charge: Decimal) -> None:
    """Refuse a trade whose margin is more than equity less its commission, unless it needs no more than now."""
    totals = account.totals()
    margin = account.margin(after)
    if margin > totals.margin and totals.equity + charge < margin:
        raise RequestRefusedError(mt5.TRADE_RETCODE_NO_MONEY)
