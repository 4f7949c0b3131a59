"""What a person does by hand in the terminal's own window: trades and changes that no program has sent."""

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
        fields = {"action": mt5.TRADE_ACTION_DEAL, "symbol": symbol, "type": sides[side], "volume": volume}
        fields |= {"position": position, "type_filling": mt5.ORDER_FILLING_FOK if bits & 1 else mt5.ORDER_FILLING_IOC}
        return trading.send(account, _request(fields), TERMINAL.next_request_id()).retcode


def set_levels(symbol: str, position: int, *, stop: float = 0.0, target: float = 0.0) -> int:
    """Change the stop and target of a position on the mounted account, and return the retcode; 0 takes one away."""
    with TERMINAL.lock:
        fields = {"action": mt5.TRADE_ACTION_SLTP, "symbol": symbol, "position": position, "sl": stop, "tp": target}
        return trading.send(TERMINAL.account(), _request(fields), TERMINAL.next_request_id()).retcode


def _request(fields: dict[str, Any]) -> TradeRequest:
    empty: dict[str, Any] = dict.fromkeys(TradeRequest._fields, 0) | dict.fromkeys(PRICES, 0.0) | {"comment": ""}
    return TradeRequest(**(empty | fields))
