"""Faults of what is held: stops that vanish, positions that others close, trades and money that are not ours."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from simulator import constants as mt5
from simulator import trading
from simulator.faults.asked import has_stop, is_close, is_deal
from simulator.faults.base import Fault
from simulator.faults.names import HELD, SEND
from simulator.ledger import Position, changed
from simulator.market_orders import target
from simulator.money import exact
from simulator.refusals import RequestRefusedError
from simulator.structs import TradeRequest
from simulator.triggers import close_by_server

if TYPE_CHECKING:
    from simulator.faults.call import Call

KINDS = {
    "balance": mt5.DEAL_TYPE_BALANCE,
    "credit": mt5.DEAL_TYPE_CREDIT,
    "commission": mt5.DEAL_TYPE_COMMISSION,
    "interest": mt5.DEAL_TYPE_INTEREST,
}
REASONS = {"stop": (mt5.ORDER_REASON_SL, "[sl]"), "stop-out": (mt5.ORDER_REASON_SO, "[so]")}


def strip_stops(call: Call) -> Any:
    """Execute an order without the stop and the target that it carries, and answer as if it had them."""
    request = call.request
    bare = trading.send(call.account, request._replace(sl=0.0, tp=0.0), call.server.next_request_id())
    return bare._replace(request=request)


def drop_stop(call: Call) -> Any:
    """Take the stop of a position away before it is read."""
    account = call.account
    position = next(p for p in account.ledger.positions() if p.sl)
    with account.transaction():
        account.ledger.put(changed(position, sl=0.0))
    call.note(f"position {position.ticket} lost its stop at {position.sl:g}")
    return call.go()


def close_first(call: Call) -> Any:
    """Have the server close the position before the close arrives."""
    position = _to_be_closed(call)
    if position is not None:
        reason, comment = REASONS[call.parameter("by")]
        with call.account.transaction():
            close_by_server(call.account, position, reason, comment)
        call.note(f"position {position.ticket} was closed by its {call.parameter('by')}")
    return call.go()


def shrink_first(call: Call) -> Any:
    """Have its owner close a part of the position by hand before the close arrives."""
    position = _to_be_closed(call)
    if position is not None:
        spec = call.account.market.symbols[position.symbol]
        part = position.volume * exact(call.parameter("fraction")) // exact(spec.volume_step) * exact(spec.volume_step)
        side = mt5.ORDER_TYPE_SELL if position.type == mt5.POSITION_TYPE_BUY else mt5.ORDER_TYPE_BUY
        retcode = _by_hand(call, position.symbol, side, part, position=position.ticket)
        call.note(f"{part} of {position.volume} lots of position {position.ticket} closed by hand: {retcode}")
    return call.go()


def rewrite_comment(call: Call) -> Any:
    """Keep another comment than the one that was sent."""
    request, comment = call.request, call.parameter("comment")
    done = trading.send(call.account, request._replace(comment=comment), call.server.next_request_id())
    return done._replace(request=request)


def trade_by_hand(call: Call) -> Any:
    """Have somebody else open a position, or place an order, on the account."""
    symbol = call.parameter("traded") or call.symbol or next(iter(call.account.market.symbols))
    side = mt5.ORDER_TYPE_BUY if call.parameter("side") == "buy" else mt5.ORDER_TYPE_SELL
    volume, magic = exact(call.parameter("volume")), call.parameter("magic")
    if call.parameter("kind") == "order":
        quote = call.account.market.quote(symbol, call.account.now_ms)
        digits = call.account.market.symbols[symbol].digits
        far = round(quote.bid * (0.9 if side == mt5.ORDER_TYPE_BUY else 1.1), digits)
        limit = mt5.ORDER_TYPE_BUY_LIMIT if side == mt5.ORDER_TYPE_BUY else mt5.ORDER_TYPE_SELL_LIMIT
        retcode = _by_hand(call, symbol, limit, volume, price=far, action=mt5.TRADE_ACTION_PENDING, magic=magic)
    else:
        retcode = _by_hand(call, symbol, side, volume, magic=magic)
    call.note(f"{call.parameter('side')} {volume} {symbol} by hand, as {call.parameter('kind')}: {retcode}")
    return call.go()


def move_cash(call: Call) -> Any:
    """Book money that comes or goes without a trade."""
    amount, kind = Decimal(str(call.parameter("amount"))), call.parameter("kind")
    with call.account.transaction():
        call.account.book_cash(amount, kind, kind=KINDS[kind])
    call.note(f"{kind} {amount}")
    return call.go()


def _to_be_closed(call: Call) -> Position | None:
    try:
        return target(call.account, call.request)
    except RequestRefusedError:
        return None


def _by_hand(call: Call, symbol: str, side: int, volume: Decimal, **fields: Any) -> int:
    """Send a request that is not the caller's, and return its retcode."""
    values: dict[str, Any] = dict.fromkeys(TradeRequest._fields, 0) | dict.fromkeys(
        ("price", "stoplimit", "sl", "tp"), 0.0
    )
    values |= {"action": mt5.TRADE_ACTION_DEAL, "symbol": symbol, "type": side, "volume": float(volume), "comment": ""}
    bits = call.account.market.symbols[symbol].filling_mode
    values |= {"type_filling": mt5.ORDER_FILLING_FOK if bits & 1 else mt5.ORDER_FILLING_IOC}
    if fields.get("action") == mt5.TRADE_ACTION_PENDING:
        values |= {"type_filling": mt5.ORDER_FILLING_RETURN}
    request = TradeRequest(**(values | fields))
    return trading.send(call.account, request, call.server.next_request_id()).retcode


def has_stopped_position(call: Call) -> bool:
    """Return whether any position has a stop."""
    return any(p.sl for p in call.account.ledger.positions())


FAULTS = (
    Fault(
        id="M33",
        does="executed without the stop and the target of the request, and answered as if with them",
        calls=SEND,
        play=strip_stops,
        applies=has_stop,
    ),
    Fault(
        id="M34",
        does="before it is read, a position loses its stop",
        calls=("positions_get",),
        play=drop_stop,
        applies=has_stopped_position,
    ),
    Fault(
        id="M40",
        does="before a close arrives, the server closes the position by its 'stop' or a 'stop-out'",
        calls=SEND,
        play=close_first,
        parameters={"by": "stop"},
        applies=is_close,
    ),
    Fault(
        id="M42",
        does="before a close arrives, a fraction of the position is closed by hand",
        calls=SEND,
        play=shrink_first,
        parameters={"fraction": 0.5},
        applies=is_close,
    ),
    Fault(
        id="M46",
        does="position, order and deal bear another comment than the one that was sent",
        calls=SEND,
        play=rewrite_comment,
        parameters={"comment": "rewritten"},
        applies=is_deal,
    ),
    Fault(
        id="M51",
        does="somebody else opens a 'position' or places an 'order' on the account, with this magic",
        calls=(*HELD, *SEND, "account_info"),
        play=trade_by_hand,
        parameters={"kind": "position", "traded": None, "side": "buy", "volume": 0.05, "magic": 0},
    ),
    Fault(
        id="M52",
        does="money is booked without a trade: 'balance', 'credit', 'commission' or 'interest'",
        calls=("account_info", "positions_get"),
        play=move_cash,
        parameters={"kind": "balance", "amount": -100.0},
    ),
)
