"""Searches of parameters that were made: every trial is kept, because each was a chance to be lucky."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import F, Q

from ops import clock
from strategies.models.plan import strategy_choices


class TuningRunQuerySet(models.QuerySet["TuningRun"]):
    """Names for the questions asked about searches."""

    def on_sample(self, symbol: str, begin_at: datetime, end_at: datetime) -> Self:
        """Return the searches, of any strategy, that saw a part of the same bars; the oldest first."""
        return self.filter(symbol=symbol, begin_at__lt=end_at, end_at__gt=begin_at).order_by("id")


class TuningRun(models.Model):
    """One search of a strategy's parameters on one symbol's bars, with all of its trials. Nothing of it changes."""

    symbol = models.CharField(max_length=32)
    strategy = models.CharField(max_length=40, choices=strategy_choices)
    begin_at = models.DateTimeField(help_text="open time of the first bar")
    end_at = models.DateTimeField(help_text="when the last bar closed")
    config = models.JSONField(help_text="space, splitter, scorer, draws and the bars' hash")
    trials = models.JSONField(help_text="every set of parameters with its scores, in the order tried")
    best = models.JSONField(help_text="the trial with the best mean score")
    n_trials = models.PositiveIntegerField(help_text="different ones on these bars up to now, its own included")
    n_bars = models.PositiveIntegerField(help_text="different bars that were tested")
    lucky_sharpe = models.FloatField(null=True, help_text="a year: what the best of so many shows without skill")
    luck = models.FloatField(null=True, help_text="probability that the best trial is luck; null if it never traded")
    seconds = models.FloatField()
    note = models.TextField(blank=True)
    commit = models.CharField(max_length=60, blank=True)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(default=clock.wall_now)

    objects = TuningRunQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=Q(begin_at__lt=F("end_at")), name="tuning_begins_before_its_end"),
            models.CheckConstraint(condition=Q(n_trials__gte=1), name="tuning_has_a_trial"),
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {self.strategy} on {self.symbol}, {len(self.trials)} trials"
