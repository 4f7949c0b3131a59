"""Faults of execution: answers that are lost, late, partial or strange, and what the venue truly did."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from simulator import constants as mt5
from simulator import trading
from simulator.account import Account, opening_price
from simulator.faults.asked import in_words, is_deal, is_returned, is_split, opens_split, unanswered
from simulator.faults.base import Fault
from simulator.faults.call import MarketView, viewed
from simulator.faults.names import HELD, PAST, SEND
from simulator.ledger import Order, changed
from simulator.market import Quote
from simulator.market_orders import target
from simulator.money import exact
from simulator.plans import Done, new_order
from simulator.refusals import RETCODE_TEXTS, RequestRefusedError

if TYPE_CHECKING:
    from simulator.faults.call import Call
    from simulator.structs import OrderSendResult, TradeRequest
    from simulator.symbols import SimSymbol

LOST = mt5.RES_E_INTERNAL_FAIL_RECEIVE
LARGEST_KNOWN = 10_046


def lose_reply(call: Call) -> Any:
    """Lose the answer of an order that was executed, or was not."""
    reply = call.parameter("reply")
    happened = f"venue said {_said(call.go())}" if call.parameter("executed") else "not executed"
    call.note(f"{happened}, {in_words(reply)}")
    return unanswered(call, reply)


def late(call: Call) -> Any:
    """Lose an answer whose fill, or the report of it, comes later; while it goes on history may hide or repeat it."""
    if call.name != "order_send":
        return _reported_late(call)
    if "orders" in call.memory:
        return call.go()
    how, after_s = call.parameter("how"), call.parameter("after_s")
    call.memory["orders"] = set()
    if how == "fills late":
        call.request  # noqa: B018 - one that makes no sense fails now, not later
        call.account  # noqa: B018
        due_ms = call.now_ms + round(after_s * 1000)
        call.player.later(due_ms, partial(_fill_late, call, due_ms))
        call.begun.until_ms = call.now_ms
        call.note(f"{in_words(call.parameter('reply'))}, to be executed in {after_s:g} s")
        return unanswered(call, call.parameter("reply"))
    done = call.go()
    call.memory["orders"].add(getattr(done, "order", 0))
    call.begun.until_ms = call.now_ms + round(after_s * 1000)
    call.note(f"venue said {_said(done)}, {in_words(call.parameter('reply'))}, {how} for {after_s:g} s")
    return unanswered(call, call.parameter("reply"))


def _fill_late(call: Call, due_ms: int, account: Account) -> None:
    done = trading.send(account, call.request, call.server.next_request_id())
    call.player.record(call, f"venue said {done.retcode}, order {done.order}, {done.volume:g} lots", later_ms=due_ms)


def _reported_late(call: Call) -> Any:
    rows, orders = call.go(), call.memory.get("orders", set())
    if rows is None or not orders:
        return rows
    if call.parameter("how") == "shows twice":
        return tuple(row for row in rows for _ in range(1 + (_order_of(call, row) in orders and call.name in PAST)))
    return tuple(row for row in rows if _order_of(call, row) not in orders)


def _order_of(call: Call, row: Any) -> int:
    return int(row.order if call.name == "history_deals_get" else row.ticket)


def placed(call: Call) -> Any:
    """Accept a market order and answer before it is executed; then fill it, reject it, or leave it."""
    account, request = call.account, call.request
    with account.transaction():
        order = changed(new_order(account, request, exact(request.volume)), price_open=0.0)
        account.ledger.put(order)
    then, after_s = call.parameter("then"), call.parameter("after_s")
    if then != "stay":
        due_ms = call.now_ms + round(after_s * 1000)
        call.player.later(due_ms, partial(_end_placed, call, order, due_ms))
    call.note(f"answered 10008 for order {order.ticket}, then: {then} in {after_s:g} s")
    done = Done(order=order.ticket, volume=order.volume_initial)
    return _reply(call, mt5.TRADE_RETCODE_PLACED, done)


def _end_placed(call: Call, order: Order, due_ms: int, account: Account) -> None:
    filled = False
    with account.transaction():
        if call.parameter("then") == "fill":
            filled = _fill(account, call.request, order)
        if not filled:
            account.end_order(order, mt5.ORDER_STATE_REJECTED)
    call.player.record(call, f"order {order.ticket} {'filled' if filled else 'rejected'}", later_ms=due_ms)


def _fill(account: Account, request: TradeRequest, order: Order) -> bool:
    """Fill a waiting order, unless the position that it closes is gone."""
    quote = account.quote(order.symbol)
    try:
        position = target(account, request)
    except RequestRefusedError:
        return False
    if quote is None or (account.hedging and position is not None and position.volume < order.volume_current):
        return False
    account.fill(order, position, opening_price(request.type, quote))
    return True


def partly(call: Call) -> Any:
    """Execute a part; the rest is cancelled, or stays as a working order."""
    account, request = call.account, call.request
    spec, whole = account.market.symbols[request.symbol], exact(request.volume)
    part = _on_grid(spec, whole * exact(call.parameter("fraction")), whole)
    done = trading.send(account, request._replace(volume=float(part)), call.server.next_request_id())
    if done.retcode != mt5.TRADE_RETCODE_DONE:
        call.note(f"venue said {done.retcode}")
        return done._replace(request=request)
    retcode, rest = call.parameter("retcode"), whole - part
    with account.transaction():
        if call.parameter("rest") == "works":
            waiting = _rest(call, account, request, rest, done.price)
        else:
            waiting = 0
            [order] = account.ledger.history_orders_of(ticket=done.order)
            account.ledger.put(changed(order, volume_initial=whole, volume_current=rest))
    call.note(f"{part} of {whole} lots, answered {retcode}" + (f", order {waiting} works" if waiting else ""))
    return done._replace(retcode=retcode, comment=RETCODE_TEXTS.get(retcode, ""), request=request)


def _rest(call: Call, account: Account, request: TradeRequest, rest: Decimal, price: float) -> int:
    """Leave what was not filled as a limit order a little away from the fill, and return its ticket."""
    buying = request.type == mt5.ORDER_TYPE_BUY
    spec = account.market.symbols[request.symbol]
    limit = round(price * (1 - call.parameter("away") if buying else 1 + call.parameter("away")), spec.digits)
    kind = mt5.ORDER_TYPE_BUY_LIMIT if buying else mt5.ORDER_TYPE_SELL_LIMIT
    order = new_order(account, request._replace(price=limit, stoplimit=0.0), rest, type=kind)
    account.ledger.put(order)
    return order.ticket


def split(call: Call) -> Any:
    """Open several positions by one order, and report one of them, or a ticket that is none of them."""
    account, request = call.account, call.request
    spec, left = account.market.symbols[request.symbol], exact(request.volume)
    whole, parts = left, []
    for i in range(call.parameter("positions"), 0, -1):
        volume = left if i == 1 else _on_grid(spec, left / i, left)
        if not volume or left <= 0:
            break
        parts.append(_send_part(call, volume))
        left -= volume
    filled = sum((exact(part.volume) for part in parts), Decimal(0))
    call.note(f"{filled} of {whole} lots in orders {', '.join(str(part.order) for part in parts)}")
    reported = parts[0].order + call.parameter("ticket_off")
    return parts[0]._replace(volume=float(filled), order=reported, request=request)


def _send_part(call: Call, volume: Decimal) -> OrderSendResult:
    part = call.request._replace(volume=float(volume))
    return trading.send(call.account, part, call.server.next_request_id())


def _on_grid(spec: SimSymbol, volume: Decimal, whole: Decimal) -> Decimal:
    """Return a volume rounded down to the grid, at least the least one, and less than the whole where it can be."""
    step, least = exact(spec.volume_step), exact(spec.volume_min)
    rounded = max(least, volume // step * step)
    return rounded if rounded < whole else max(least, whole - step)


def slip(call: Call) -> Any:
    """Execute at a price that is worse by a fraction, and report it truly."""
    account, request = call.account, call.request
    worse = call.parameter("fraction") * (1 if request.type == mt5.ORDER_TYPE_BUY else -1)
    digits = account.market.symbols[request.symbol].digits

    def slipped(quote: Quote) -> Quote:
        return Quote(quote.time_ms, round(quote.bid * (1 + worse), digits), round(quote.ask * (1 + worse), digits))

    with viewed(account, MarketView(account.market, quote=slipped)):
        done = call.go()
    call.note(f"venue said {_said(done)} at {getattr(done, 'price', 0.0):g}")
    return done


def unknown_code(call: Call) -> Any:
    """Answer a code that is in no table, executed or not."""
    code = call.parameter("retcode") or call.rng.randint(LARGEST_KNOWN + 1, 2 * LARGEST_KNOWN)
    happened = f"venue said {_said(call.go())}" if call.parameter("executed") else "not executed"
    call.note(f"answered {code}, {happened}")
    return _reply(call, code, Done())


def _reply(call: Call, retcode: int, done: Done) -> OrderSendResult:
    return trading.reply(call.account, call.request, call.server.next_request_id(), retcode=retcode, done=done)


def _said(done: Any) -> Any:
    """Return what the venue answered, for the log; another fault may have taken the answer away."""
    return getattr(done, "retcode", None)


def reads_or_deals(call: Call) -> bool:
    """Return whether something is read, or a market order sent."""
    return call.name != "order_send" or is_deal(call)


def known_deal(call: Call) -> bool:
    """Return whether a market order of a symbol that exists is sent."""
    return is_deal(call) and call.symbol in call.account.market.symbols


FAULTS = (
    Fault(
        id="M20",
        does="executed; the answer is None (a negative `reply`, or 1) or a retcode without a deal",
        calls=SEND,
        play=lose_reply,
        parameters={"reply": LOST, "executed": True},
        applies=is_deal,
    ),
    Fault(
        id="M21",
        does="not executed; the answer is as of M20",
        calls=SEND,
        play=lose_reply,
        parameters={"reply": LOST, "executed": False},
        applies=is_deal,
    ),
    Fault(
        id="M22",
        does="the answer is lost and the fill comes later ('fills late'), or positions and history show it later "
        "('shows late'), or history shows it twice ('shows twice')",
        calls=(*SEND, *HELD, *PAST),
        play=late,
        parameters={"reply": mt5.RES_E_INTERNAL_FAIL_TIMEOUT, "how": "fills late", "after_s": 20.0},
        lasts_s=0.001,
        applies=reads_or_deals,
        begins_at=SEND,
    ),
    Fault(
        id="M23",
        does="answered 10008; after a while the order is filled ('fill') or rejected ('reject'), or stays ('stay')",
        calls=SEND,
        play=placed,
        parameters={"then": "fill", "after_s": 5.0},
        applies=known_deal,
    ),
    Fault(
        id="M24",
        does="a fraction is filled, the rest cancelled; answered 10010, or 10009 with less volume than asked",
        calls=SEND,
        play=partly,
        parameters={"fraction": 0.5, "retcode": mt5.TRADE_RETCODE_DONE_PARTIAL, "rest": "cancelled"},
        applies=is_split,
    ),
    Fault(
        id="M25",
        does="under RETURN a fraction is filled, the rest stays as a working order some way off; answered 10010",
        calls=SEND,
        play=partly,
        parameters={"fraction": 0.5, "retcode": mt5.TRADE_RETCODE_DONE_PARTIAL, "rest": "works", "away": 0.01},
        applies=is_returned,
    ),
    Fault(
        id="M47",
        does="filled at a price that is worse by a fraction, and reported so",
        calls=SEND,
        play=slip,
        parameters={"fraction": 0.02},
        applies=known_deal,
    ),
    Fault(
        id="M53",
        does="a retcode that is in no table (`retcode` 0: at random), executed or not",
        calls=SEND,
        play=unknown_code,
        parameters={"retcode": 0, "executed": False},
        applies=is_deal,
    ),
    Fault(
        id="M55",
        does="one order opens several positions, each with an order of its own; `ticket_off` reports a ticket of none",
        calls=SEND,
        play=split,
        parameters={"positions": 3, "ticket_off": 0},
        applies=opens_split,
    ),
)
