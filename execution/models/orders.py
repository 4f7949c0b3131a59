"""From a decision to the venue's reply: decision, intent, legs, attempts."""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models import Q

from execution.models.ledger import Account
from ops import clock


class Decision(models.Model):
    """Every number between the models' predictions and the orders of one symbol at one slot."""

    run = models.ForeignKey("ops.Run", null=True, on_delete=models.SET_NULL, related_name="decisions")
    account = models.ForeignKey(Account, null=True, on_delete=models.SET_NULL)
    symbol = models.CharField(max_length=32)
    slot = models.CharField(max_length=64)
    bar_at = models.DateTimeField(null=True, help_text="open time of the newest closed bar")
    market_at = models.DateTimeField(help_text="market time of the decision")
    positions = models.JSONField(default=list, help_text="what each model wants, in fractions of capital")
    missing_models = models.JSONField(default=list)
    position_pct = models.FloatField(null=True)
    clipped_pct = models.FloatField(null=True)
    sizing = models.JSONField(default=dict)
    target_lots = models.DecimalField(max_digits=18, decimal_places=8, null=True)
    current_lots = models.DecimalField(max_digits=18, decimal_places=8, null=True)
    scene = models.CharField(max_length=10, blank=True)
    legs = models.JSONField(default=list)
    verdicts = models.JSONField(default=list)
    verdict = models.CharField(max_length=10, help_text="traded, hold, blocked, skipped or failed")
    blocker = models.CharField(max_length=300, blank=True, help_text="the first thing that stood in the way")

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["symbol", "-id"])]

    def __str__(self) -> str:
        return f"{self.symbol} {self.slot}: {self.verdict}"


class IntentQuerySet(models.QuerySet["Intent"]):
    """Names for the questions asked about intents."""

    def open(self) -> Self:
        return self.exclude(status__in=Intent.Status.terminal())

    def ambiguous(self) -> Self:
        return self.filter(status=Intent.Status.AMBIGUOUS)


class Intent(models.Model):
    """One wish to change a position, unique by what caused it: asked again, nothing more is sent."""

    class Status(models.TextChoices):
        PLANNED = "planned"
        WORKING = "working"
        AMBIGUOUS = "ambiguous"
        DONE = "done"
        REFUSED = "refused"
        FAILED = "failed"

        @classmethod
        def terminal(cls) -> list[str]:
            return [cls.DONE, cls.REFUSED, cls.FAILED]

    account = models.ForeignKey(Account, on_delete=models.PROTECT)
    family = models.CharField(max_length=16, help_text="rebalance or setup")
    symbol = models.CharField(max_length=32)
    cause = models.CharField(max_length=16, help_text="session, manual, setup, naked, cancel, kill or person")
    cause_id = models.CharField(max_length=80)
    magic = models.BigIntegerField(unique=True)
    counter = models.BigIntegerField()
    mode = models.CharField(max_length=5)
    decision = models.ForeignKey(Decision, null=True, on_delete=models.SET_NULL, related_name="intents")
    target_lots = models.DecimalField(max_digits=18, decimal_places=8)
    from_lots = models.DecimalField(max_digits=18, decimal_places=8)
    status = models.CharField(max_length=9, choices=Status, default=Status.PLANNED)
    reason = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=clock.wall_now)
    market_at = models.DateTimeField(null=True)

    objects = IntentQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "family", "symbol", "cause", "cause_id"], name="one_intent_per_cause"
            )
        ]

    def __str__(self) -> str:
        return f"{self.symbol} {self.from_lots} to {self.target_lots}: {self.status}"


class LegRecord(models.Model):
    """One order of an intent: a close ticket, a split by the largest volume, or the open."""

    intent = models.ForeignKey(Intent, on_delete=models.CASCADE, related_name="legs")
    sequence = models.PositiveSmallIntegerField()
    scene = models.CharField(max_length=10)
    side = models.CharField(max_length=4)
    volume = models.DecimalField(max_digits=18, decimal_places=8)
    ticket = models.BigIntegerField(null=True)
    reduces = models.BooleanField()
    filled = models.DecimalField(max_digits=18, decimal_places=8, default=0)

    class Meta:
        ordering = ["sequence"]
        constraints = [
            models.UniqueConstraint(fields=["intent", "sequence"], name="one_leg_per_place"),
            models.CheckConstraint(condition=Q(volume__gt=0), name="leg_volume_is_positive"),
            models.CheckConstraint(
                condition=Q(filled__gte=0) & Q(filled__lte=models.F("volume")), name="leg_not_overfilled"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scene} {self.side} {self.volume}"


class AttemptQuerySet(models.QuerySet["Attempt"]):
    """Names for the questions asked about attempts."""

    def unresolved(self) -> Self:
        return self.filter(resolved_at=None, outcome__in=["", "ambiguous"])


class Attempt(models.Model):
    """One request to the venue: durable before it is sent, with the raw reply after."""

    leg = models.ForeignKey(LegRecord, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveSmallIntegerField()
    request = models.JSONField(default=dict)
    verdicts = models.JSONField(default=list)
    fence = models.PositiveBigIntegerField()
    sent_at = models.DateTimeField(default=clock.wall_now)
    sent_mono = models.FloatField(default=clock.mono)
    market_at = models.DateTimeField(null=True, help_text="market time of the sending")
    boot = models.CharField(max_length=64)
    outcome = models.CharField(max_length=9, blank=True, help_text="empty: sent, and no reply was stored")
    retcode = models.IntegerField(null=True)
    reply = models.JSONField(default=dict)
    message = models.CharField(max_length=300, blank=True)
    price = models.DecimalField(max_digits=24, decimal_places=10, null=True)
    volume = models.DecimalField(max_digits=18, decimal_places=8, null=True)
    replied_at = models.DateTimeField(null=True)
    absences = models.PositiveSmallIntegerField(default=0, help_text="times the history did not show it")
    resolved_at = models.DateTimeField(null=True, help_text="when the venue's history settled a doubtful outcome")

    objects = AttemptQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["leg", "number"], name="attempts_are_numbered")]
        # Of all that were ever sent nearly none: every reconciliation asks for them.
        indexes = [models.Index(fields=["leg"], condition=Q(resolved_at=None), name="unresolved_attempts")]

    def __str__(self) -> str:
        return f"{self.leg} #{self.number}: {self.outcome or 'sent'}"
