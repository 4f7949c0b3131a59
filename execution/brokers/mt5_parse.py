"""MetaTrader 5 structures as our values. Pure, and loud: a field that is missing or absurd raises.

The structs are only trusted to have attributes and ``_asdict()``. Times in them are the server's wall clock written as
seconds since 1970, so the way to UTC comes in as a function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from execution.brokers.mt5_requests import Mt5Symbol
from execution.planning.orders import (
    AccountKind,
    AccountSnapshot,
    CashKind,
    CashMovement,
    Fill,
    FillEntry,
    MarginMode,
    OrderKind,
    Position,
    Quote,
    Side,
    SymbolSpec,
    TradeMode,
    WorkingOrder,
)
from execution.planning.rounding import decimal_from_float, money_from_float_half_even, volume_from_float_half_even
from execution.safety.outcomes import Reply

ToUtc = Callable[[int], datetime]  # the server's seconds to an aware UTC time

# An exchange account nets, too.
MARGIN_MODES = {0: MarginMode.NETTING, 1: MarginMode.NETTING, 2: MarginMode.HEDGING}
ACCOUNT_KINDS = {0: AccountKind.DEMO, 1: AccountKind.CONTEST, 2: AccountKind.REAL}
TRADE_MODES = {
    0: TradeMode.DISABLED,
    1: TradeMode.LONG_ONLY,
    2: TradeMode.SHORT_ONLY,
    3: TradeMode.CLOSE_ONLY,
    4: TradeMode.FULL,
}
SIDES = {0: Side.BUY, 1: Side.SELL}  # of positions and of deals that trade; other deals move cash
CREDIT = 3  # lent by the broker: part of the equity, and never of the balance
CASH_TYPES = {2: CashKind.CASH, 6: CashKind.CASH}  # balance, bonus; all others are charges
ORDER_KINDS = {
    0: (Side.BUY, OrderKind.MARKET),
    1: (Side.SELL, OrderKind.MARKET),
    2: (Side.BUY, OrderKind.LIMIT),
    3: (Side.SELL, OrderKind.LIMIT),
    4: (Side.BUY, OrderKind.STOP),
    5: (Side.SELL, OrderKind.STOP),
    6: (Side.BUY, OrderKind.STOP_LIMIT),
    7: (Side.SELL, OrderKind.STOP_LIMIT),
}
CLOSE_BY = 8  # an order type without a side of its own
ENTRIES = {0: FillEntry.IN, 1: FillEntry.OUT, 2: FillEntry.IN_OUT, 3: FillEntry.OUT_BY}


def parse_account(info: Any) -> AccountSnapshot:
    """Return the account of ``account_info()``."""
    digits = int(info.currency_digits)
    return AccountSnapshot(
        login=int(info.login),
        server=str(info.server),
        currency=str(info.currency),
        balance=money_from_float_half_even(info.balance, digits),
        equity=money_from_float_half_even(info.equity, digits),
        margin=money_from_float_half_even(info.margin, digits),
        margin_free=money_from_float_half_even(info.margin_free, digits),
        leverage=int(info.leverage),
        margin_mode=MARGIN_MODES[info.margin_mode],
        trade_allowed=bool(info.trade_allowed),
        trade_expert=bool(info.trade_expert),
        kind=ACCOUNT_KINDS[info.trade_mode],
    )


def parse_symbol(info: Any) -> Mt5Symbol:
    """Return the specification of ``symbol_info()``."""
    point = decimal_from_float(info.point)
    spec = SymbolSpec(
        symbol=str(info.name),
        digits=int(info.digits),
        point=point,
        contract_size=decimal_from_float(info.trade_contract_size),
        volume_min=volume_from_float_half_even(info.volume_min),
        volume_step=volume_from_float_half_even(info.volume_step),
        volume_max=volume_from_float_half_even(info.volume_max),
        volume_limit=volume_from_float_half_even(info.volume_limit),
        currency_base=str(info.currency_base),
        currency_profit=str(info.currency_profit),
        stops_distance=info.trade_stops_level * point,
        freeze_distance=info.trade_freeze_level * point,
        trade_mode=TRADE_MODES[info.trade_mode],
    )
    return Mt5Symbol(spec, filling_mode=int(info.filling_mode), trade_exemode=int(info.trade_exemode))


def parse_selected_symbol(info: Any) -> Mt5Symbol | None:
    """Return the specification, or None while the symbol is not in the Market Watch."""
    return parse_symbol(info) if info.select else None


def parse_quote(symbol: str, tick: Any, to_utc: ToUtc) -> Quote:
    """Return the quote of ``symbol_info_tick()``."""
    bid, ask = decimal_from_float(tick.bid), decimal_from_float(tick.ask)
    return Quote(symbol=symbol, bid=bid, ask=ask, at=to_utc(tick.time))


def parse_position(position: Any, to_utc: ToUtc) -> Position:
    """Return one of ``positions_get()``."""
    return Position(
        ticket=int(position.ticket),
        symbol=str(position.symbol),
        side=SIDES[position.type],
        volume=volume_from_float_half_even(position.volume),
        price_open=decimal_from_float(position.price_open),
        opened_at=to_utc(position.time),
        magic=int(position.magic),
        stop=_level(position.sl),
        target=_level(position.tp),
        profit=money_from_float_half_even(position.profit),
        swap=money_from_float_half_even(position.swap),
    )


def parse_order(order: Any, to_utc: ToUtc) -> WorkingOrder:
    """Return one of ``orders_get()``."""
    side, kind = (Side.BUY, OrderKind.CLOSE_BY) if order.type == CLOSE_BY else ORDER_KINDS[order.type]
    return WorkingOrder(
        order_id=int(order.ticket),
        symbol=str(order.symbol),
        side=side,
        kind=kind,
        volume_left=volume_from_float_half_even(order.volume_current),
        price=decimal_from_float(order.price_open),
        placed_at=to_utc(order.time_setup),
        magic=int(order.magic),
        position_ticket=int(order.position_id) or None,
    )


def parse_fills(deals: Iterable[Any], to_utc: ToUtc) -> tuple[Fill, ...]:
    """Return the deals of ``history_deals_get()`` that traded, oldest first; cash movements are not fills."""
    fills = (parse_fill(deal, to_utc) for deal in deals if deal.type in SIDES)
    # By number: the server's clock shows one hour of each year twice.
    return tuple(sorted(fills, key=lambda fill: fill.deal_id))


def parse_cash(deals: Iterable[Any], to_utc: ToUtc) -> tuple[CashMovement, ...]:
    """Return the deals of ``history_deals_get()`` that moved the balance without a trade, oldest first."""
    moved = (parse_movement(deal, to_utc) for deal in deals if deal.type not in (*SIDES, CREDIT))
    return tuple(sorted(moved, key=lambda movement: movement.deal_id))


def parse_movement(deal: Any, to_utc: ToUtc) -> CashMovement:
    """Return one deal that did not trade."""
    parts = (deal.profit, deal.commission, deal.swap, deal.fee)
    return CashMovement(
        deal_id=int(deal.ticket),
        kind=CASH_TYPES.get(deal.type, CashKind.CHARGE),
        amount=sum((money_from_float_half_even(part) for part in parts), Decimal(0)),
        at=to_utc(deal.time),
    )


def parse_fill(deal: Any, to_utc: ToUtc) -> Fill:
    """Return one deal that traded."""
    return Fill(
        deal_id=int(deal.ticket),
        order_id=int(deal.order),
        position_id=int(deal.position_id),
        symbol=str(deal.symbol),
        side=SIDES[deal.type],
        entry=ENTRIES[deal.entry],
        volume=volume_from_float_half_even(deal.volume),
        price=decimal_from_float(deal.price),
        profit=money_from_float_half_even(deal.profit),
        commission=money_from_float_half_even(deal.commission),
        swap=money_from_float_half_even(deal.swap),
        fee=money_from_float_half_even(deal.fee),
        magic=int(deal.magic),
        at=to_utc(deal.time),
    )


def parse_reply(result: Any, last_error: tuple[int, str]) -> Reply:
    """Return what an answer's meaning depends on. Total: an absurd answer is one that proves nothing."""
    if result is None:
        return Reply(retcode=None, last_error=last_error)
    try:
        return Reply(
            retcode=int(result.retcode),
            last_error=last_error,
            volume=volume_from_float_half_even(result.volume),
            deal_id=int(result.deal),
        )
    except (AttributeError, TypeError, ValueError, ArithmeticError):
        return Reply(retcode=None, last_error=None)


def _level(price: float) -> Decimal | None:
    """Return a stop or target; the terminal writes 0 where there is none."""
    return decimal_from_float(price) if price else None
