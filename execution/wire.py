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
from execution.models import ControlRow
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


def required_login() -> Mt5Login | None:
    """Return the account that the settings name, else the one that was armed last; None before anything was armed."""
    named = configured_login()
    if named is not None:
        return named
    row = ControlRow.objects.filter(scope=ControlRow.SYSTEM).exclude(armed_login=None).first()
    return Mt5Login(login=row.armed_login, server=row.armed_server) if row and row.armed_login else None


def connect_broker(*, patient: bool = True, to_arm: bool = False) -> Broker:
    """Return the connected broker, bound to our account: while the terminal serves another one, reads fail.

    Parameters
    ----------
    patient : bool
        Try again with growing pauses; a loop that comes back anyway, or a person who waits, does without.
    to_arm : bool
        Take the account that the terminal serves, where the settings name none: arming is what binds to it.
    """
    return connect(
        "mt5",
        terminal=open_site_terminal(),
        login=configured_login() if to_arm else required_login(),
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
def the_broker(*, patient: bool = True, to_arm: bool = False) -> Iterator[Broker]:
    """Connect for the block, and let go of the broker after it; arguments as for ``connect_broker``."""
    broker = connect_broker(patient=patient, to_arm=to_arm)
    try:
        yield broker
    finally:
        broker.disconnect()
