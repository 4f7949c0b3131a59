"""One call of the venue while a fault plays on it: what was asked, what it would answer, and the books behind it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from simulator import constants as mt5
from simulator.market import Market, Quote
from simulator.refusals import TerminalCallError
from simulator.trade_requests import parse_request

if TYPE_CHECKING:
    from simulator.account import Account
    from simulator.binance.venue import Venue
    from simulator.faults.base import Fault
    from simulator.faults.player import FaultPlayer
    from simulator.structs import TradeRequest
    from simulator.symbols import SimSymbol
    from simulator.terminal import SimTerminal

LAST_ERRORS = {
    mt5.RES_S_OK: "Success",
    mt5.RES_E_FAIL: "Terminal: Call failed",
    mt5.RES_E_NO_MEMORY: "Terminal: Out of memory",
    mt5.RES_E_NOT_FOUND: "Terminal: Not found",
    mt5.RES_E_INVALID_VERSION: "Terminal: Incompatible versions",
    mt5.RES_E_AUTH_FAILED: "Terminal: Authorization failed",
    mt5.RES_E_AUTO_TRADING_DISABLED: "Terminal: Auto-Trading using Python API disabled",
    mt5.RES_E_INTERNAL_FAIL: "IPC call failed",
    mt5.RES_E_INTERNAL_FAIL_SEND: "IPC send failed",
    mt5.RES_E_INTERNAL_FAIL_RECEIVE: "IPC recv failed",
    mt5.RES_E_INTERNAL_FAIL_INIT: "IPC initialize failed, MetaTrader 5 x64 not found",
    mt5.RES_E_INTERNAL_FAIL_CONNECT: "No IPC connection",
    mt5.RES_E_INTERNAL_FAIL_TIMEOUT: "IPC timeout",
}


@dataclass(slots=True)
class Firing:
    """A fault that has begun."""

    fault: Fault
    parameters: Mapping[str, Any]
    rule: int  # its place in the plan; -1: drawn from the mix
    key: str  # of its own random numbers
    until_ms: int
    symbol: str | None = None
    is_noted: bool = False  # its line is in the log
    memory: dict[str, Any] = field(default_factory=dict)  # what it keeps from one call to the next

    def goes_on(self, call: Call) -> bool:
        """Return whether it touches this later call."""
        same = self.symbol is None or call.symbol in (None, self.symbol)
        touched = call.now_ms < self.until_ms and same and call.name in self.fault.calls
        return touched and self.fault.applies(call)


@dataclass(slots=True, kw_only=True)
class Call:
    """A call as a fault sees it; ``go()`` does what would be done without it."""

    name: str
    arguments: Mapping[str, Any]
    go: Callable[[], Any]
    now_ms: int  # market time
    player: FaultPlayer
    terminal: SimTerminal | None = None  # None at the exchange
    venue: Venue | None = None  # the exchange's account, None at the terminal
    firing: Firing | None = None

    @property
    def begun(self) -> Firing:
        """Return the fault that plays."""
        if self.firing is None:
            raise LookupError(f"no fault plays on {self.name}")
        return self.firing

    @property
    def memory(self) -> dict[str, Any]:
        """Return what the fault keeps from one call to the next."""
        return self.begun.memory

    @property
    def rng(self) -> random.Random:
        """Return the fault's own random numbers, the same for the same seed."""
        return random.Random(self.begun.key)  # noqa: S311 - chance, not secrecy

    @property
    def account(self) -> Account:
        """Return the connected account, or fail as every call before initialize() does."""
        return self.server.connected_account()

    @property
    def server(self) -> SimTerminal:
        """Return the terminal that is asked."""
        if self.terminal is None:
            raise LookupError(f"{self.name} asks no terminal")
        return self.terminal

    @property
    def exchange(self) -> Venue:
        """Return the exchange that is asked."""
        if self.venue is None:
            raise LookupError(f"{self.name} asks no exchange")
        return self.venue

    @property
    def asked(self) -> Mapping[str, Any]:
        """Return the trade request as it was given, nothing where there is none."""
        request = self.arguments.get("request")
        return request if isinstance(request, dict) else {}

    @property
    def request(self) -> TradeRequest:
        """Return the trade request, or fail as the terminal does when it makes no sense."""
        return parse_request(self.arguments.get("request"))

    @property
    def symbol(self) -> str | None:
        """Return the symbol that the call is about, None for one about the account."""
        named = self.arguments.get("symbol") or self.asked.get("symbol")
        return str(named) if named else None

    def parameter(self, name: str) -> Any:
        """Return one of the fault's parameters."""
        return self.begun.parameters[name]

    def note(self, what: str) -> None:
        """Write down what the fault does as it begins; while it goes on there is nothing more to say."""
        if not self.begun.is_noted:
            self.begun.is_noted = True
            self.player.record(self, what)

    def fail(self, code: int) -> TerminalCallError:
        """Return the failure that leaves this code in last_error()."""
        return TerminalCallError(code, LAST_ERRORS.get(code, "Unknown error"))


class MarketView:
    """A market as a fault shows it: another specification, other quotes or hours; all else is the market's own."""

    def __init__(
        self,
        market: Market,
        *,
        spec: SimSymbol | None = None,
        closed: str | None = None,
        quote: Callable[[Quote], Quote] | None = None,
    ) -> None:
        self._market = market
        self._closed = closed
        self._quote = quote
        self.symbols = dict(market.symbols) | ({spec.name: spec} if spec else {})

    def __getattr__(self, name: str) -> Any:
        return getattr(self._market, name)

    def is_open(self, symbol: str, t_ms: int) -> bool:
        """Return whether a symbol trades, which the closed one does not."""
        return symbol != self._closed and self._market.is_open(symbol, t_ms)

    def quote(self, symbol: str, t_ms: int) -> Quote:
        """Return the quote that is dealt at."""
        quote = self._market.quote(symbol, t_ms)
        return quote if self._quote is None else self._quote(quote)


@contextmanager
def viewed(account: Account, view: MarketView) -> Iterator[None]:
    """Have the server work with this view of its market meanwhile."""
    market = account.market
    account.market = cast("Market", view)
    try:
        yield
    finally:
        account.market = market
