"""Faults of the simulated Binance as a server: refusals, silence, broken bodies, klines that mislead.

Of a request that changes something the answer can be lost before or after it is done: ``executed`` says which.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from simulator.binance.params import Params
from simulator.binance.signing import check_moment
from simulator.exchange_errors import BinanceError
from simulator.exchange_routes import RawReply
from simulator.faults.base import Fault
from simulator.faults.names import FUTURES_TIME, KLINES, OF_EXCHANGE, SIGNED, TIME

if TYPE_CHECKING:
    from simulator.faults.call import Call

HTML = b"<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>"
UNAVAILABLE = {  # the variants of 503
    "unknown": {"code": -1000, "msg": "Unknown error, please check your request or try again later."},
    "unavailable": {"code": -1000, "msg": "Service Unavailable."},
    "internal": {"code": -1001, "msg": "Internal error; unable to process your request. Please try again."},
    "throttled": {"code": -1008, "msg": "Request throttled by system-level protection."},
}
TIMEOUTS = {-1006: 500, -1007: 504, -1000: 500}
OPEN_MS, CLOSE_MS, VOLUMES = 0, 6, (5, 7, 9, 10)


def acted(call: Call) -> str:
    """Do what was asked if the fault says so, whatever comes of it; return what was done, for the log."""
    if not call.parameter("executed"):
        return "not executed"
    try:
        call.go()
    except BinanceError as error:
        return f"refused ({error.code})"
    return "executed"


def silent(call: Call) -> Any:
    """Say nothing for a while, and then hang up."""
    call.note(f"{acted(call)}; no answer for {call.parameter('seconds'):g} s, then closed")
    call.player.wait(call.parameter("seconds"))
    return RawReply(0)


def unavailable(call: Call) -> Any:
    """Answer 503 with one of its bodies."""
    body = call.parameter("body")
    call.note(f"{acted(call)}; 503 {body}")
    if body == "html":
        return RawReply(503, HTML, {"Content-Type": "text/html"})
    return RawReply(503, json.dumps(UNAVAILABLE[body]).encode())


def server_error(call: Call) -> Any:
    """Answer another 5xx."""
    call.note(f"{acted(call)}; {call.parameter('status')}")
    return RawReply(call.parameter("status"), HTML, {"Content-Type": "text/html"})


def timed_out(call: Call) -> Any:
    """Answer that the engine did not."""
    code = call.parameter("code")
    call.note(f"{acted(call)}; {code}")
    raise BinanceError(code, "Timeout waiting for response from backend server.", status=TIMEOUTS.get(code, 408))


def refused(call: Call) -> Any:
    """Refuse by weight, with how long to stay away."""
    status, after_s = call.parameter("status"), call.parameter("retry_after_s")
    call.note(f"{status}, Retry-After {after_s}")
    body = {"code": -1003, "msg": "Too much request weight used; please use WebSocket Streams for live updates."}
    return RawReply(status, json.dumps(body).encode(), {"Retry-After": str(after_s)})


def forbidden(call: Call) -> Any:
    """Refuse from in front of the exchange."""
    status = call.parameter("status")
    call.note(str(status))
    body = {"code": 0, "msg": "Service unavailable from a restricted location according to 'b. Eligibility'."}
    return RawReply(status, json.dumps(body).encode() if status == 451 else HTML)


def other_time(call: Call) -> Any:
    """Tell another time, and measure by it what was signed."""
    off_ms = call.parameter("off_ms")
    call.note(f"serverTime {off_ms:+} ms")
    if call.name in SIGNED:
        sent = Params({name: str(value) for name, value in call.arguments.items()})
        check_moment(sent, now_ms=call.now_ms + off_ms, pace=call.exchange.pace)
        return call.go()
    told = call.go()
    return {**told, "serverTime": told["serverTime"] + off_ms}


def other_filters(call: Call) -> Any:
    """Tell other steps and minima, or another status, of each symbol."""
    told = call.go()
    changes = {name: value for name, value in call.begun.parameters.items() if value is not None}
    call.note(", ".join(f"{name} {value}" for name, value in changes.items()))
    symbols = [_other_symbol(symbol, changes) for symbol in told["symbols"]]
    return {**told, "symbols": symbols}


def _other_symbol(symbol: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    filters = [{key: changes.get(key, value) for key, value in one.items()} for one in symbol["filters"]]
    return {**symbol, "status": changes.get("status", symbol["status"]), "filters": filters}


def gap(call: Call) -> Any:
    """Leave klines out."""
    rows = call.go()
    stop = max(0, len(rows) - call.parameter("back"))
    start = max(0, stop - call.parameter("n"))
    call.note(f"{stop - start} klines are missing")
    return [*rows[:start], *rows[stop:]]


def unclosed(call: Call) -> Any:
    """Give the last kline other prices, as a forming one has each time it is read."""
    rows, factor = call.go(), call.parameter("factor")
    if not rows:
        return rows
    last = list(rows[-1])
    for i in range(1, 5):
        last[i] = f"{float(last[i]) * factor:.8f}"
    return [*rows[:-1], last]


def disordered(call: Call) -> Any:
    """Send the newest klines twice, or in the wrong order."""
    rows, how = call.go(), call.parameter("how")
    call.note(how)
    return [*rows, *rows[-2:]] if how == "twice" else [*rows[:-2], *reversed(rows[-2:])]


def stale(call: Call) -> Any:
    """Have nothing newer than some klines ago, or repeat a price without volume."""
    rows, n = call.go(), call.parameter("n")
    call.note(f"{call.parameter('how')}, {n} klines")
    if call.parameter("how") == "ends early":
        return rows[:-n]
    flat = rows[-n - 1][4] if len(rows) > n else "0"
    return [*rows[:-n], *(_flat(row, flat) for row in rows[-n:])]


def _flat(row: Any, price: str) -> list[Any]:
    return [
        price if 1 <= i <= 4 else ("0.00000000" if i in VOLUMES else (0 if i == 8 else value))
        for i, value in enumerate(row)
    ]


def broken(call: Call) -> Any:
    """Send a body that is cut off, of other types, or with fields more."""
    how, told = call.parameter("how"), call.go()
    call.note(how)
    if how == "truncated":
        body = json.dumps(told).encode()
        return RawReply(200, body[: len(body) // 2])
    if how == "short":
        body = json.dumps(told).encode()
        return RawReply(200, body[: len(body) // 2], {"Content-Length": str(len(body))})
    if how == "wrong types":
        return {"data": told} if isinstance(told, list) else [told]
    if isinstance(told, list):
        return [[*row, "more"] if isinstance(row, list | tuple) else {**row, "more": 1} for row in told]
    return {**told, "more": {"of": ["it"]}}


def redirect(call: Call) -> Any:
    """Send the caller elsewhere."""
    call.note(call.parameter("location"))
    return RawReply(302, b"", {"Location": call.parameter("location")})


def changed_api(call: Call) -> Any:
    """Refuse with a code that no table has."""
    raise BinanceError(call.parameter("code"), "This endpoint has been retired.", status=410)


def heavier(call: Call) -> Any:
    """Answer as it is, at an address that others use as well: the used weight is higher."""
    used = dict.fromkeys(("X-MBX-USED-WEIGHT", "X-MBX-USED-WEIGHT-1M"), str(call.parameter("used")))
    return RawReply(200, json.dumps(call.go(), separators=(",", ":")).encode(), used)


FAULTS = (
    Fault(
        id="B01",
        does="what was asked is done, or not; no answer, then the connection is closed",
        calls=OF_EXCHANGE,
        play=silent,
        parameters={"seconds": 30.0, "executed": True},
    ),
    Fault(
        id="B02",
        does="503 as 'unknown', 'unavailable', 'internal', 'throttled' or 'html'",
        calls=OF_EXCHANGE,
        play=unavailable,
        parameters={"body": "html", "executed": False},
    ),
    Fault(
        id="B03",
        does="another 5xx with an HTML body",
        calls=OF_EXCHANGE,
        play=server_error,
        parameters={"status": 502, "executed": False},
    ),
    Fault(
        id="B04",
        does="-1006, -1007 or -1000; another code is a 408",
        calls=OF_EXCHANGE,
        play=timed_out,
        parameters={"code": -1007, "executed": False},
    ),
    Fault(
        id="B08",
        does="429 with Retry-After",
        calls=OF_EXCHANGE,
        play=refused,
        parameters={"status": 429, "retry_after_s": 2},
    ),
    Fault(
        id="B09",
        does="418 with Retry-After for ten minutes",
        calls=OF_EXCHANGE,
        play=refused,
        parameters={"status": 418, "retry_after_s": 120},
        lasts_s=600.0,
    ),
    Fault(
        id="B10",
        does="the used weight is another's too",
        calls=OF_EXCHANGE,
        play=heavier,
        parameters={"used": 5900},
        lasts_s=60.0,
    ),
    Fault(
        id="B11",
        does="the server's time is off: serverTime, and -1021 for what is signed out of its window",
        calls=(TIME, FUTURES_TIME, *SIGNED),
        play=other_time,
        parameters={"off_ms": 2000},
        lasts_s=600.0,
    ),
    Fault(
        id="B12",
        does="the server's time jumps back once",
        calls=(TIME, FUTURES_TIME, *SIGNED),
        play=other_time,
        parameters={"off_ms": -5000},
    ),
    Fault(
        id="B30", does="klines are missing", calls=(KLINES,), play=gap, parameters={"n": 3, "back": 2}, lasts_s=3600.0
    ),
    Fault(id="B31", does="the last kline has other prices", calls=(KLINES,), play=unclosed, parameters={"factor": 1.5}),
    Fault(
        id="B32",
        does="the newest klines come 'twice', or are 'swapped'",
        calls=(KLINES,),
        play=disordered,
        parameters={"how": "twice"},
    ),
    Fault(
        id="B33",
        does="the newest klines repeat a price without volume ('flat'), or are not there yet ('ends early')",
        calls=(KLINES,),
        play=stale,
        parameters={"how": "flat", "n": 2},
    ),
    Fault(
        id="B36",
        does="451, or 403 from in front of the exchange",
        calls=OF_EXCHANGE,
        play=forbidden,
        parameters={"status": 451},
        lasts_s=600.0,
    ),
    Fault(
        id="B38",
        does="the body is 'truncated' JSON, 'short' of its length, has 'wrong types' or 'more fields'",
        calls=OF_EXCHANGE,
        play=broken,
        parameters={"how": "truncated"},
    ),
    Fault(
        id="B39",
        does="302 to another address; certificates and names are not simulated",
        calls=OF_EXCHANGE,
        play=redirect,
        parameters={"location": "http://127.0.0.1:9/"},
    ),
    Fault(id="B40", does="a code that is in no table", calls=OF_EXCHANGE, play=changed_api, parameters={"code": -9999}),
)
