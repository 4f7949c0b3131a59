"""The package's functions about the connection: terminal, account, last error."""

from __future__ import annotations

from simulator import readings
from simulator.mounting import TERMINAL, command, data, live
from simulator.structs import AccountInfo, TerminalInfo


def initialize(
    path: str | None = None,
    *,
    login: int | None = None,
    password: str | None = None,
    server: str | None = None,
    timeout: int = 60_000,
    portable: bool = False,
) -> bool:
    """Connect; without credentials to the account that the terminal has saved."""
    with TERMINAL.lock:
        if TERMINAL.world is None:
            from simulator.world import World  # only here: a test mounts a world of its own

            TERMINAL.mount(World.from_env())
    return command("initialize", lambda: TERMINAL.authorize(login, password, server))


def login(login: int, password: str | None = None, server: str | None = None, timeout: int = 60_000) -> bool:
    """Log in to an account; there is one."""
    return command("login", lambda: _log_in(login, password, server))


def _log_in(login: int, password: str | None, server: str | None) -> bool:
    live()  # only a connected terminal logs in
    return TERMINAL.authorize(login, password, server)


def shutdown() -> bool:
    """Disconnect; the world goes on."""
    return command("shutdown", TERMINAL.disconnect)


def last_error() -> tuple[int, str]:
    """Return how the last call ended."""
    return TERMINAL.error


def version() -> tuple[int, int, str] | None:
    """Return the terminal's version, build and its date."""
    return data("version", _version)


def _version() -> tuple[int, int, str]:
    live()
    return 500, readings.BUILD, readings.BUILD_DATE


def terminal_info() -> TerminalInfo | None:
    """Return the terminal's state."""
    return data("terminal_info", lambda: readings.terminal_info(live(), TERMINAL.folder))


def account_info() -> AccountInfo | None:
    """Return the account's sums and terms."""
    return data("account_info", lambda: readings.account_info(live()))
