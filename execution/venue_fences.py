"""The fences of the Binance accounts: files, so that a kill latches them without asking anybody.

Apart from ``execution.venues``, because whoever latches needs no broker: the web process imports none.
"""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from execution.brokers.binance_fence import VenueFence
from execution.trading_venues import AT_BINANCE
from ops import clock


def venue_fence(broker_key: str) -> VenueFence:
    """Return the fence that all processes of a Binance account share: a kill latches it, arming takes the latch off."""
    path = Path(settings.SAFETY_DIR) / f"{broker_key}_fence.json"
    return VenueFence(path, mono=clock.mono, sleep=clock.sleep)


def latch_venues() -> None:
    """Latch every Binance account's fence, as a kill does; no lock is waited for and no venue is asked.

    Raises
    ------
    OSError
        One could not be written; the others are latched all the same.
    """
    failed: OSError | None = None
    for broker_key in AT_BINANCE:
        try:
            venue_fence(broker_key).latch()
        except OSError as error:
            failed = error
    if failed:
        raise failed


def unlatch_venues() -> None:
    """Take the latches off, as arming does."""
    for broker_key in AT_BINANCE:
        venue_fence(broker_key).unlatch()
