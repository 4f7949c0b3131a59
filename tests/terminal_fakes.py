"""A small module with the MetaTrader5 surface that the wire needs, driven by files, so that it works in any process.

``FAKE_TERMINAL_DIR`` is its folder: ``calls.log`` gets a line for each call as it begins and ``account.json`` holds the
margin mode, positions and orders. While ``hang.<function>`` exists that function does not return.
"""

from __future__ import annotations

import json
import os
import time
from collections import namedtuple
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

AccountInfo = namedtuple("AccountInfo", "login margin_mode balance")
Tick = namedtuple("Tick", "time bid ask flags")
TradePosition = namedtuple("TradePosition", "ticket type volume symbol")
TradeOrder = namedtuple("TradeOrder", "ticket type symbol")
TradeRequest = namedtuple("TradeRequest", "action symbol volume type position order")
OrderSendResult = namedtuple("OrderSendResult", "retcode order volume request")

RATES = np.dtype([("time", "<i8"), ("open", "<f8"), ("close", "<f8"), ("tick_volume", "<u8"), ("spread", "<i4")])
CONNECTED, NO_CONNECTION = (1, "Success"), (-10004, "No IPC connection")
HEDGING, NETTING = 2, 0
LONG = {"ticket": 7, "type": 0, "volume": 0.3, "symbol": "BTCUSD"}

_last_error = CONNECTED


def folder() -> Path:
    return Path(os.environ["FAKE_TERMINAL_DIR"])


def put_account(*, margin_mode: int = HEDGING, positions=(), orders=(), readable: bool = True) -> None:
    """Let the account be this from now on, in all processes."""
    state = {"margin_mode": margin_mode, "positions": list(positions), "orders": list(orders), "readable": readable}
    draft = folder() / "account.draft"
    draft.write_text(json.dumps(state))
    draft.replace(folder() / "account.json")


def hang(function: str) -> Path:
    """Let the function hang until the returned file is removed."""
    event = folder() / f"hang.{function}"
    event.touch()
    return event


def called(function: str) -> int:
    """Return how often the function has begun, in all processes."""
    log = folder() / "calls.log"
    return log.read_text().split().count(function) if log.exists() else 0


def _begin(function: str) -> dict[str, Any]:
    global _last_error
    with (folder() / "calls.log").open("a") as log:
        log.write(f"{function}\n")
    while (folder() / f"hang.{function}").exists():
        time.sleep(0.005)
    state = folder() / "account.json"
    account: dict[str, Any] = (
        json.loads(state.read_text()) if state.exists() else {"margin_mode": HEDGING, "readable": True}
    )
    _last_error = CONNECTED if account["readable"] else NO_CONNECTION
    return account


def last_error():
    return _last_error


def initialize(path=None, *, login=0, password="", server="", timeout=60_000, portable=False):
    _begin("initialize")
    return True


def account_info():
    account = _begin("account_info")
    return AccountInfo(1001, account["margin_mode"], 100_000.0)


def positions_total():
    _begin("positions_total")
    print("what a module prints must not break a frame")
    return 0


def symbol_info_tick(symbol):
    _begin("symbol_info_tick")
    return Tick(1_700_000_000, 100.5, float("nan"), 6) if symbol == "BTCUSD" else None


def symbol_select(symbol, enable=True):
    _begin("symbol_select")
    raise RuntimeError(f"{symbol} cannot be selected")


def terminal_info():
    os._exit(3)  # as when the process is killed in the middle of a read


def positions_get(symbol=None, ticket=None):
    account = _begin("positions_get")
    if not account["readable"]:
        return None
    found = [TradePosition(**position) for position in account.get("positions", ())]
    return tuple(p for p in found if symbol in (None, p.symbol) and ticket in (None, p.ticket))


def orders_get(ticket=None):
    account = _begin("orders_get")
    if not account["readable"]:
        return None
    return tuple(TradeOrder(**order) for order in account.get("orders", ()) if ticket in (None, order["ticket"]))


def copy_rates_from_pos(symbol, timeframe, start_pos, count):
    _begin("copy_rates_from_pos")
    rates = np.zeros(count, dtype=RATES)
    rates["time"] = 3600 * np.arange(count)
    rates["close"] = np.arange(count) / 7
    return rates


def history_deals_total(date_from: datetime, date_to: datetime):
    _begin("history_deals_total")
    return int((date_to - date_from).total_seconds())


def order_send(request):
    _begin("order_send")
    if request.get("comment") == "raise":
        raise SystemError("after the order went out")
    if request.get("comment") == "die":
        os._exit(3)
    fields = {name: request.get(name, 0) for name in TradeRequest._fields}
    return OrderSendResult(10009, 1, request.get("volume", 0.0), TradeRequest(**fields))
