"""Faults of the connection: terminal, its link to the server, its flags, the account behind it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from simulator import constants as mt5
from simulator.faults.asked import in_words, refuse, unanswered
from simulator.faults.base import Fault
from simulator.faults.names import CALLS, READS, SEND

if TYPE_CHECKING:
    from simulator.faults.call import Call

CRASHED = 86  # exit code of a process that a plan ended


def absent(call: Call) -> Any:
    """Fail as where no terminal is found."""
    raise call.fail(mt5.RES_E_INTERNAL_FAIL_INIT)


def mute(call: Call) -> Any:
    """Hold the caller, then fail with a timeout."""
    call.note(f"no answer for {call.parameter('seconds'):g} s")
    call.player.wait(call.parameter("seconds"))
    raise call.fail(mt5.RES_E_INTERNAL_FAIL_TIMEOUT)


def hang(call: Call) -> Any:
    """Hold the caller before or after the venue does what is asked; nothing else is answered meanwhile."""
    if call.parameter("executed"):
        call.go()
    words = "executed, then" if call.parameter("executed") else "not executed,"
    call.note(f"{words} no answer for {call.parameter('seconds'):g} s")
    call.player.wait(call.parameter("seconds"))
    raise call.fail(mt5.RES_E_INTERNAL_FAIL_TIMEOUT)


def drop(call: Call) -> Any:
    """Lose the pipe before or after the venue does what is asked, until initialize() is called again."""
    code = call.parameter("code")
    if call.parameter("executed"):
        call.go()
    call.note(f"{'executed, then ' if call.parameter('executed') else 'not executed, '}None ({code})")
    call.server.disconnect()
    raise call.fail(code)


def link_down(call: Call) -> Any:
    """Show a terminal that has no link to its server; orders are answered 10031 and not executed."""
    if call.name == "terminal_info":
        return call.go()._replace(connected=False)
    return refuse(call, mt5.TRADE_RETCODE_CONNECTION)


def algo_off(call: Call) -> Any:
    """Show the Algo Trading button off."""
    if call.name == "terminal_info":
        return call.go()._replace(trade_allowed=False)
    reply = call.parameter("reply")
    call.note(f"{in_words(reply)}, not executed")
    return unanswered(call, reply)


def disabled_by_server(call: Call) -> Any:
    """Show an account that may not trade by program, as with the investor's password."""
    if call.name == "account_info":
        return call.go()._replace(trade_expert=False)
    return refuse(call, call.parameter("retcode"))


def other_account(call: Call) -> Any:
    """Show another account than the one that was connected; what is sent goes to the real one."""
    info = call.go()
    if info is None:
        return None
    server = call.parameter("server") or info.server
    return info._replace(login=info.login + call.parameter("login_off"), server=server)


def restart(call: Call) -> Any:
    """Be away for a while, or end the process of the module."""
    if call.parameter("exit"):
        call.note("the module's process ended")
        os._exit(CRASHED)
    call.server.disconnect()
    raise call.fail(mt5.RES_E_INTERNAL_FAIL_INIT if call.name == "initialize" else mt5.RES_E_INTERNAL_FAIL_CONNECT)


def empty_account(call: Call) -> Any:
    """Show an account without sums: None, zeros or NaN."""
    shown = call.parameter("shows")
    call.note(f"shows {shown}")
    if shown == "none":
        return None
    sums = dict.fromkeys(("balance", "equity", "margin_free"), float(shown))
    return call.go()._replace(**sums)


def overwritten(call: Call) -> Any:
    """Leave another thread's code in last_error(), whatever came of the call."""
    code = call.parameter("code")
    call.player.slot = (code, str(call.fail(code)))
    if call.parameter("fails"):
        raise call.fail(mt5.RES_E_FAIL)
    return call.go()


def nothing(call: Call) -> Any:
    """Answer None and say that all is well."""
    return None


FAULTS = (
    Fault(id="M01", does="initialize() is False with -10003", calls=("initialize",), play=absent),
    Fault(
        id="M02",
        does="initialize() holds its caller, then is False with -10005",
        calls=("initialize",),
        play=mute,
        parameters={"seconds": 60.0},
    ),
    Fault(
        id="M03",
        does="a call holds its caller (real seconds), before or after the venue acts; then None with -10005",
        calls=CALLS,
        play=hang,
        parameters={"seconds": 3600.0, "executed": False},
    ),
    Fault(
        id="M04",
        does="None, before or after the venue acts; no connection until initialize() is called again",
        calls=CALLS,
        play=drop,
        parameters={"code": mt5.RES_E_INTERNAL_FAIL_RECEIVE, "executed": False},
    ),
    Fault(
        id="M05",
        does="terminal_info().connected is False; orders are answered 10031 and not executed",
        calls=("terminal_info", *SEND),
        play=link_down,
        lasts_s=120.0,
    ),
    Fault(
        id="M06",
        does="terminal_info().trade_allowed is False; orders get 10027, or None with -8",
        calls=("terminal_info", *SEND),
        play=algo_off,
        parameters={"reply": mt5.TRADE_RETCODE_CLIENT_DISABLES_AT},
        lasts_s=600.0,
    ),
    Fault(
        id="M07",
        does="account_info().trade_expert is False; orders are answered 10026 or 10017",
        calls=("account_info", *SEND),
        play=disabled_by_server,
        parameters={"retcode": mt5.TRADE_RETCODE_SERVER_DISABLES_AT},
        lasts_s=600.0,
    ),
    Fault(
        id="M08",
        does="account_info() shows another login or server",
        calls=("account_info",),
        play=other_account,
        parameters={"login_off": 1, "server": ""},
        lasts_s=60.0,
    ),
    Fault(
        id="M09",
        does="every call fails with -10004 and initialize() with -10003 for minutes, or the module's process ends",
        calls=("initialize", *CALLS),
        play=restart,
        parameters={"exit": False},
        lasts_s=180.0,
    ),
    Fault(
        id="M10",
        does="account_info() is None, or its balance, equity and free margin are 0 or NaN",
        calls=("account_info",),
        play=empty_account,
        parameters={"shows": "none"},
    ),
    Fault(
        id="M11",
        does="last_error() after the call is another thread's",
        calls=CALLS,
        play=overwritten,
        parameters={"code": mt5.RES_E_INTERNAL_FAIL_SEND, "fails": False},
    ),
    Fault(id="M56", does="a read is None and last_error() is (1, 'Success')", calls=READS, play=nothing),
)
