"""Which trade requests a fault has a meaning for, and the answers it gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator import constants as mt5
from simulator import trading
from simulator.money import exact

if TYPE_CHECKING:
    from simulator.faults.call import Call


def is_deal(call: Call) -> bool:
    """Return whether a market order is sent or checked."""
    return call.asked.get("action") == mt5.TRADE_ACTION_DEAL


def is_close(call: Call) -> bool:
    """Return whether a market order reduces a position: by its ticket, or on a netting account by its side."""
    if not is_deal(call):
        return False
    if call.account.hedging:
        return bool(call.asked.get("position"))
    held = call.account.position_of(call.symbol or "")
    return held is not None and held.type != call.asked.get("type")


def is_open(call: Call) -> bool:
    """Return whether a market order adds."""
    return is_deal(call) and not is_close(call)


def has_stop(call: Call) -> bool:
    """Return whether a market order carries a stop."""
    return is_open(call) and bool(call.asked.get("sl"))


def changes_stops(call: Call) -> bool:
    """Return whether a position's stops are set."""
    return call.asked.get("action") == mt5.TRADE_ACTION_SLTP


def is_split(call: Call) -> bool:
    """Return whether a market order is larger than the smallest one."""
    if not is_deal(call) or call.symbol not in call.account.market.symbols:
        return False
    return exact(call.asked.get("volume", 0.0)) > exact(call.account.market.symbols[call.symbol].volume_min)


def is_returned(call: Call) -> bool:
    """Return whether the rest of a market order that is filled in part would go on working."""
    return is_split(call) and call.asked.get("type_filling", mt5.ORDER_FILLING_RETURN) == mt5.ORDER_FILLING_RETURN


def opens_split(call: Call) -> bool:
    """Return whether a market order can open several positions."""
    return is_split(call) and is_open(call) and call.account.hedging


def refuse(call: Call, retcode: int) -> Any:
    """Return the server's answer with this code; nothing was executed."""
    account, request = call.account, call.request
    call.note(f"answered {retcode}, not executed")
    if call.name == "order_check":
        return trading.refused_check(account, request, retcode=retcode)
    return trading.reply(account, request, call.server.next_request_id(), retcode=retcode)


def unanswered(call: Call, reply: int) -> Any:
    """Return what is left of a lost answer: None and a code of last_error(), or a retcode without a deal."""
    if reply == mt5.RES_S_OK:
        return None
    if reply < 0:
        raise call.fail(reply)
    return trading.reply(call.account, call.request, call.server.next_request_id(), retcode=reply)


def in_words(reply: int) -> str:
    """Return a lost answer for the log."""
    return f"answered {reply}" if reply > mt5.RES_S_OK else f"None ({reply})"
