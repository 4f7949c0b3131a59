"""The state of one process's simulated terminal: which world it shows, whether a client is connected, its last error.

Like the real package there is one of it in a process. One lock makes its calls one at a time, and each first lets the
account live up to the clock's now.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from contextlib import ExitStack
from threading import RLock
from typing import TYPE_CHECKING, TypeVar

from simulator import constants as mt5
from simulator.account import Account
from simulator.arguments import read_str
from simulator.faults.player import FaultPlayer
from simulator.ledger import Ledger
from simulator.refusals import TerminalCallError, no_connection, not_found
from simulator.triggers import advance

if TYPE_CHECKING:
    from simulator.world import World

T = TypeVar("T")
F = TypeVar("F")
SUCCESS = (mt5.RES_S_OK, "Success")


class SimTerminal:
    """A terminal that shows a world, or none yet."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.error: tuple[int, str] = SUCCESS
        self.world: World | None = None
        self.connected = False
        self.selected: set[str] = set()  # symbols in Market Watch: all of them at first
        self.books: set[str] = set()  # symbols whose depth is subscribed
        self.player: FaultPlayer | None = None
        self._account: Account | None = None
        self._requests = 0

    def mount(self, world: World) -> None:
        """Show a world, with no client connected; its account goes on where its ledger ends."""
        self.unmount()
        config = world.config
        ledger = Ledger(world.ledger_path)
        with ExitStack() as undo:
            undo.callback(ledger.close)
            self._account = Account(
                ledger,
                world.market,
                world.clock.now_ms(),
                margin_mode=config.margin_mode,
                balance=config.balance,
                leverage=config.leverage,
            )
            undo.pop_all()
        self.world = world
        self.player = FaultPlayer(config.sim_dir)
        self.selected = set(world.market.symbols)

    def unmount(self) -> None:
        """Close the ledger and show nothing; a clean slate, as in a new process."""
        if self._account is not None:
            self._account.ledger.close()
        self.world, self._account, self.player, self.connected = None, None, None, False
        self.selected, self.books, self.error, self._requests = set(), set(), SUCCESS, 0

    def account(self) -> Account:
        """Return the mounted account, moved to the clock's now.

        Raises
        ------
        TerminalCallError
            If no world is mounted.
        """
        if self.world is None or self._account is None:
            raise no_connection()
        now_ms = self.world.clock.now_ms()
        if self.player is not None:
            self.player.catch_up(self._account, now_ms)
        advance(self._account, now_ms)
        return self._account

    def connected_account(self) -> Account:
        """Return the account for a client, or fail as every call before initialize() does."""
        if not self.connected:
            raise no_connection()
        return self.account()

    def call(self, body: Callable[[], T], failure: F) -> T | F:
        """Run one API function and remember how it ended: its value, or ``failure`` and the reason."""
        with self.lock:
            try:
                value = body()
            except TerminalCallError as error:
                self.error = (error.code, str(error))
                return failure
            self.error = SUCCESS
            return value

    def authorize(self, login: int | None, password: str | None, server: str | None) -> bool:
        """Accept the terminal's own account: what is given has to be right, what is left out is what it has saved.

        Raises
        ------
        TerminalCallError
            On another login or server, or a wrong password.
        """
        row = self.account().row
        given = read_str("password", password or row.password).encode()
        right = login in (None, row.login) and server in (None, "", row.server)
        if not right or not hmac.compare_digest(given, row.password.encode()):
            raise TerminalCallError(mt5.RES_E_AUTH_FAILED, "Terminal: Authorization failed")
        self.connected = True
        return True

    def next_request_id(self) -> int:
        """Return the number of a trade request, counted from 1 in each process."""
        self._requests += 1
        return self._requests

    @property
    def folder(self) -> str:
        """Return where the shown world keeps its account."""
        return str(self.world.ledger_path.parent) if self.world else ""

    def disconnect(self) -> bool:
        """End the client's connection, if there is one."""
        self.connected = False
        return True

    def known(self, symbol: object, *, selected: bool = False) -> str:
        """Return a symbol's name, or fail for one that is unknown, or not in Market Watch where it has to be."""
        name = read_str("symbol", symbol)
        symbols = self.connected_account().market.symbols
        if name not in (self.selected if selected else symbols):
            raise not_found()
        return name

    def select(self, symbol: object, enable: bool) -> bool:
        """Put a symbol into Market Watch or take it out, which fails while it has positions or orders."""
        name = self.known(symbol)
        ledger = self.connected_account().ledger
        if enable:
            self.selected.add(name)
        elif name in {p.symbol for p in ledger.positions()} | {o.symbol for o in ledger.orders()}:
            raise TerminalCallError(mt5.RES_E_FAIL, "Terminal: Call failed")
        else:
            self.selected.discard(name)
            self.books.discard(name)
        return True

    def subscribe(self, symbol: object) -> bool:
        """Subscribe to the depth of a symbol in Market Watch."""
        self.books.add(self.known(symbol, selected=True))
        return True

    def unsubscribe(self, symbol: object) -> bool:
        """End such a subscription, whether there is one or not."""
        self.books.discard(self.known(symbol))
        return True
