"""Brokers by name, imported when they are asked for: some vendors' packages exist on one platform only."""

from importlib import import_module
from typing import Any

from execution.brokers.base import Broker

BROKERS = {
    "mt5": "execution.brokers.mt5.Mt5Broker",
    "binance_spot": "execution.brokers.binance_spot.BinanceSpotBroker",
    "binance_futures": "execution.brokers.binance_futures.BinanceFuturesBroker",
}


def connect(name: str, **options: Any) -> Broker:
    """Return the named broker, built from ``options`` and connected.

    Raises
    ------
    ValueError
        If there is no such broker.
    """
    try:
        module, _, cls = BROKERS[name].rpartition(".")
    except KeyError:
        raise ValueError(f"no broker {name!r}; known: {', '.join(BROKERS)}") from None
    broker: Broker = getattr(import_module(module), cls)(**options)
    broker.connect()
    return broker


__all__ = ["BROKERS", "Broker", "connect"]
