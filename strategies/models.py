"""What is planned and what was fitted, as rows."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Self

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from simple_history.models import HistoricalRecords

from market.models import Symbol
from ops import clock
from strategies.default_plan import PlannedModel, variant_name
from strategies.errors import StrategyError
from strategies.estimators import STRATEGIES
from strategies.manifests import Slot

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


class FittedModelQuerySet(models.QuerySet["FittedModel"]):
    """Names for the questions asked about fitted models."""

    def active(self, symbol: str | None = None) -> Self:
        """Return the models that trade, of one symbol or of all."""
        active = self.filter(status=FittedModel.Status.ACTIVE)
        return active if symbol is None else active.filter(symbol__name=symbol)

    def in_slot(self, *, symbol: str, strategy: str, variant: str) -> Self:
        return self.filter(symbol__name=symbol, strategy=strategy, variant=variant)

    def for_strategies(self, keys: Collection[str]) -> Self:
        return self.filter(strategy__in=keys)


class FittedModel(models.Model):
    """One version of a model: where its file is, and everything it was made of. Only its status ever changes."""

    class Status(models.TextChoices):
        CANDIDATE = "candidate"  # fitted, not used
        SHADOW = "shadow"  # predicts and is logged, not traded
        ACTIVE = "active"  # traded
        RETIRED = "retired"  # was replaced

    symbol = models.ForeignKey(Symbol, on_delete=models.PROTECT, related_name="fitted_models")
    strategy = models.CharField(max_length=40, choices=strategy_choices)
    variant = models.CharField(max_length=MAX_VARIANT)
    version = models.PositiveIntegerField(help_text="counts from 1 within symbol, strategy and variant")
    status = models.CharField(max_length=10, choices=Status, default=Status.CANDIDATE)
    params = models.JSONField(help_text="all of them, defaults too")
    fitted = models.JSONField(help_text="what fitting learned, by attribute")
    metrics = models.JSONField(
        default=dict,
        help_text="in-sample at full weight, no costs: pnl volatility and Sharpe a year of 365 days, turnover a day",
    )
    strat_weight = models.FloatField(help_text="share of capital that it was fitted with")
    fit_from = models.DateTimeField(help_text="open time of the first bar")
    fit_to = models.DateTimeField(help_text="open time of the last bar")
    n_bars = models.PositiveIntegerField()
    data_hash = models.CharField(max_length=64, help_text="SHA-256 of the bars")
    columns = models.JSONField(help_text="what it reads, in order, as [name, source]")
    libraries = models.JSONField(help_text="versions that wrote the file")
    commit = models.CharField(max_length=60, blank=True)
    seconds = models.FloatField(help_text="that the fit took")
    fitted_by = models.CharField(max_length=150)
    note = models.TextField(blank=True)
    path = models.CharField(max_length=300, unique=True, help_text="of the folder, relative to MODEL_DIR")
    sha256 = models.CharField(max_length=64, help_text="of model.joblib")
    created_at = models.DateTimeField(default=clock.wall_now)

    objects = FittedModelQuerySet.as_manager()

    class Meta:
        ordering = ["symbol", "strategy", "variant", "-version"]
        constraints = [
            models.UniqueConstraint(
                fields=["symbol", "strategy", "variant", "version"], name="fittedmodel_version_once"
            ),
            models.UniqueConstraint(
                fields=["symbol", "strategy", "variant"],
                condition=Q(status="active"),
                name="one_active_model_per_slot",
            ),
            models.CheckConstraint(condition=Q(version__gte=1), name="fittedmodel_versions_from_1"),
            models.CheckConstraint(condition=Q(n_bars__gte=1, fit_from__lte=F("fit_to")), name="fittedmodel_has_bars"),
            models.CheckConstraint(
                condition=Q(status__in=["candidate", "shadow", "active", "retired"]), name="fittedmodel_known_status"
            ),
            models.CheckConstraint(condition=Q(strat_weight__gte=0.0), name="fittedmodel_weight_not_negative"),
        ]

    def __str__(self) -> str:
        return str(self.slot)

    @property
    def slot(self) -> Slot:
        """The place and version that the row and its file share."""
        return Slot(symbol=self.symbol.name, strategy=self.strategy, variant=self.variant, version=self.version)

    @property
    def name(self) -> str:
        """The model's name among those of its symbol."""
        return f"{self.strategy} {self.variant}"
