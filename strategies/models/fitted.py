"""Fitted models: every version of every model, and when each began to trade."""

from __future__ import annotations

from collections.abc import Collection
from typing import Self

from django.db import models
from django.db.models import F, Q

from market.models import Symbol
from ops import clock
from strategies.families import FAMILIES
from strategies.manifests import Slot
from strategies.models.plan import MAX_VARIANT, strategy_choices


class FittedModelQuerySet(models.QuerySet["FittedModel"]):
    """Names for the questions asked about fitted models."""

    def active(self, symbol: str | None = None) -> Self:
        """Return the models that trade, of one symbol or of all."""
        active = self.filter(status=FittedModel.Status.ACTIVE)
        return active if symbol is None else active.filter(symbol__name=symbol)

    def shadows(self, symbol: str) -> Self:
        """Return the models of a symbol that predict and are not traded."""
        return self.filter(status=FittedModel.Status.SHADOW, symbol__name=symbol)

    def promotable(self) -> Self:
        """Return the versions that wait to be promoted."""
        return self.filter(status__in=[FittedModel.Status.CANDIDATE, FittedModel.Status.SHADOW])

    def kept(self) -> Self:
        """Return the versions that are not archived."""
        return self.filter(archived_at=None)

    def in_slot(self, *, symbol: str, strategy: str, variant: str) -> Self:
        return self.filter(symbol__name=symbol, strategy=strategy, variant=variant)

    def of_strategies(self) -> Self:
        """Return the versions that say positions; what other apps keep in the registry does not."""
        return self.exclude(strategy__in=FAMILIES)

    def for_strategies(self, keys: Collection[str]) -> Self:
        return self.filter(strategy__in=keys)


class FittedModel(models.Model):
    """One version of a model: where its file is, and everything it was made of.

    Only its status ever changes, and whether it is archived.
    """

    class Status(models.TextChoices):
        CANDIDATE = "candidate"  # fitted, not used
        SHADOW = "shadow"  # predicts and is logged, not traded
        ACTIVE = "active"  # traded
        RETIRED = "retired"  # was replaced, or is no longer wanted

    symbol = models.ForeignKey(Symbol, on_delete=models.PROTECT, related_name="fitted_models")
    strategy = models.CharField(max_length=40, choices=strategy_choices)
    variant = models.CharField(max_length=MAX_VARIANT)
    version = models.PositiveIntegerField(help_text="counts from 1 within symbol, strategy and variant")
    status = models.CharField(max_length=10, choices=Status, default=Status.CANDIDATE)
    params = models.JSONField(help_text="all of them, defaults too")
    fitted = models.JSONField(help_text="what fitting learned, by attribute")
    metrics = models.JSONField(
        default=dict,
        help_text=(
            "in-sample at full weight, no costs: pnl volatility and Sharpe a year of 365 days, turnover a day; "
            "out_of_sample: a twin fitted without the newest bars, on those, after costs"
        ),
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
    archived_at = models.DateTimeField(null=True, blank=True, help_text="put away: not listed, not promoted, kept")

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
            models.CheckConstraint(
                condition=Q(archived_at__isnull=True) | Q(status="retired"), name="fittedmodel_archived_is_retired"
            ),
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


class Activation(models.Model):
    """One time that a version began to trade. Those of a slot are a stack, which rolling back goes down."""

    class Kind(models.TextChoices):
        FITTED = "fitted"  # traded as soon as it was fitted
        PROMOTED = "promoted"  # by a person
        ROLLED_BACK = "rolled_back", "rolled back"  # again, instead of what had replaced it

    model = models.ForeignKey(FittedModel, on_delete=models.CASCADE, related_name="activations")
    previous = models.ForeignKey(
        "self", null=True, on_delete=models.SET_NULL, related_name="+", help_text="what rolling this one back restores"
    )
    kind = models.CharField(max_length=12, choices=Kind)
    gates = models.JSONField(default=list, help_text="what each gate said; none is asked on a fit or a rollback")
    actor = models.CharField(max_length=150)
    reason = models.TextField(blank=True)
    at = models.DateTimeField(default=clock.wall_now)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.model} {self.kind} {self.at:%Y-%m-%d %H:%M}"
