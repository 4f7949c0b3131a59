"""Moves an account along the market's path: stops, targets, pending orders, stop-outs, expirations and swap.

Everything happens in the path's order. A level executes at the price of the first tick at or beyond it: at the level
itself or, where the price jumped over it, worse for stops and better for limits and targets. Ticks are scanned as
arrays; only those that may matter are looked at one by one, and these decide with exact money.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from simulator import constants as mt5
from simulator import server_time
from simulator.account import STOP_OUT_PCT, Account, closing_price, opening_price, side_of
from simulator.checks import STOP_LIMITS, money_for, room_for_position
from simulator.ledger import Order, Position, changed
from simulator.market_orders import expected, positions_after
from simulator.money import commission, exact, night_swap
from simulator.path_scan import ABOVE, may_matter, read_path
from simulator.refusals import RequestRefusedError

if TYPE_CHECKING:
    from simulator.market import Quote

SPAN_MS = server_time.DAY_MS  # path that is scanned at once
LIMIT_OF = {
    mt5.ORDER_TYPE_BUY_STOP_LIMIT: mt5.ORDER_TYPE_BUY_LIMIT,
    mt5.ORDER_TYPE_SELL_STOP_LIMIT: mt5.ORDER_TYPE_SELL_LIMIT,
}


def advance(account: Account, to_ms: int) -> None:
    """Live through the path up to ``to_ms`` and commit what happened; a moment that is past changes nothing."""
    to_ms = min(to_ms, account.market.end_ms)
    if to_ms <= account.now_ms:
        return
    if not account.ledger.positions() and not account.ledger.orders():
        account.now_ms = to_ms  # nothing can happen, so there is nothing to commit
        return
    with account.transaction():
        while account.now_ms < to_ms:
            _live_through(account, to_ms)


def _live_through(account: Account, to_ms: int) -> None:
    """Go on to the next midnight, expiration or span's end, whichever comes first."""
    orders, positions = account.ledger.orders(), account.ledger.positions()
    if not orders and not positions:
        account.now_ms = to_ms
        return
    midnight_ms = server_time.next_midnight_ms(account.now_ms)
    expirations = [o.expiration_ms for o in orders if o.expiration_ms]
    until_ms = min([to_ms, midnight_ms, account.now_ms + SPAN_MS, *expirations])
    _walk(account, until_ms, sorted({o.symbol for o in orders} | {p.symbol for p in positions}))
    _expire(account)
    if until_ms == midnight_ms:
        _charge_swap(account)


def _walk(account: Account, until_ms: int, names: list[str]) -> None:
    """Take every tick up to a moment that may matter to the account."""
    path = read_path(account.market, names, account.now_ms, until_ms)
    matters = may_matter(account, path)
    i = 0
    while matters[i:].any():
        i += int(matters[i:].argmax())
        account.now_ms = int(path.time_ms[i])
        if _on_tick(account, names[path.symbol[i]]):
            matters = may_matter(account, path)
        i += 1
    account.now_ms = until_ms


def _on_tick(account: Account, symbol: str) -> bool:
    """Execute what a symbol's tick reaches; return whether anything was booked."""
    quote = account.market.quote(symbol, account.now_ms)
    hit = [(p, level) for p in account.ledger.positions() if p.symbol == symbol and (level := _hit(p, quote))]
    reached = [o for o in account.ledger.orders() if o.symbol == symbol and _reached(o, quote)]
    for position, (reason, comment) in hit:
        close_by_server(account, position, reason, comment)
    for order in reached:
        _activate(account, order, quote)
    return _stop_out(account) or bool(hit or reached)


def _hit(position: Position, quote: Quote) -> tuple[int, str] | None:
    """Return the reason and the comment with which a quote closes a position; its stop counts before its target."""
    direction = 1 if position.type == mt5.POSITION_TYPE_BUY else -1
    price = closing_price(position.type, quote)
    if position.sl and (price - position.sl) * direction <= 0:
        return mt5.ORDER_REASON_SL, f"[sl {exact(position.sl)}]"
    if position.tp and (price - position.tp) * direction >= 0:
        return mt5.ORDER_REASON_TP, f"[tp {exact(position.tp)}]"
    return None


def _reached(order: Order, quote: Quote) -> bool:
    price = opening_price(side_of(order.type), quote)
    return price >= order.price_open if order.type in ABOVE else price <= order.price_open


def close_by_server(account: Account, position: Position, reason: int, comment: str) -> None:
    """Close a position by the server's own order, at the current price."""
    side = mt5.ORDER_TYPE_SELL if position.type == mt5.POSITION_TYPE_BUY else mt5.ORDER_TYPE_BUY
    price = account.price_current(position)
    order = Order(
        ticket=account.next_order_ticket(),
        symbol=position.symbol,
        type=side,
        type_time=mt5.ORDER_TIME_GTC,
        type_filling=mt5.ORDER_FILLING_FOK,
        state=mt5.ORDER_STATE_PLACED,
        magic=position.magic,
        reason=reason,
        comment=comment,
        position_id=position.identifier,
        position_by_id=0,
        volume_initial=position.volume,
        volume_current=position.volume,
        price_open=price,
        price_stoplimit=0.0,
        sl=0.0,
        tp=0.0,
        setup_ms=account.now_ms,
        done_ms=0,
        expiration_ms=0,
    )
    account.fill(order, position, price)


def _activate(account: Account, order: Order, quote: Quote) -> None:
    """Execute a pending order, turn a stop-limit into its limit, or reject what the account cannot carry."""
    if order.type in STOP_LIMITS:
        limit = changed(order, type=LIMIT_OF[order.type], price_open=order.price_stoplimit, price_stoplimit=0.0)
        account.ledger.put(limit)
        return
    symbol = account.market.symbols[order.symbol]
    position = None if account.hedging else account.position_of(order.symbol)
    price = opening_price(side_of(order.type), quote)
    volume = order.volume_current
    try:
        if position is None:
            room_for_position(account, waiting=order)
        outcome = expected(account, symbol, order, position, volume=volume, price=price)
        money_for(account, positions_after(account, position, outcome), commission(symbol, volume, price))
    except RequestRefusedError:
        account.end_order(order, mt5.ORDER_STATE_REJECTED)
        return
    account.fill(order, position, price)


def _stop_out(account: Account) -> bool:
    """Close positions, the largest loser first, until the margin level is above the stop-out; return whether any."""
    closed = False
    while True:
        totals = account.totals()
        if not totals.margin or totals.equity * 100 > totals.margin * Decimal(STOP_OUT_PCT):
            return closed
        tradable = [p for p in account.ledger.positions() if account.market.is_open(p.symbol, account.now_ms)]
        if not tradable:
            return closed
        worst = min(tradable, key=lambda p: (account.floating(p) + p.swap, p.ticket))
        close_by_server(account, worst, mt5.ORDER_REASON_SO, f"[so {totals.margin_level:.2f}%]")
        closed = True


def _expire(account: Account) -> None:
    for order in account.ledger.orders():
        if 0 < order.expiration_ms <= account.now_ms:
            account.end_order(order, mt5.ORDER_STATE_EXPIRED)


def _charge_swap(account: Account) -> None:
    """Add the night that ends now to every position's swap; every night counts once, weekends too."""
    for position in account.ledger.positions():
        symbol = account.market.symbols[position.symbol]
        night = night_swap(symbol, position.type, position.volume, account.price_current(position))
        account.ledger.put(changed(position, swap=position.swap + night))
