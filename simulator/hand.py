"""What a person does by hand in the terminal's own window: trades that no program has sent."""

from __future__ import annotations

from typing import Any

from simulator import constants as mt5
from simulator import trading
from simulator.mounting import TERMINAL
from simulator.structs import TradeRequest

PRICES = ("price", "stoplimit", "sl", "tp")


def trade(symbol: str, side: str, volume: float, *, position: int = 0) -> int:
    """Buy or sell at market on the mounted account, or close a position by its ticket, and return the retcode.

    Raises
    ------
    ValueError
        If the side is neither ``buy`` nor ``sell``.
    """
    sides = {"buy": mt5.ORDER_TYPE_BUY, "sell": mt5.ORDER_TYPE_SELL}
    if side not in sides:
        raise ValueError(f"side is buy or sell, was {side!r}")
    with TERMINAL.lock:
        account = TERMINAL.account()
        bits = account.market.symbols[symbol].filling_mode
        values: dict[str, Any] = dict.fromkeys(TradeRequest._fields, 0) | dict.fromkeys(PRICES, 0.0)
        values |= {"action": mt5.TRADE_ACTION_DEAL, "symbol": symbol, "type": sides[side], "volume": volume}
        values |= {"comment": "", "position": position}
        values |= {"type_filling": mt5.ORDER_FILLING_FOK if bits & 1 else mt5.ORDER_FILLING_IOC}
        return trading.send(account, TradeRequest(**values), TERMINAL.next_request_id()).retcode
