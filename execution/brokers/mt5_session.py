"""The way to one MetaTrader 5 account: attach, verify, read. None is never taken for "nothing"."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from typing import Any, TypeVar

from execution.brokers.mt5_parse import parse_account
from execution.errors import BrokerUnavailableError, ConfigError
from execution.planning.orders import AccountSnapshot
from market.terminal.client import Terminal
from market.terminal.errors import TerminalError

T = TypeVar("T")

PAUSES_S = (1.0, 2.0, 4.0, 8.0)  # between attempts to connect
# last_error codes that no second attempt changes: arguments, version, login, the API switched off.
FINAL_ERRORS = frozenset({-2, -5, -6, -8})
AUTH_FAILED = -6


@dataclass(frozen=True, slots=True, kw_only=True)
class Mt5Login:
    """Which account to attach to."""

    login: int
    server: str
    password: str = field(default="", repr=False)  # empty: the terminal has saved it
    path: str = ""  # of the terminal; needed where a machine has several


class Mt5Session:
    """Reads of one account through the terminal's client.

    Parameters are those of ``Mt5Broker``.
    """

    def __init__(self, terminal: Terminal, login: Mt5Login | None, *, for_trading: bool) -> None:
        self.terminal = terminal
        self._login = login
        self._for_trading = for_trading

    def connect(self, *, sleep: Callable[[float], None], pauses_s: Sequence[float]) -> None:
        """Attach to the account, trying again after each of the pauses, and verify it.

        Raises
        ------
        ConfigError
            Wrong account, wrong credentials, or a terminal that may not trade.
        BrokerUnavailableError
            No attempt was answered.
        """
        for pause_s in pauses_s:
            try:
                return self._attach()
            except BrokerUnavailableError:
                sleep(pause_s)
        return self._attach()

    def account(self) -> AccountSnapshot:
        """Return the account that the terminal serves, ours or not."""
        return self.parsed("account_info", parse_account)

    def require_account(self) -> AccountSnapshot:
        """Return our account, or refuse any other; its number stays out of the message."""
        account, login = self.account(), self._login
        if login is not None and not _is_right(account, login):
            which = "our login" if account.login == login.login else "another login"
            raise ConfigError(f"the terminal serves {which} on {account.server!r}, it must be ours on {login.server!r}")
        return account

    def parsed(self, function: str, parse: Callable[[Any], T], *args: Any) -> T:
        """Read and parse; what cannot be understood is as good as no answer."""
        value = self.read(function, *args)
        try:
            return parse(value)
        except (AttributeError, TypeError, ValueError, LookupError, ArithmeticError) as error:
            raise BrokerUnavailableError(f"{function} answered what cannot be used: {error}") from error

    def read(self, function: str, *args: Any) -> Any:
        """Return what a function answered. None and False are failures: they never mean that there is nothing."""
        reply = self.through(partial(self.terminal.call, function, *args))
        if reply.value is None or reply.value is False:
            code, text = reply.last_error
            raise BrokerUnavailableError(f"{function} answered {reply.value}: {text} ({code})", code)
        return reply.value

    def through(self, call: Callable[[], T]) -> T:
        """Make a call that reads, with the terminal's errors as ours."""
        try:
            return call()
        except TerminalError as error:
            raise BrokerUnavailableError(f"the terminal did not answer: {error}") from error

    def _attach(self) -> None:
        if not self._is_attached():
            self._initialize()
        self.require_account()
        flags = attrgetter("connected", "trade_allowed", "tradeapi_disabled")
        connected, trade_allowed, api_disabled = self.parsed("terminal_info", flags)
        if not connected:
            raise BrokerUnavailableError("the terminal is not connected to its trade server")
        if self._for_trading and (api_disabled or not trade_allowed):
            raise ConfigError("the terminal may not trade: switch Algo Trading and the Python API on in its options")

    def _is_attached(self) -> bool:
        """Tell whether the terminal already serves the account, so that nobody else's calls are disturbed."""
        try:
            account = self.account()
        except BrokerUnavailableError:
            return False
        return self._login is None or _is_right(account, self._login)

    def _initialize(self) -> None:
        path = [self._login.path] if self._login and self._login.path else []
        arguments = _credentials(self._login)
        reply = self.through(partial(self.terminal.call, "initialize", *path, **arguments))
        if reply.value is True:
            return
        code, text = reply.last_error
        hint = "; check MT5_LOGIN, MT5_SERVER and MT5_PASSWORD" if code == AUTH_FAILED else ""
        message = f"the terminal could not be initialised: {text} ({code}){hint}"
        raise ConfigError(message) if code in FINAL_ERRORS else BrokerUnavailableError(message, code)


def _is_right(account: AccountSnapshot, login: Mt5Login) -> bool:
    return (account.login, account.server) == (login.login, login.server)


def _credentials(login: Mt5Login | None) -> dict[str, Any]:
    if login is None:
        return {}
    arguments = {"login": login.login, "server": login.server, "password": login.password}
    return {name: value for name, value in arguments.items() if value}
