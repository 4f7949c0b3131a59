"""A broker by its key, built from the settings: MetaTrader 5 and Binance, spot and futures, side by side."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings

from execution.brokers import BROKERS, Broker, connect
from execution.brokers.binance_futures import FuturesTerms
from execution.brokers.binance_wire import BinanceWire, Credentials
from execution.errors import BrokerUnavailableError, ConfigError
from execution.safety.binance_outcomes import Venue
from execution.trading_venues import BINANCE_FUTURES, BINANCE_SPOT, MT5, symbols_at
from execution.venue_fences import venue_fence
from execution.wire import connect_broker
from market.feeds.pause import Pause
from market.feeds.rest import is_loopback
from market.models import Symbol
from ops import clock

BINANCE = {BINANCE_SPOT: Venue.SPOT, BINANCE_FUTURES: Venue.FUTURES}
RUN_FILE = "binance.json"  # where the simulated exchange publishes its address and its key


def connect_named(broker_key: str, *, symbols: Sequence[str] = (), patient: bool = True) -> Broker:
    """Return a connected broker.

    Parameters
    ----------
    broker_key : str
        One of ``BROKERS``.
    symbols : sequence of str
        At Binance: what is traded, in its names (``BTCUSDT``). Empty: the bot's there, else those of the portfolio's
        that have one.
    patient : bool
        Try again with growing pauses; a loop that comes back anyway, or a person who waits, does without.

    Raises
    ------
    ConfigError
        A person must act: no such broker, no key, a key that may too much, an account set differently.
    BrokerUnavailableError
        It was not reached, or the demo's exchange does not run.
    """
    if broker_key == MT5:
        return connect_broker(patient=patient)
    if broker_key not in BINANCE:
        raise ConfigError(f"no broker {broker_key!r}; known: {', '.join(BROKERS)}")
    return connect(broker_key, **_binance_options(BINANCE[broker_key], symbols, patient=patient))


@contextmanager
def named_broker(broker_key: str, *, symbols: Sequence[str] = (), patient: bool = True) -> Iterator[Broker]:
    """Connect for the block, and let go of the broker after it; arguments as for ``connect_named``."""
    broker = connect_named(broker_key, symbols=symbols, patient=patient)
    try:
        yield broker
    finally:
        broker.disconnect()


def _binance_options(venue: Venue, symbols: Sequence[str], *, patient: bool) -> dict[str, Any]:
    base, credentials = _address()
    broker_key = next(key for key, one in BINANCE.items() if one is venue)
    options: dict[str, Any] = {
        "wire": BinanceWire(venue, credentials, mono=clock.mono, base=base, pause=_pause(broker_key)),
        "fence": venue_fence(broker_key),
        "symbols": tuple(symbols) or symbols_at(broker_key) or _desk_symbols(),
        "mono": clock.mono,
        "sleep": clock.sleep,
        "needs_bound_key": settings.TRADING_MODE == "live" and not settings.BINANCE_KEY_UNBOUND,
    }
    if venue is Venue.FUTURES:
        options["terms"] = _terms()
    return options if patient else options | {"pauses_s": ()}


def _pause(broker_key: str) -> Pause:
    """Return the silence that the venue has asked for, which every process of the account keeps."""
    return Pause(Path(settings.RUN_DIR) / f"{broker_key}-pause.json")


def _desk_symbols() -> tuple[str, ...]:
    named = Symbol.objects.traded().exclude(binance_symbol="")
    return tuple(named.values_list("binance_symbol", flat=True))


def _terms() -> FuturesTerms:
    """Return how the futures account must be set; the demo's opens at 20x crossed, as Binance's do."""
    usual = 20 if settings.TRADING_MODE == "demo" else 1
    try:
        return FuturesTerms(
            leverage=settings.BINANCE_LEVERAGE or usual,
            is_isolated=settings.BINANCE_ISOLATED,
            is_hedge=settings.BINANCE_HEDGE,
        )
    except ValueError as error:
        raise ConfigError(f"BINANCE_LEVERAGE: {error}") from error


def _address() -> tuple[str, Credentials]:
    """Return where Binance is and by what key; an empty address is its own, which only live trading goes to.

    In the demo it is the simulated exchange with its own key, whatever key the settings hold. BINANCE_BASE may be a
    host for data alone, so that it counts here only when it is on this machine.
    """
    base = settings.BINANCE_BASE if is_loopback(settings.BINANCE_BASE) else ""
    if settings.TRADING_MODE == "demo" and not base:
        return _published(Path(settings.RUN_DIR) / RUN_FILE)
    if settings.TRADING_MODE != "live" and not base:
        raise ConfigError(
            f"{settings.TRADING_MODE} trading at Binance needs BINANCE_BASE, the address of an exchange on this "
            "machine: without it orders would go to the real one"
        )
    if not (settings.BINANCE_API_KEY and settings.BINANCE_API_SECRET):
        raise ConfigError("trading at Binance needs BINANCE_API_KEY and BINANCE_API_SECRET")
    return base, Credentials(key=settings.BINANCE_API_KEY, secret=settings.BINANCE_API_SECRET)


def _published(run_file: Path) -> tuple[str, Credentials]:
    try:
        fields = json.loads(run_file.read_text(encoding="utf-8"))
        address = f"http://{fields['host']}:{int(fields['port'])}"
        return address, Credentials(key=str(fields["key"]), secret=str(fields["secret"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BrokerUnavailableError(
            f"no simulated Binance has published itself in {run_file.name} ({type(error).__name__}): start it with "
            "`manage.py up` or `manage.py simulator`"
        ) from error
