"""Faults of the server's mood: orders that it refuses, though nothing is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from simulator import constants as mt5
from simulator.faults.asked import changes_stops, is_close, is_deal, is_open, refuse
from simulator.faults.base import Applies, Fault
from simulator.faults.call import MarketView, viewed
from simulator.faults.names import ORDERS, SEND

if TYPE_CHECKING:
    from simulator.faults.call import Call


def refusing(call: Call) -> Any:
    """Refuse with the code in ``retcode``."""
    return refuse(call, call.parameter("retcode"))


def too_often(call: Call) -> Any:
    """Let the first few pass, and refuse those after them while it goes on."""
    call.memory["n"] = call.memory.get("n", 0) + 1
    if call.memory["n"] <= call.parameter("free"):
        return call.go()
    return refuse(call, mt5.TRADE_RETCODE_TOO_MANY_REQUESTS)


def no_money(call: Call) -> Any:
    """Show no free margin, and refuse what adds."""
    if call.name == "account_info":
        return call.go()._replace(margin_free=0.0)
    return refuse(call, mt5.TRADE_RETCODE_NO_MONEY)


def closed(call: Call) -> Any:
    """Have the server believe that the symbol's market is closed."""
    account = call.account
    with viewed(account, MarketView(account.market, closed=call.symbol)):
        return call.go()


def forbidden(call: Call) -> Any:
    """Forbid opposite positions, or closing out of order; the account says so where it can."""
    retcode = call.parameter("retcode")
    if call.name == "account_info":
        return call.go()._replace(fifo_close=retcode == mt5.TRADE_RETCODE_FIFO_CLOSE)
    return refuse(call, retcode)


def bad_expiration(call: Call) -> Any:
    """Refuse a lifetime, and show that of day orders as over before it began."""
    if call.name != "orders_get":
        return refuse(call, mt5.TRADE_RETCODE_INVALID_EXPIRATION)
    rows = call.go()
    return None if rows is None else tuple(_over(row) for row in rows)


def _over(row: Any) -> Any:
    return row._replace(time_expiration=row.time_setup - 1) if row.type_time == mt5.ORDER_TIME_DAY else row


def adds_or_asks(call: Call) -> bool:
    """Return whether an order adds, or the account is asked for."""
    return call.name == "account_info" or is_open(call)


def deals_or_asks(call: Call) -> bool:
    """Return whether a market order is sent, or the account is asked for."""
    return call.name == "account_info" or is_deal(call)


def expires_or_asks(call: Call) -> bool:
    """Return whether an order with a lifetime is sent, or orders are asked for."""
    return call.name == "orders_get" or call.asked.get("type_time", mt5.ORDER_TIME_GTC) != mt5.ORDER_TIME_GTC


def _code(
    id: str, does: str, retcode: int, applies: Applies, *, lasts_s: float = 0.0, calls: tuple[str, ...] = SEND
) -> Fault:
    """Return a fault that only refuses."""
    play: Callable[[Call], Any] = refusing
    return Fault(
        id=id,
        does=does,
        calls=calls,
        play=play,
        parameters={"retcode": retcode},
        lasts_s=lasts_s,
        per_symbol=True,
        applies=applies,
    )


FAULTS = (
    _code("M26", "answered 10004, 10020 or 10021; not executed", mt5.TRADE_RETCODE_REQUOTE, is_deal),
    _code("M27", "answered 10004 for an hour; not executed", mt5.TRADE_RETCODE_REQUOTE, is_deal, lasts_s=3600.0),
    Fault(
        id="M35",
        does="no free margin; orders that add are answered 10019",
        calls=("account_info", *ORDERS),
        play=no_money,
        lasts_s=600.0,
        applies=adds_or_asks,
    ),
    Fault(
        id="M36",
        does="the symbol's market is closed for an hour: 10018",
        calls=ORDERS,
        play=closed,
        lasts_s=3600.0,
        per_symbol=True,
        applies=is_deal,
    ),
    Fault(
        id="M37",
        does="for a minute every order after the first `free` ones is answered 10024",
        calls=SEND,
        play=too_often,
        parameters={"free": 0},
        lasts_s=60.0,
    ),
    _code("M38", "setting stops is answered 10025", mt5.TRADE_RETCODE_NO_CHANGES, changes_stops),
    Fault(
        id="M43",
        does="answered 10046 (opposite positions forbidden), or 10045 and account_info().fifo_close",
        calls=("account_info", *SEND),
        play=forbidden,
        parameters={"retcode": 10_046},
        lasts_s=600.0,
        applies=deals_or_asks,
    ),
    _code("M44", "a close is answered 10039 or 10028", mt5.TRADE_RETCODE_CLOSE_ORDER_EXIST, is_close),
    Fault(
        id="M54",
        does="orders with a lifetime are answered 10022; day orders show an end before their beginning",
        calls=("orders_get", *ORDERS),
        play=bad_expiration,
        lasts_s=3600.0,
        applies=expires_or_asks,
    ),
)
