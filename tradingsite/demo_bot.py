"""The setup bot's part of the demo.

Its filters are trained by the research queue once the desk is up: loading the demo does not wait for them.
"""

from __future__ import annotations

from collections.abc import Sequence

from execution.bot.enrolling import enrol, train_filters
from execution.trading_venues import BINANCE_FUTURES, BINANCE_SPOT
from market.models import Symbol
from mlfilter.models import BotSymbol
from ops import queues

__all__ = ["enrol_bot", "train_filters"]
# At the simulated exchange the bot trades the same klines, under the exchange's own names, by the same filters.
AT_BINANCE = ((BINANCE_SPOT, "SOLUSDT"), (BINANCE_FUTURES, "ADAUSDT"))
FIRST_POSITION = 10


def enrol_bot(offered: Sequence[str]) -> tuple[str, ...]:
    """Let the bot watch what the broker offers of its symbols, and ask for their filters; return their names."""
    names = enrol(offered)
    if names:
        _enrol_at_binance(names)
        queues.enqueue("tradingsite.demo_bot.train_filters", queue=queues.RESEARCH)
    return names


def _enrol_at_binance(names: Sequence[str]) -> None:
    klines = set(Symbol.objects.filter(name__in=names).values_list("binance_symbol", flat=True))
    for place, (broker_key, name) in enumerate(AT_BINANCE, start=FIRST_POSITION):
        if name in klines:
            defaults = {"data_symbol": name, "position": place}
            BotSymbol.objects.get_or_create(name=name, broker=broker_key, defaults=defaults)
