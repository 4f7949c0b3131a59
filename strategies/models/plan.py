"""What is fitted for every traded symbol, as rows that a person edits."""

from __future__ import annotations

from typing import Any, Self

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

from strategies.default_plan import PlannedModel, variant_name
from strategies.errors import StrategyError
from strategies.estimators import STRATEGIES

MAX_VARIANT = 255


def strategy_choices() -> list[tuple[str, str]]:
    """Return the keys that rows may name: the catalogue's, read anew each time."""
    return [(key, key) for key in STRATEGIES]


class PlanRowQuerySet(models.QuerySet["PlanRow"]):
    """Names for the questions asked about the plan."""

    def enabled(self) -> Self:
        return self.filter(is_enabled=True)


class PlanRow(models.Model):
    """One model that every traded symbol gets: what to fit, and with what weight."""

    strategy = models.CharField(max_length=40, choices=strategy_choices)
    params = models.JSONField(
        default=dict, blank=True, help_text='what differs from the defaults, like {"fast_ema_window": 24}'
    )
    variant = models.CharField(max_length=MAX_VARIANT, editable=False, help_text="a stable name made of params")
    strat_weight = models.FloatField(
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text="share of capital, 0.05 is 5 %; a fitted model keeps the weight that it was fitted with",
    )
    is_enabled = models.BooleanField(
        default=True, help_text="fitted, and traded once fitted; switched off, its models stop trading at once"
    )
    position = models.PositiveIntegerField(default=0, help_text="place in lists, smallest first")

    history = HistoricalRecords()
    objects = PlanRowQuerySet.as_manager()

    class Meta:
        ordering = ["position", "id"]
        constraints = [
            models.UniqueConstraint(fields=["strategy", "variant"], name="planrow_once"),
            models.CheckConstraint(
                condition=Q(strat_weight__gte=0.0, strat_weight__lte=1.0), name="planrow_weight_is_a_fraction"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.strategy} {self.variant}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store the row with the variant that its parameters have, whoever changed them."""
        self.variant = variant_name(self.params)
        if kwargs.get("update_fields") is not None:
            kwargs["update_fields"] = {*kwargs["update_fields"], "variant"}
        super().save(*args, **kwargs)

    def clean(self) -> None:
        """Refuse what could not be fitted, by building it."""
        from strategies.fits import build_planned

        if self.params is None:  # what an empty box of a form gives
            self.params = {}
        try:
            build_planned(self.planned())
        except StrategyError as error:
            raise ValidationError(str(error)) from error
        self.variant = variant_name(self.params)
        if len(self.variant) > MAX_VARIANT:
            raise ValidationError({"params": f"their name must have at most {MAX_VARIANT} characters"})
        # Forms leave the variant out, and with it the check of its constraint.
        if PlanRow.objects.filter(strategy=self.strategy, variant=self.variant).exclude(pk=self.pk).exists():
            raise ValidationError({"params": f"the plan has {self} already"})

    def planned(self) -> PlannedModel:
        """Return the row as the value that is fitted."""
        return PlannedModel(self.strategy, self.params, self.strat_weight, self.is_enabled)
