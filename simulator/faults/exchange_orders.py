"""Faults of the simulated Binance's orders: refused without a reason, not seen yet, or ended without a fill."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from simulator.binance.refusals import refusal
from simulator.binance.rows import FINISHED, REJECTED
from simulator.exchange_errors import BinanceError
from simulator.faults.base import Fault
from simulator.faults.exchange import acted, other_filters
from simulator.faults.names import (
    ALGO_ORDER,
    FUTURES_ORDER,
    FUTURES_RULES,
    LISTED,
    LOOKED_UP,
    PLACED,
    RULES,
    SIGNED,
    STOPS_PLACED,
)

if TYPE_CHECKING:
    from simulator.faults.call import Call

DAY_S = 86_400.0


def late(call: Call) -> Any:
    """Not know an order yet; nor list it, if the fault says so."""
    if call.name not in LOOKED_UP:
        return [] if call.parameter("lists") else call.go()
    call.note("-2013, though it may exist")
    raise refusal("unknown order")


def duplicate(call: Call) -> Any:
    """Place an order, or not, and answer that its id is in use."""
    call.note(f"{acted(call)}; answered as a duplicate")
    raise refusal("duplicate futures" if "/fapi/" in call.name else "duplicate")


def filtered(call: Call) -> Any:
    """Refuse by a filter that the order keeps to."""
    name = call.parameter("filter")
    call.note(name)
    if "/fapi/" not in call.name:
        raise refusal("filter", name=name)
    raise refusal("min notional", value=5) if name == "NOTIONAL" else refusal("step")


def changed_filters(call: Call) -> Any:
    """Tell other steps and minima, and measure orders by them."""
    if call.name in (RULES, FUTURES_RULES):
        return other_filters(call)
    for field, step, name in (("quantity", "stepSize", "LOT_SIZE"), ("price", "tickSize", "PRICE_FILTER")):
        value, by = call.arguments.get(field), call.parameter(step)
        if value and by and Decimal(str(value)) % Decimal(by):
            call.note(f"{field} {value} is no multiple of {by}")
            raise refusal("step") if "/fapi/" in call.name else refusal("filter", name=name)
    return call.go()


def halted(call: Call) -> Any:
    """Tell another status, and refuse orders."""
    if call.name in (RULES, FUTURES_RULES):
        return other_filters(call)
    call.note("the market is closed")
    raise refusal("closed")


def delisted(call: Call) -> Any:
    """Let a position be reduced, and nothing be opened."""
    if str(call.arguments.get("reduceOnly") or call.arguments.get("closePosition")).lower() == "true":
        return call.go()
    call.note("-4140")
    raise BinanceError(-4140, "Invalid symbol status for opening position.")


def stop_refused(call: Call) -> Any:
    """Refuse a stop for no reason of its own."""
    call.note("a stop is refused")
    if "/fapi/" in call.name:
        raise BinanceError(-4045, "Reach max stop order limit.")
    raise refusal("filter", name="MAX_NUM_ALGO_ORDERS")


def beyond(call: Call) -> Any:
    """Refuse a stop as if the price had passed it."""
    call.note("it would trigger at once")
    raise refusal("immediately" if "/fapi/" in call.name else "would trigger")


def doomed(call: Call) -> Any:
    """Accept a stop that ends without a fill when it is triggered."""
    status = call.parameter("status")
    told = call.go()
    venue = call.exchange
    with venue.live():
        numbers = [told["algoId"]] if "algoId" in told else [one["orderId"] for one in told["orders"]]
        for number in numbers:
            venue.books.set_setting(f"fate {number}", status)
    call.note(f"will end {status} when it is triggered")
    return told


def covered(call: Call) -> Any:
    """Refuse to reduce."""
    code = call.parameter("code")
    call.note(str(code))
    raise refusal("covered" if code == -4118 else "reduce only")


def reduces(call: Call) -> bool:
    """Return whether an order may only reduce."""
    return str(call.arguments.get("reduceOnly")).lower() == "true"


def locked_out(call: Call) -> Any:
    """Not accept the key any more."""
    call.note("-2015")
    raise refusal("key")


FAULTS = (
    Fault(
        id="B05",
        does="looked up, an order is answered -2013 for 30 s, though it exists; with `lists`, lists are empty too",
        calls=(*LOOKED_UP, *LISTED),
        begins_at=LOOKED_UP,
        play=late,
        parameters={"lists": False},
        lasts_s=30.0,
        per_symbol=True,
    ),
    Fault(
        id="B07",
        does="an order is placed, or not, and answered as a duplicate: -2010 or -4116",
        calls=PLACED,
        play=duplicate,
        parameters={"executed": True},
    ),
    Fault(
        id="B13",
        does="-1013 with a filter's name; at the futures -1111, or -4164 for NOTIONAL",
        calls=PLACED,
        play=filtered,
        parameters={"filter": "LOT_SIZE"},
    ),
    Fault(
        id="B14",
        does="exchangeInfo tells other steps or minima, and orders are measured by them",
        calls=(RULES, FUTURES_RULES, *PLACED),
        play=changed_filters,
        parameters={"tickSize": "1.00000000", "stepSize": "1.00000000", "minNotional": None},
        lasts_s=3600.0,
    ),
    Fault(
        id="B18",
        does="a stop is refused: -4045, or -1013 MAX_NUM_ALGO_ORDERS",
        calls=STOPS_PLACED,
        play=stop_refused,
    ),
    Fault(
        id="B19",
        does="a stop is accepted, and ends 'REJECTED' or 'EXPIRED' when it is triggered",
        calls=STOPS_PLACED,
        play=doomed,
        parameters={"status": REJECTED},
    ),
    Fault(
        id="B20",
        does="a conditional order is FINISHED when it is triggered, with nothing executed",
        calls=(ALGO_ORDER,),
        play=doomed,
        parameters={"status": FINISHED},
    ),
    Fault(
        id="B21",
        does="a stop is refused as if the price had passed it: -2021, or -2010",
        calls=STOPS_PLACED,
        play=beyond,
    ),
    Fault(
        id="B22",
        does="an order that may only reduce is answered -4118 or -2022",
        calls=(FUTURES_ORDER,),
        play=covered,
        parameters={"code": -4118},
        applies=reduces,
    ),
    Fault(
        id="B34",
        does="the symbols' status is another one, and orders are refused: -1013 Market is closed",
        calls=(RULES, FUTURES_RULES, *PLACED),
        play=halted,
        parameters={"status": "HALT"},
        lasts_s=3600.0,
    ),
    Fault(
        id="B35",
        does="for half an hour a futures position can be reduced, and none opened: -4140",
        calls=(FUTURES_ORDER, ALGO_ORDER),
        play=delisted,
        lasts_s=1800.0,
        per_symbol=True,
    ),
    Fault(
        id="B37",
        does="the key is not accepted any more: -2015, for a day",
        calls=SIGNED,
        play=locked_out,
        lasts_s=DAY_S,
    ),
)
