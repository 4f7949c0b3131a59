"""Which venues are traded at: MetaTrader 5 always, Binance where the setup bot has something.

Apart from ``execution.venues``, because whoever latches or shows a page needs no broker: the web process imports none.
"""

from __future__ import annotations

from collections.abc import Collection

from execution.models import BotTrade, ControlRow
from mlfilter.models import BotSymbol

MT5 = "mt5"
BINANCE_SPOT, BINANCE_FUTURES = "binance_spot", "binance_futures"
AT_BINANCE = (BINANCE_SPOT, BINANCE_FUTURES)


def venues_in_use() -> tuple[str, ...]:
    """Return the keys of the venues that are watched and armed: where the bot has a symbol, or may hold something."""
    return _sorted({*BotSymbol.objects.enabled().values_list("broker", flat=True), *venues_entered()})


def venues_entered() -> tuple[str, ...]:
    """Return the keys of the venues that a kill has to close: where trading was armed, or a trade has not ended.

    At a venue that was never armed nothing of ours can be; it must not keep a kill from being flat.
    """
    used = {*BotTrade.objects.live().values_list("account__broker", flat=True)}
    for venues in ControlRow.objects.filter(scope=ControlRow.SYSTEM).values_list("armed_venues", flat=True):
        used |= {*venues}
    return _sorted(used)


def _sorted(used: Collection[str]) -> tuple[str, ...]:
    return (MT5, *(key for key in AT_BINANCE if key in used))


def venue_key(broker_key: str, key: str) -> str:
    """Return the key of an alert or heartbeat that each venue has for itself; MetaTrader 5's is the bare one."""
    return key if broker_key == MT5 else f"{broker_key}:{key}"


def symbols_at(broker_key: str) -> tuple[str, ...]:
    """Return what the bot trades, or may still hold, at a venue; symbols that are switched off count, too."""
    named = BotSymbol.objects.filter(broker=broker_key).values_list("name", flat=True)
    held = BotTrade.objects.live().filter(account__broker=broker_key).values_list("symbol", flat=True)
    return tuple(sorted({*named, *held}))
