"""What models said at the sessions, as it happened."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from ops import clock
from strategies.models.fitted import FittedModel


class LivePrediction(models.Model):
    """The position that one version wanted at one session: traded with the others, or a shadow's."""

    model = models.ForeignKey(FittedModel, on_delete=models.CASCADE, related_name="predictions")
    bar_at = models.DateTimeField(help_text="open time of the newest closed bar")
    position = models.FloatField(null=True, help_text="fraction of capital, its weight included; null: it failed")
    error = models.TextField(blank=True, help_text="why a shadow has no position")
    was_traded = models.BooleanField(help_text="active then; otherwise a shadow")
    at = models.DateTimeField(default=clock.wall_now)

    class Meta:
        ordering = ["bar_at"]
        constraints = [
            models.UniqueConstraint(fields=["model", "bar_at"], name="one_prediction_per_model_and_bar"),
            models.CheckConstraint(
                condition=Q(position__isnull=False, error="") | Q(position__isnull=True) & ~Q(error=""),
                name="prediction_has_a_position_or_an_error",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model} {self.bar_at:%Y-%m-%d %H:%M}"
