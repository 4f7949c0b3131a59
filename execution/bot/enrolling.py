"""A bot for simulated prices: symbols of its own beside the rebalancer's, settings that show trades, a first filter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from loguru import logger

from execution.errors import ConfigError
from execution.sessions.bot import require_protectable
from execution.trading_venues import MT5
from execution.wire import the_broker
from market.lookback import fetch_historical_data
from market.models import Symbol
from mlfilter.models import BotSettings, BotSymbol
from ops.audit import SYSTEM
from ops.errors import DeskError

if TYPE_CHECKING:
    from mlfilter.training import Target

SYMBOLS = (("SOLUSD", "SOLUSDT"), ("ADAUSD", "ADAUSDT"))
WARM_UP_DAYS = 15  # more than the slowest feature looks back on the longest bars
# Prices of the simulator have no setups that pay, and its filter says so. So that trades are seen to open and close,
# this asks for less confidence and a nearer target than the settings do, and risks less.
SETTINGS = {
    "recognizer": "logistic_regression",
    "confidence_threshold": 0.4,
    "min_similar_win_rate": 0.3,
    "target_pct": 0.01,
    "risk_per_trade": 0.002,
    "train_days": 45,
    "unseen_days": 2,
}
REASON = "the first filter on simulated prices"


def enrol(offered: Sequence[str]) -> tuple[str, ...]:
    """Let the bot watch what the broker offers of its symbols, and return their names; none on a netting account.

    What a person has made of its settings and symbols stays.
    """
    chosen = [(name, at_binance) for name, at_binance in SYMBOLS if name in offered]
    if not chosen or not _may_trade():
        return ()
    BotSettings.objects.get_or_create(pk=1, defaults=SETTINGS)
    for place, (name, at_binance) in enumerate(chosen, start=1):
        # Registered for its klines; the portfolio keeps away from it.
        Symbol.objects.get_or_create(
            name=name, defaults={"binance_symbol": at_binance, "is_traded": False, "ordering": 100 + place}
        )
        defaults = {"data_symbol": at_binance, "position": place}
        BotSymbol.objects.get_or_create(name=name, broker=MT5, defaults=defaults)
    return tuple(name for name, _ in chosen)


def _may_trade() -> bool:
    """Return whether the bot may trade the account, which ``SIM_MARGIN_MODE`` may have made a netting one."""
    with the_broker(patient=False, to_arm=True) as broker:
        try:
            require_protectable(broker, broker.account())
        except ConfigError as error:
            logger.info("this account goes without the setup bot: {}", error)
            return False
    return True


def train_filters() -> None:
    """Train and promote a filter for each of the bot's symbols that has none; one that fails leaves the others."""
    from mlfilter.filters import active_filter
    from mlfilter.training import targets

    for target in targets():
        if active_filter(target.symbol.name, target.interval) is not None:
            continue
        try:
            _train(target)
        except DeskError as error:
            logger.bind(symbol=target.symbol.name).warning("the first filter was not trained: {}", error)


def _train(target: Target) -> None:
    from mlfilter.models import current_settings
    from mlfilter.training import train
    from strategies.promotion import promote

    settings = current_settings()
    n_days = settings.train_days + settings.unseen_days + WARM_UP_DAYS
    fetch_historical_data(target.symbol.binance_symbol, target.interval, n_days)
    trained = train(target, note=REASON)
    promote(trained.model.pk, actor=SYSTEM, reason=REASON, override=True)
