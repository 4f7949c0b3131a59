"""Who may trade a symbol, and what the setup bot has entered."""

from __future__ import annotations

from datetime import timedelta
from typing import Self

from django.db import models
from django.db.models import Q

from execution.models.ledger import Account
from execution.models.orders import Intent
from market.intervals import INTERVAL_MS
from ops import clock


class SymbolOwner(models.Model):
    """The one family that trades a symbol of an account; it changes only while nothing is held."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    symbol = models.CharField(max_length=32)
    family = models.CharField(max_length=16, help_text="rebalance or setup")
    since_at = models.DateTimeField(default=clock.wall_now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "symbol"], name="one_owner_per_symbol")]

    def __str__(self) -> str:
        return f"{self.symbol}: {self.family}"


class BotTradeQuerySet(models.QuerySet["BotTrade"]):
    """Names for the questions asked about the bot's trades."""

    def live(self) -> Self:
        return self.filter(status__in=BotTrade.Status.live())


class BotTrade(models.Model):
    """One approved setup that was sent to the venue, from its plan to its outcome."""

    class Status(models.TextChoices):
        PLANNED = "planned", "written down; whether it was filled is not known yet"
        OPEN = "open"
        CLOSED = "closed"
        MISSED = "missed", "nothing was filled"

        @classmethod
        def live(cls) -> list[str]:
            return [cls.PLANNED, cls.OPEN]

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="bot_trades")
    setup = models.OneToOneField("mlfilter.Setup", on_delete=models.PROTECT, related_name="trade")
    intent = models.OneToOneField(Intent, on_delete=models.PROTECT, related_name="trade")
    symbol = models.CharField(max_length=32)
    side = models.CharField(max_length=4)
    lots = models.DecimalField(max_digits=18, decimal_places=8, help_text="as planned")
    price = models.DecimalField(max_digits=24, decimal_places=10, help_text="as planned")
    stop = models.DecimalField(max_digits=24, decimal_places=10)
    target = models.DecimalField(max_digits=24, decimal_places=10)
    risk = models.DecimalField(
        max_digits=18, decimal_places=8, help_text="account currency lost at the stop, costs included: one R"
    )
    contract_size = models.DecimalField(max_digits=18, decimal_places=8, help_text="base units in one lot")
    rate = models.DecimalField(
        max_digits=24, decimal_places=10, help_text="account currency per unit of profit currency at the entry"
    )
    interval = models.CharField(max_length=3)
    deadline_at = models.DateTimeField(help_text="market time from which it is closed at the market")
    status = models.CharField(max_length=7, choices=Status, default=Status.PLANNED)
    reason = models.CharField(max_length=300, blank=True, help_text="why nothing was filled")
    closed_at = models.DateTimeField(null=True, help_text="market time of the last deal")
    result = models.DecimalField(
        max_digits=18, decimal_places=2, null=True, help_text="account currency, costs included"
    )

    objects = BotTradeQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "symbol"],
                condition=Q(status__in=["planned", "open"]),
                name="one_live_bot_trade_per_symbol",
            ),
            models.CheckConstraint(
                condition=Q(lots__gt=0, risk__gt=0, stop__gt=0, target__gt=0), name="bot_trade_is_protected"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.symbol} {self.side} {self.lots}: {self.status}"

    @property
    def bar_length(self) -> timedelta:
        """How long one of its bars is."""
        return timedelta(milliseconds=INTERVAL_MS[self.interval])
