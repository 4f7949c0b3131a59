"""The families of signals that propose setups. To add one: one file, and one line in ``SIGNALS``."""

from __future__ import annotations

from mlfilter.signals import oversold
from mlfilter.signals.base import SignalFamily
from mlfilter.signals.oversold import DEFAULTS, OversoldThresholds, identify_long_setups, identify_short_setups

__all__ = [
    "DEFAULTS",
    "SIGNALS",
    "OversoldThresholds",
    "SignalFamily",
    "identify_long_setups",
    "identify_short_setups",
]

SIGNALS: dict[str, SignalFamily] = {
    "oversold": oversold.FAMILY,
}
