"""Requests that execute at once: market deals, and closing a position by an opposite one."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from simulator import checks
from simulator import constants as mt5
from simulator.account import Account, closing_price, opening_price, side_of
from simulator.ledger import Order, Position, changed
from simulator.money import commission
from simulator.plans import Done, Plan, new_order
from simulator.refusals import RequestRefusedError
from simulator.settlement import Fill, Settlement, settle

if TYPE_CHECKING:
    from simulator.structs import TradeRequest
    from simulator.symbols import SimSymbol

SIDES = (mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_SELL)


def plan_deal(account: Account, request: TradeRequest) -> Plan:
    """Plan a market order: it buys at the ask or sells at the bid of the current quote."""
    symbol = checks.known_symbol(account, request.symbol)
    if request.type not in SIDES:
        raise RequestRefusedError(mt5.TRADE_RETCODE_INVALID_ORDER)
    quote = checks.live_quote(account, symbol)
    position = target(account, request)
    if account.hedging and position is not None:
        volume = checks.closing_volume(symbol, position, request.volume)
    else:
        volume = checks.volume_on_grid(symbol, request.volume)
    checks.filling_allowed(symbol, request.type_filling, order_type=request.type)
    checks.price_acceptable(symbol, request, quote)
    checks.stops_allowed(symbol, request.type, closing_price(request.type, quote), sl=request.sl, tp=request.tp)
    if position is not None and position.type != request.type:
        checks.position_not_frozen(symbol, position, quote)
    if position is None or position.type == request.type or volume > position.volume:
        checks.opening_allowed(account, symbol, request.type)
    if position is None:
        checks.room_for_position(account)
    price = opening_price(request.type, quote)
    outcome = expected(account, symbol, request, position, volume=volume, price=price)
    after = positions_after(account, position, outcome)
    charge = commission(symbol, volume, price)
    checks.money_for(account, after, charge)

    def book() -> Done:
        deal = account.fill(new_order(account, request, volume), position, price)
        return Done(deal=deal.ticket, order=deal.order_ticket, volume=volume, price=price)

    return Plan(book=book, positions=after, realised=outcome.profit + outcome.swap + charge)


def target(account: Account, request: TradeRequest) -> Position | None:
    """Return the position that a market order is executed against, None where it opens one.

    On a hedging account that is the ticket in ``position``. A netting server has one position a symbol and does not
    look at the ticket, so there an order that was meant to close one that is gone opens a new one.
    """
    if not account.hedging:
        return account.position_of(request.symbol)
    if not request.position:
        return None
    position = account.position(request.position)
    if position is None:
        raise RequestRefusedError(mt5.TRADE_RETCODE_POSITION_CLOSED)
    if position.symbol != request.symbol or position.type == request.type:
        raise RequestRefusedError(mt5.TRADE_RETCODE_INVALID)
    return position


def expected(
    account: Account,
    symbol: SimSymbol,
    request: TradeRequest | Order,
    position: Position | None,
    *,
    volume: Decimal,
    price: float,
) -> Settlement:
    """Return what executing a volume would do, before it has a ticket."""
    fill = Fill(
        order_ticket=0, side=side_of(request.type), volume=volume, price=price, time_ms=account.now_ms, reason=0
    )
    return settle(symbol, position, fill)


def positions_after(account: Account, position: Position | None, outcome: Settlement) -> list[Position]:
    """Return all positions as they would be."""
    others = [p for p in account.ledger.positions() if position is None or p.ticket != position.ticket]
    return others if outcome.after is None else [*others, outcome.after]


def plan_close_by(account: Account, request: TradeRequest) -> Plan:
    """Plan to close a position by an opposite one of the same symbol: the smaller volume of both, at no spread.

    Both deals are at the opening price of the opposite position, so the first carries the whole profit.
    """
    first, second = account.position(request.position), account.position(request.position_by)
    if not account.hedging:
        raise RequestRefusedError(mt5.TRADE_RETCODE_INVALID)
    if first is None or second is None:
        raise RequestRefusedError(mt5.TRADE_RETCODE_POSITION_CLOSED)
    if first.symbol != second.symbol or first.type == second.type:
        raise RequestRefusedError(mt5.TRADE_RETCODE_INVALID)
    symbol = checks.known_symbol(account, first.symbol)
    quote = checks.live_quote(account, symbol)
    for position in (first, second):
        checks.position_not_frozen(symbol, position, quote)
    volume = min(first.volume, second.volume)
    price = second.price_open

    def book() -> Done:
        named = request._replace(symbol=first.symbol)
        order = new_order(
            account,
            named,
            volume,
            type=mt5.ORDER_TYPE_CLOSE_BY,
            position_id=first.identifier,
            position_by_id=second.identifier,
        )
        deals = [_close_by_deal(account, order, p, volume, price) for p in (first, second)]
        account.end_order(changed(order, volume_current=Decimal(0)))
        return Done(deal=deals[0], order=order.ticket, volume=volume, price=price)

    return Plan(book=book)


def _close_by_deal(account: Account, order: Order, position: Position, volume: Decimal, price: float) -> int:
    """Book one side of a close-by and return its deal's ticket."""
    symbol = account.market.symbols[position.symbol]
    side = mt5.ORDER_TYPE_BUY if position.type == mt5.POSITION_TYPE_SELL else mt5.ORDER_TYPE_SELL
    fill = Fill(
        order_ticket=order.ticket, side=side, volume=volume, price=price, time_ms=account.now_ms, reason=order.reason
    )
    outcome = settle(symbol, position, fill)
    account.replace_position(position, outcome.after)
    deal = account.add_deal(
        order,
        type=side,
        entry=mt5.DEAL_ENTRY_OUT_BY,
        position_id=position.identifier,
        volume=volume,
        price=price,
        commission=commission(symbol, volume, price),
        swap=outcome.swap,
        profit=outcome.profit,
    )
    return deal.ticket
