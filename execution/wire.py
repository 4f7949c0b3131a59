"""This site's broker, built from the settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from django.conf import settings

from execution.brokers import connect
from execution.brokers.base import Broker
from execution.brokers.mt5_session import Mt5Login
from market.feeds.server_time import server_moment_to_utc_ms
from market.terminal.client import Terminal, open_terminal
from ops import clock


def open_site_terminal() -> Terminal:
    """Return a client of this site's terminal."""
    return open_terminal(settings.MT5_BRIDGE, run_dir=settings.RUN_DIR, state_dir=settings.STATE_DIR)


def configured_login() -> Mt5Login | None:
    """Return the account that the settings name, or None for the one the terminal is logged in to."""
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
