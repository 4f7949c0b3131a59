"""Every setup that was seen, traded or not, and what became of it."""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models import F, Q

from mlfilter.models.symbols import interval_choices
from ops import clock
from strategies.models import FittedModel


class SetupQuerySet(models.QuerySet["Setup"]):
    """Names for the questions asked about setups."""

    def approved(self) -> Self:
        return self.filter(approved=True)

    def without_outcome(self) -> Self:
        return self.filter(outcome=None)


class Setup(models.Model):
    """What signals proposed on one closed bar, and what the filter said to it."""

    class Direction(models.TextChoices):
        LONG = "long"
        SHORT = "short"

    symbol = models.CharField(max_length=32, help_text="the name at the venue")
    broker = models.CharField(max_length=32)
    data_symbol = models.CharField(max_length=32, help_text="whose klines it was seen on")
    interval = models.CharField(max_length=3, choices=interval_choices)
    bar_at = models.DateTimeField(help_text="open time of the bar that had just closed")
    direction = models.CharField(max_length=5, choices=Direction)
    entry = models.FloatField(help_text="the close, in quote currency: the fill decides what it was")
    stop = models.FloatField()
    target = models.FloatField()
    signals = models.JSONField(default=dict, help_text="what proposed it: RSI, Bollinger position, z-score")
    context = models.JSONField(default=dict, help_text="volatility, trend, volume")
    features = models.JSONField(default=dict, help_text="by name; what was not finite is null")
    confidence = models.FloatField(
        null=True, help_text="calibrated probability of a success; null: not asked, or failed"
    )
    threshold = models.FloatField(help_text="that the confidence was held against")
    similar = models.JSONField(default=list, help_text="the most similar past trades")
    approved = models.BooleanField(default=False)
    reasons = models.JSONField(default=list, help_text="of the decision, in words")
    model = models.ForeignKey(FittedModel, null=True, on_delete=models.SET_NULL, related_name="setups")
    shadows = models.JSONField(default=dict, help_text="confidence of each shadow by its id; null: it failed")
    missed_reason = models.CharField(max_length=200, blank=True, help_text="why an approved setup was not traded")
    created_at = models.DateTimeField(default=clock.wall_now)

    objects = SetupQuerySet.as_manager()

    class Meta:
        ordering = ["-bar_at", "symbol"]
        constraints = [
            models.UniqueConstraint(
                fields=["broker", "symbol", "interval", "bar_at", "direction"], name="one_setup_per_bar_and_direction"
            ),
            models.CheckConstraint(condition=Q(direction__in=["long", "short"]), name="setup_known_direction"),
            models.CheckConstraint(
                condition=Q(direction="long", stop__lt=F("entry"), target__gt=F("entry"))
                | Q(direction="short", stop__gt=F("entry"), target__lt=F("entry")),
                name="setup_protects_the_right_side",
            ),
            models.CheckConstraint(condition=Q(stop__gt=0.0, target__gt=0.0), name="setup_prices_above_0"),
            models.CheckConstraint(
                condition=Q(approved=False) | Q(confidence__isnull=False, confidence__gte=F("threshold")),
                name="setup_approved_has_confidence",
            ),
        ]
        indexes = [models.Index(fields=["data_symbol", "interval", "bar_at"], name="setup_by_data")]

    def __str__(self) -> str:
        return f"{self.symbol} {self.direction} {self.bar_at:%Y-%m-%d %H:%M}"


class OutcomeQuerySet(models.QuerySet["Outcome"]):
    """Names for the questions asked about outcomes."""

    def real(self) -> Self:
        return self.filter(is_real=True)

    def computed(self) -> Self:
        return self.filter(is_real=False)


class Outcome(models.Model):
    """How a setup ended: at the venue, or on the bars that came after where it was not traded."""

    class ExitReason(models.TextChoices):
        STOP = "stop"
        TARGET = "target"
        TIMEOUT = "timeout"
        MANUAL = "manual"
        KILL = "kill"

    setup = models.OneToOneField(Setup, on_delete=models.CASCADE, related_name="outcome")
    is_real = models.BooleanField(help_text="traded; otherwise computed from the bars, with the costs of the settings")
    entry_at = models.DateTimeField()
    exit_at = models.DateTimeField()
    entry_price = models.FloatField()
    exit_price = models.FloatField()
    quantity = models.FloatField(help_text="base units; of a computed outcome 1")
    exit_reason = models.CharField(max_length=7, choices=ExitReason)
    pnl = models.FloatField(help_text="quote currency, after fees")
    r = models.FloatField(help_text="pnl over what the stop would have lost")
    fees = models.FloatField(help_text="quote currency, at least 0")
    slippage = models.FloatField(help_text="quote currency that fills were worse than asked; negative: better")
    known_at = models.DateTimeField(help_text="when it could be learned from")

    objects = OutcomeQuerySet.as_manager()

    class Meta:
        ordering = ["-known_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(exit_at__gte=F("entry_at"), known_at__gte=F("exit_at")), name="outcome_in_order_of_time"
            ),
            models.CheckConstraint(
                condition=Q(quantity__gt=0.0, entry_price__gt=0.0, exit_price__gt=0.0, fees__gte=0.0),
                name="outcome_above_0",
            ),
            models.CheckConstraint(
                condition=Q(exit_reason__in=["stop", "target", "timeout", "manual", "kill"]),
                name="outcome_known_reason",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.setup} {self.exit_reason} {self.r:+.2f} R"
