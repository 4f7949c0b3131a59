"""Backtests of the filter that were run, with the figures that pages show."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from mlfilter.models.symbols import interval_choices
from ops import clock


class SetupBacktest(models.Model):
    """One walk-forward backtest of one symbol, with and without the filter."""

    symbol = models.CharField(max_length=32, help_text="whose klines it ran on")
    interval = models.CharField(max_length=3, choices=interval_choices)
    since = models.DateTimeField(help_text="open time of the first bar")
    until = models.DateTimeField(help_text="open time of the last bar")
    n_bars = models.PositiveIntegerField()
    data_hash = models.CharField(max_length=64, help_text="SHA-256 of the bars")
    params = models.JSONField(help_text="everything that it was run with")
    with_filter = models.JSONField(help_text="figures of the trades that the filter approved")
    without_filter = models.JSONField(help_text="figures of taking every setup in the same time")
    report = models.JSONField(help_text="of the recognizer on setups that it had not seen, and the folds")
    curves = models.JSONField(default=dict, help_text="equity at some bars, with and without the filter")
    trades = models.JSONField(default=list, help_text="what was traded with the filter")
    auc = models.FloatField(null=True, help_text="on setups that the models had not seen; null without both outcomes")
    seconds = models.FloatField()
    run_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(default=clock.wall_now)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=Q(n_bars__gte=1, since__lte=F("until")), name="setupbacktest_has_bars")
        ]

    def __str__(self) -> str:
        return f"setup backtest {self.pk} of {self.symbol} {self.interval}"
