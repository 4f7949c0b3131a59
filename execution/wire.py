"""This site's broker, built from the settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from django.conf import settings

from execution.brokers import connect
from execution.brokers.base import Broker
from execution.brokers.mt5_session import Mt5Login
from execution.errors import ConfigError
from market.feeds.server_time import server_moment_to_utc_ms
from market.terminal.client import Terminal, open_terminal
from ops import clock


def open_site_terminal() -> Terminal:
    """Return a client of this site's terminal.

    Raises
    ------
    ConfigError
        MT5_BRIDGE is no address; the message says what is.
    TerminalUnavailableError
        The module that it names cannot be imported.
    """
    try:
        return open_terminal(settings.MT5_BRIDGE, run_dir=settings.RUN_DIR, state_dir=settings.STATE_DIR)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def configured_login() -> Mt5Login | None:
    """Return the account that the settings name, or None for the one the terminal is logged in to.

    Raises
    ------
    ConfigError
        Real money is at stake, and whichever account a person has left the terminal in would do.
    """
    if settings.TRADING_MODE == "live" and not (settings.MT5_LOGIN and settings.MT5_SERVER):
        raise ConfigError("live trading needs MT5_LOGIN and MT5_SERVER: without them any account would be traded")
    if not settings.MT5_LOGIN:
        return None
    return Mt5Login(
        login=settings.MT5_LOGIN, server=settings.MT5_SERVER, password=settings.MT5_PASSWORD, path=settings.MT5_PATH
    )


def connect_broker(*, patient: bool = True) -> Broker:
    """Return the connected broker.

    Parameters
    ----------
    patient : bool
        Try again with growing pauses; a loop that comes back anyway, or a person who waits, does without.
    """
    return connect(
        "mt5",
        terminal=open_site_terminal(),
        login=configured_login(),
        to_utc=server_seconds_to_utc,
        now=clock.market_now,
        sleep=clock.sleep,
        **({} if patient else {"pauses_s": ()}),
    )


def server_seconds_to_utc(seconds: int) -> datetime:
    """Return the aware UTC time of a reading of the broker's server clock; shown twice, the one near now."""
    near_ms = int(clock.market_now().timestamp() * 1000)
    utc_ms = server_moment_to_utc_ms(seconds, settings.MT5_TZ, near_ms=near_ms)
    return datetime.fromtimestamp(utc_ms / 1000, UTC)


@contextmanager
def the_broker(*, patient: bool = True) -> Iterator[Broker]:
    """Connect for the block, and let go of the broker after it."""
    broker = connect_broker(patient=patient)
    try:
        yield broker
    finally:
        broker.disconnect()
