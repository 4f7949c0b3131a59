"""Faults of the simulated Binance's account: what happens to it besides what its owner asks.

What a fault does to the books is done by the exchange's own functions, so they stay the truth that a test judges by.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from simulator.binance.params import Params
from simulator.binance.rows import ALGO, FUTURES, NO_LIST, SPOT
from simulator.binance.spot_api import SpotApi, replaced
from simulator.exchange_errors import BinanceError
from simulator.faults.base import Fault
from simulator.faults.names import COUNTDOWN, FUTURES_SIGNED, REPLACE

if TYPE_CHECKING:
    from simulator.faults.call import Call


def raced(call: Call) -> Any:
    """Execute the stop of a list just before its cancellation comes."""
    venue = call.exchange
    with venue.live():
        stops = [one for one in venue.books.open_orders(SPOT) if one.list_id != NO_LIST and one.stop_price]
        if stops:
            venue.spot.trigger(stops[0])
            call.note(f"order {stops[0].id} executed first")
    return call.go()


def lists_wait(call: Call) -> bool:
    """Return whether a list of two orders is open."""
    return any(order.list_id != NO_LIST for order in call.exchange.books.open_orders(SPOT))


def half_replaced(call: Call) -> Any:
    """Cancel the order, and place none, or the other way about."""
    half, venue = call.parameter("half"), call.exchange
    params, api = Params({name: str(value) for name, value in call.arguments.items()}), SpotApi(venue)
    failure = BinanceError(-1000, "An unknown error occurred while processing the request.")
    named = {"orderId": "cancelOrderId", "origClientOrderId": "cancelOrigClientOrderId", "symbol": "symbol"}
    cancelled = Params({name: params.given.get(key, "") for name, key in named.items()})
    call.note(f"only the {half} is done")
    with venue.live():
        if half == "cancel":
            return replaced(api.cancel(cancelled), failure)
        return replaced(failure, api.new_order(params))


def strip(call: Call) -> Any:
    """Have the countdown take the conditional orders too."""
    venue = call.exchange
    with venue.live():
        venue.books.set_setting("countdown takes algos", "true")
    call.note("the countdown takes conditional orders too")
    return call.go()


def other_mode(call: Call) -> Any:
    """Change between one-way and hedge mode from outside."""
    venue = call.exchange
    with venue.live():
        venue.books.set_setting("dual side", str(not venue.futures.hedging).lower())
        call.note(f"dualSidePosition {venue.futures.hedging}")
    return call.go()


def is_flat(call: Call) -> bool:
    """Return whether nothing is open, so that the mode can change."""
    venue = call.exchange
    return not venue.futures.open_positions() and not any(
        order.venue in (FUTURES, ALGO) for order in venue.books.open_orders()
    )


def other_leverage(call: Call) -> Any:
    """Change leverage and margin type of every symbol from outside."""
    venue = call.exchange
    leverage, kind = call.parameter("leverage"), call.parameter("margin_type")
    with venue.live():
        for symbol in venue.listed():
            venue.books.set_setting(f"leverage {symbol}", leverage)
            venue.books.set_setting(f"margin type {symbol}", kind)
    call.note(f"leverage {leverage}, {kind}")
    return call.go()


def adl(call: Call) -> Any:
    """Close a share of a position by an order of the exchange's own."""
    venue = call.exchange
    with venue.live():
        for position in venue.futures.open_positions():
            step = venue.rules[FUTURES][position.symbol].step
            quantity = abs(position.amount) * Decimal(str(call.parameter("share"))) // step * step
            if quantity:
                trade = venue.futures.close_by_exchange(position, f"{call.parameter('by')}-{venue.now_ms}", quantity)
                call.note(f"{trade.quantity:f} {trade.symbol} closed by the exchange")
    return call.go()


def is_held(call: Call) -> bool:
    """Return whether there is a futures position."""
    return bool(call.exchange.futures.open_positions())


FAULTS = (
    Fault(
        id="B23",
        does="the stop of a list executes just before its cancellation comes, which is answered -2011",
        calls=("DELETE /api/v3/order", "DELETE /api/v3/orderList", "DELETE /api/v3/openOrders"),
        play=raced,
        applies=lists_wait,
    ),
    Fault(
        id="B24",
        does="of a cancel-replace one half is done, the 'cancel' or the 'order': 409 with -2021",
        calls=(REPLACE,),
        play=half_replaced,
        parameters={"half": "cancel"},
    ),
    Fault(
        id="B26",
        does="a countdown that is not renewed cancels conditional orders too",
        calls=(COUNTDOWN,),
        play=strip,
    ),
    Fault(
        id="B27",
        does="one-way and hedge mode are changed from outside, while nothing is open",
        calls=FUTURES_SIGNED,
        play=other_mode,
        applies=is_flat,
    ),
    Fault(
        id="B28",
        does="leverage and margin type are changed from outside",
        calls=FUTURES_SIGNED,
        play=other_leverage,
        parameters={"leverage": 125, "margin_type": "ISOLATED"},
    ),
    Fault(
        id="B29",
        does="a share of every futures position is closed by the exchange ('autoclose' or 'adl_autoclose')",
        calls=FUTURES_SIGNED,
        play=adl,
        parameters={"share": 1.0, "by": "adl_autoclose"},
        applies=is_held,
    ),
)
