"""What the setup bot watches."""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

INTERVALS = ("1m", "5m", "15m", "1h")


def interval_choices() -> list[tuple[str, str]]:
    """Return the lengths of bars that setups are looked for on."""
    return [(name, name) for name in INTERVALS]


class BotSymbolQuerySet(models.QuerySet["BotSymbol"]):
    """Names for the questions asked about the bot's symbols."""

    def enabled(self) -> Self:
        return self.filter(is_enabled=True)


class BotSymbol(models.Model):
    """Something the bot trades at one venue, and whose klines it reads for that."""

    name = models.CharField(max_length=32, help_text="at the venue, like ETHUSDT or, at a broker, ETHUSD")
    broker = models.CharField(max_length=32, help_text="the venue's key, like binance_spot, binance_futures or mt5")
    data_symbol = models.CharField(
        max_length=32, help_text="whose klines are read, like ETHUSDT; a registered symbol's"
    )
    interval = models.CharField(max_length=3, default="15m", choices=interval_choices, help_text="length of a bar")
    is_enabled = models.BooleanField(default=True, help_text="looked at every closed bar, and traded")
    position = models.PositiveSmallIntegerField(default=0, help_text="place in lists, smallest first")

    history = HistoricalRecords()
    objects = BotSymbolQuerySet.as_manager()

    class Meta:
        ordering = ["position", "name"]
        constraints = [
            models.UniqueConstraint(fields=["broker", "name"], name="botsymbol_has_one_owner"),
            models.CheckConstraint(condition=~Q(name="") & ~Q(broker="") & ~Q(data_symbol=""), name="botsymbol_named"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.interval} at {self.broker}"
