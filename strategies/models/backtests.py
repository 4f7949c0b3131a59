"""Backtests that were run, so that each can be found, compared and repeated, and every trial is counted."""

from __future__ import annotations

import io
from datetime import datetime
from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models import F, Q

from ops import clock

if TYPE_CHECKING:
    import pandas as pd


class BacktestQuerySet(models.QuerySet["Backtest"]):
    """Names for the questions asked about backtests."""

    def on_sample(self, symbols: list[str], begin_at: datetime, end_at: datetime) -> Self:
        """Return the backtests of the same symbols that saw a part of the same time."""
        return self.filter(symbols=symbols, begin_at__lt=end_at, end_at__gt=begin_at)

    def like(self, config_hash: str) -> Self:
        """Return the backtests of the same configuration, the oldest first."""
        return self.filter(config_hash=config_hash).order_by("id")


class Backtest(models.Model):
    """One backtest: what was asked, what came of it, and its curves. Nothing of it ever changes."""

    class Engine(models.TextChoices):
        FAST = "fast"  # on bars, in one compiled pass
        REPLAY = "replay"  # by the session's own code, against the simulated terminal

    class Source(models.TextChoices):
        ACTIVE = "active"  # the models that trade now
        PLAN = "plan"  # the plan, fitted again and again as time went on

    engine = models.CharField(max_length=6, choices=Engine)
    source = models.CharField(max_length=6, choices=Source)
    symbols = models.JSONField(help_text="names, sorted")
    begin_at = models.DateTimeField(help_text="first slot's hour")
    end_at = models.DateTimeField(help_text="hour after the last slot's")
    config = models.JSONField(help_text="everything the result depends on but the code")
    config_hash = models.CharField(max_length=64, help_text="SHA-256 of config")
    metrics = models.JSONField(help_text="of the whole time, after costs; a year has 365 days")
    samples = models.JSONField(help_text="the same of the time that models were fitted on, and of the time after")
    costs = models.JSONField(help_text="paid, by kind, account currency")
    n_trials = models.PositiveIntegerField(help_text="different ones on this sample up to now, itself included")
    luck = models.FloatField(null=True, help_text="probability that its Sharpe ratio is luck after so many trials")
    drift = models.JSONField(
        default=list, help_text="by symbol: positions on all of history against those on a session's window"
    )
    warnings = models.JSONField(default=list)
    equity_file = models.BinaryField(help_text="parquet: equity at each bar's close or after each slot")
    fills_file = models.BinaryField(help_text="parquet: every fill")
    seconds = models.FloatField()
    note = models.TextField(blank=True)
    commit = models.CharField(max_length=60, blank=True)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(default=clock.wall_now)

    objects = BacktestQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["config_hash"])]
        constraints = [
            models.CheckConstraint(condition=Q(begin_at__lt=F("end_at")), name="backtest_begins_before_its_end"),
            models.CheckConstraint(condition=Q(n_trials__gte=1), name="backtest_is_a_trial"),
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {self.engine} {', '.join(self.symbols)} {self.begin_at:%Y-%m-%d} to {self.end_at:%Y-%m-%d}"

    def equity(self) -> pd.Series:
        """Return the equity in account currency, by the time at which it was that."""
        return read_table(self.equity_file)["equity"]

    def fills(self) -> pd.DataFrame:
        """Return every fill: at, slot, symbol, lots (signed), price, and the costs that are known of it."""
        return read_table(self.fills_file)


def write_table(table: pd.DataFrame) -> bytes:
    """Return a table as the bytes that a row keeps."""
    buffer = io.BytesIO()
    table.to_parquet(buffer)
    return buffer.getvalue()


def read_table(content: bytes | memoryview[int]) -> pd.DataFrame:
    """Return the table that a row keeps."""
    import pandas as pd

    return pd.read_parquet(io.BytesIO(bytes(content)))
