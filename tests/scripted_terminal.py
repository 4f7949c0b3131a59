"""A terminal that says exactly what a test wants it to say, and the structures to say it with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, get_type_hints

from execution.brokers.mt5 import Mt5Broker
from execution.brokers.mt5_session import Mt5Login
from market.terminal.client import Reply
from simulator import structs
from tests.execution_builders import NOON

SERVER_AHEAD = timedelta(hours=2)
LOGIN = Mt5Login(login=1001, server="Broker-Demo", password="secret-word")


def server_s(at: datetime) -> int:
    return int((at + SERVER_AHEAD).timestamp())


def to_utc(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC) - SERVER_AHEAD


def struct(cls: type, **values: Any) -> Any:
    """Return a structure with what the test says, and zeros of the right type elsewhere."""
    zeros = {int: 0, float: 0.0, str: "", bool: False}
    return cls(**{name: zeros.get(kind) for name, kind in get_type_hints(cls).items()} | values)


def account_info(**changes: Any) -> Any:
    values: dict[str, Any] = {"login": 1001, "server": "Broker-Demo", "currency": "USD", "currency_digits": 2}
    values |= {"balance": 100_000.0, "equity": 100_000.1, "leverage": 30, "margin_mode": 2}
    return struct(structs.AccountInfo, **values | {"trade_allowed": True, "trade_expert": True} | changes)


def symbol_info(**changes: Any) -> Any:
    values: dict[str, Any] = {"name": "BTCUSD", "select": True, "digits": 2, "point": 0.01, "trade_mode": 4}
    values |= {"trade_contract_size": 1.0, "volume_min": 0.01, "volume_step": 0.01, "volume_max": 100.0}
    values |= {"filling_mode": 3, "trade_exemode": 2, "currency_base": "BTC", "currency_profit": "USD"}
    return struct(structs.SymbolInfo, **values | changes)


def tick(**changes: Any) -> Any:
    return struct(structs.Tick, **{"time": server_s(NOON), "bid": 60_000.0, "ask": 60_006.0} | changes)


def trade_position(**changes: Any) -> Any:
    values: dict[str, Any] = {"ticket": 5, "symbol": "BTCUSD", "type": 0, "volume": 0.1 + 0.2, "price_open": 60_000.0}
    return struct(structs.TradePosition, **values | {"time": server_s(NOON), "magic": 77, "sl": 59_000.0} | changes)


def trade_deal(**changes: Any) -> Any:
    values: dict[str, Any] = {"ticket": 9, "order": 8, "position_id": 5, "symbol": "BTCUSD", "volume": 0.1}
    return struct(structs.TradeDeal, **values | {"price": 60_000.0, "time": server_s(NOON)} | changes)


def sent(retcode: int = 10009, **changes: Any) -> Any:
    values: dict[str, Any] = {"retcode": retcode, "deal": 9, "order": 8, "volume": 0.1, "price": 60_006.0}
    return struct(structs.OrderSendResult, **values | {"request": struct(structs.TradeRequest)} | changes)


class ScriptedTerminal:
    """Answers each function with what the script says, an error by raising it, and keeps what it was asked."""

    def __init__(self, **script: Any) -> None:
        healthy = SimpleNamespace(connected=True, trade_allowed=True, tradeapi_disabled=False)
        self.script: dict[str, Any] = {
            "account_info": account_info(),
            "terminal_info": healthy,
            "symbol_info": symbol_info(),
            "symbol_info_tick": tick(),
            "order_send": sent(),
        } | script
        self.last_error = (1, "Success")
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.writes: list[tuple[dict[str, Any], dict[str, Any]]] = []

    def call(self, function: str, *args: Any, **kwargs: Any) -> Reply:
        self.calls.append((function, args, kwargs))
        return self._answer(function)

    def order_send(self, request: dict[str, Any], **terms: Any) -> Reply:
        self.writes.append((request, terms))
        return self._answer("order_send")

    reduce = order_send

    def stamp(self) -> float:
        return 990.0

    def _answer(self, function: str) -> Reply:
        answer = self.script[function]
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if isinstance(answer, Exception):
            raise answer
        return Reply(answer, self.last_error, 995.0)


class Pauses(list[float]):
    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def make_broker(terminal: ScriptedTerminal | None = None, **changes: Any) -> Mt5Broker:
    values: dict[str, Any] = {"terminal": terminal or ScriptedTerminal(), "login": LOGIN, "to_utc": to_utc}
    return Mt5Broker(**values | {"now": lambda: NOON, "sleep": Pauses()} | changes)
