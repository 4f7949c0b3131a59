"""What the rebalancer is told by a person: capital, weights, timing."""

from __future__ import annotations

from decimal import Decimal

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from simple_history.models import HistoricalRecords

FIXED_WEIGHTS = "fixed"  # the key of the weights that a person set


def weighting_choices() -> list[tuple[str, str]]:
    """Return the ways to share out the sizing capital."""
    from strategies.research.allocation import ALLOCATIONS

    return [(key, key.replace("_", " ")) for key in ALLOCATIONS]


class RebalanceSettings(models.Model):
    """The one row of settings of the hourly session."""

    class SizeBy(models.TextChoices):
        FIXED = "fixed", "fixed capital"
        BALANCE = "balance", "the account's balance"

    size_by = models.CharField(max_length=7, choices=SizeBy, default=SizeBy.FIXED)
    sizing_capital = models.DecimalField(
        max_digits=18, decimal_places=2, default=Decimal(10_000), validators=[MinValueValidator(Decimal(1))]
    )
    max_position_pct = models.DecimalField(
        "maximum position",
        max_digits=6,
        decimal_places=4,
        default=Decimal(1),
        validators=[MinValueValidator(Decimal(0)), MaxValueValidator(Decimal(2))],
        help_text="fraction of an asset's capital; sums are clipped to it",
    )
    lot_precision = models.PositiveSmallIntegerField(default=2, validators=[MaxValueValidator(8)])
    max_history_hours = models.PositiveIntegerField(default=8760, validators=[MinValueValidator(1000)])
    drift_band_lots = models.DecimalField(
        max_digits=12, decimal_places=4, default=Decimal(0), help_text="no order for a smaller difference; 0: one step"
    )
    offset_secs = models.SmallIntegerField(default=-15, help_text="seconds added to H:01:00")
    early_hour = models.PositiveSmallIntegerField(default=22, help_text="UTC hour whose slot comes before a break")
    early_offset_mins = models.SmallIntegerField(default=-5, help_text="minutes added in that hour")
    max_skips = models.PositiveSmallIntegerField(default=6, help_text="skipped slots before a target of 0; 0: off")
    weighting = models.CharField(
        max_length=40,
        choices=weighting_choices,
        default=FIXED_WEIGHTS,
        help_text="how the sizing capital is shared out; all but fixed are estimated from past returns",
    )
    lookback = models.PositiveSmallIntegerField(
        default=720,
        validators=[MinValueValidator(48), MaxValueValidator(8760)],
        help_text="hourly bars that weights and volatility are estimated from",
    )
    vol_target = models.DecimalField(
        "volatility target",
        max_digits=5,
        decimal_places=4,
        null=True,
        blank=True,
        validators=[MinValueValidator(Decimal("0.01"))],
        help_text="of holding every symbol at its weight: a fraction a year, 0.5 is 50 %; empty: off",
    )
    max_scale = models.DecimalField(
        max_digits=4,
        decimal_places=2,
        default=Decimal(1),
        validators=[MinValueValidator(Decimal("0.01")), MaxValueValidator(Decimal(3))],
        help_text="the most that the volatility target multiplies the capital by; never above the equity",
    )
    history = HistoricalRecords()

    class Meta:
        verbose_name_plural = "rebalance settings"

    def __str__(self) -> str:
        return "Rebalance settings"

    @classmethod
    def load(cls) -> RebalanceSettings:
        """Return the one row, made with its defaults when it is missing."""
        row, _ = RebalanceSettings._default_manager.get_or_create(pk=1)
        return row

    @classmethod
    def current(cls) -> RebalanceSettings:
        """Return the one row, or the defaults while there is none; nothing is written."""
        return RebalanceSettings._default_manager.filter(pk=1).first() or RebalanceSettings(pk=1)


class PortfolioWeight(models.Model):
    """A symbol's share of the sizing capital; without a row every traded symbol has 1 / n."""

    symbol = models.OneToOneField("market.Symbol", on_delete=models.CASCADE, related_name="portfolio_weight")
    weight = models.DecimalField(
        max_digits=6,
        decimal_places=4,
        validators=[MinValueValidator(Decimal(0)), MaxValueValidator(Decimal(1))],
        help_text="fraction of the sizing capital",
    )
    history = HistoricalRecords()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(weight__gte=0, weight__lte=1), name="weight_is_a_fraction")
        ]

    def __str__(self) -> str:
        return f"{self.symbol} {self.weight:.2%}"
