"""How models are refitted and promoted, as one row that a person edits."""

from __future__ import annotations

from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

from strategies.out_of_sample import COMMISSION, HALF_SPREAD, Costs

AT_LEAST_NOTHING = [MinValueValidator(0.0), MaxValueValidator(0.1)]


class RegistrySettings(models.Model):
    """The one row of settings of the registry of fitted models."""

    class RefitAs(models.TextChoices):
        CANDIDATE = "candidate", "candidates, which a person promotes"
        ACTIVE = "active", "active at once"

    refit_every_days = models.PositiveSmallIntegerField(
        default=7, validators=[MaxValueValidator(366)], help_text="market days between scheduled refits; 0: off"
    )
    refit_as = models.CharField(
        max_length=9,
        choices=RefitAs,
        default=RefitAs.CANDIDATE,
        help_text="what a scheduled refit makes; where nothing traded yet, a new version trades at once",
    )
    unseen_bars = models.PositiveIntegerField(
        default=720,
        validators=[MinValueValidator(24)],
        help_text="newest bars that a scheduled refit leaves out, and that a promotion is judged on at least",
    )
    min_sharpe_gain = models.FloatField(
        default=0.0,
        validators=[MinValueValidator(0.0), MaxValueValidator(10.0)],
        help_text="by how much a version's Sharpe on unseen bars must exceed the active one's to be promoted",
    )
    half_spread = models.FloatField(
        default=HALF_SPREAD, validators=AT_LEAST_NOTHING, help_text="fraction of price, 0.00015 is 1.5 bp"
    )
    commission = models.FloatField(
        default=COMMISSION, validators=AT_LEAST_NOTHING, help_text="fraction of what is traded, a side"
    )
    history = HistoricalRecords()

    class Meta:
        verbose_name_plural = "registry settings"
        constraints = [
            models.CheckConstraint(
                condition=Q(half_spread__gte=0.0, commission__gte=0.0, min_sharpe_gain__gte=0.0, unseen_bars__gte=2),
                name="registrysettings_are_not_negative",
            )
        ]

    def __str__(self) -> str:
        return "Registry settings"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store the row in the one place that there is for it."""
        self.pk = 1
        super().save(*args, **kwargs)

    @classmethod
    def current(cls) -> RegistrySettings:
        """Return the one row, or the defaults while there is none; nothing is written."""
        return RegistrySettings._default_manager.filter(pk=1).first() or RegistrySettings(pk=1)

    @property
    def costs(self) -> Costs:
        """What a change of position costs where models are compared."""
        return Costs(half_spread=self.half_spread, commission=self.commission)
