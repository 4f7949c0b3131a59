"""The bot's money at a glance: what the account holds, what its day brought, and how far that may fall."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from execution.bot.standing import day_result
from execution.day_starts import day_start
from execution.models import Account
from execution.planning.orders import AccountSnapshot, Position
from execution.trading_venues import venue_key
from mlfilter.models import current_settings
from ops import alerts

ALERT = "bot:daily-loss"


@dataclass(frozen=True, slots=True, kw_only=True)
class BotBalance:
    """Money in the account's currency."""

    balance: Decimal
    equity: Decimal
    margin_free: Decimal
    day_result: Decimal  # of the bot since the last reset, what floats included
    day_limit: Decimal  # the loss at which its entries stop until the next reset

    @property
    def is_stopped(self) -> bool:
        """Whether the day has lost what it may."""
        return self.day_result <= -self.day_limit


def watch_balance(
    account: Account, snapshot: AccountSnapshot, positions: Iterable[Position], now: datetime
) -> BotBalance:
    """Return how the bot's money stands, and tell a person when its day is over."""
    start = day_start(account, snapshot.balance, now).balance
    balance = BotBalance(
        balance=snapshot.balance,
        equity=snapshot.equity,
        margin_free=snapshot.margin_free,
        day_result=day_result(account, positions, now),
        day_limit=Decimal(str(current_settings().daily_loss)) * start,
    )
    key = venue_key(account.broker, ALERT)
    if balance.is_stopped:
        words = f"The bot lost {-balance.day_result:.2f} today, it may lose {balance.day_limit:.2f}: no entries"
        alerts.hold_alerts(key, [alerts.Trouble(venue_key(account.broker, ALERT), words)])
    else:
        alerts.hold_alerts(key, [])
    return balance
