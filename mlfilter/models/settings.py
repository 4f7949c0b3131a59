"""How setups are proposed, judged, sized and protected, as one row that a person edits.

Percentages are fractions: 0.015 is 1.5 %.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from simple_history.models import HistoricalRecords

from mlfilter.models.symbols import interval_choices


def recognizer_choices() -> list[tuple[str, str]]:
    """Return the keys of the models that a filter can be made of, read anew each time."""
    from mlfilter.recognizers import RECOGNIZERS

    return [(key, key) for key in RECOGNIZERS]


def signal_choices() -> list[tuple[str, str]]:
    """Return the keys of the families of signals, read anew each time."""
    from mlfilter.signals import SIGNALS

    return [(key, key) for key in SIGNALS]


def outside_choices() -> list[tuple[str, str]]:
    """Return the columns that come from elsewhere than the bars, read anew each time."""
    from mlfilter.features import OUTSIDE_COLUMNS

    return [(name, name) for name in OUTSIDE_COLUMNS]


def between(low: float, high: float) -> list[MinValueValidator | MaxValueValidator]:
    """Return the validators of a number in ``[low, high]``, both allowed."""
    return [MinValueValidator(low), MaxValueValidator(high)]


class BotSettings(models.Model):
    """The one row of settings of the setup bot; every default is the design's."""

    class Label(models.TextChoices):
        TRIPLE_BARRIER = "triple_barrier", "the target is touched before the stop"
        FORWARD_RETURN = "forward_return", "the return at the horizon, after costs"

    interval = models.CharField(
        max_length=3, default="15m", choices=interval_choices, help_text="length of a bar where a symbol says no other"
    )
    recognizer = models.CharField(max_length=40, default="gradient_boosting", choices=recognizer_choices)
    confidence_threshold = models.FloatField(
        default=0.65, validators=between(0.0, 1.0), help_text="least calibrated probability; 0.60 is looser"
    )
    label = models.CharField(max_length=14, choices=Label, default=Label.TRIPLE_BARRIER, help_text="what a success is")
    horizon = models.PositiveSmallIntegerField(
        default=24, validators=between(1, 1000), help_text="bars after which a position is closed at the market"
    )
    stop_pct = models.FloatField(default=0.015, validators=between(0.001, 0.2), help_text="stop, from the entry")
    target_pct = models.FloatField(default=0.02, validators=between(0.001, 0.5), help_text="target, from the entry")
    success_threshold = models.FloatField(
        default=0.0, validators=between(-0.1, 0.5), help_text="of the forward-return label, after costs"
    )
    signal_family = models.CharField(max_length=40, default="oversold", choices=signal_choices)
    signal_thresholds = models.JSONField(
        default=dict, blank=True, help_text="what differs from the signals' own thresholds, by name"
    )
    n_similar = models.PositiveSmallIntegerField(
        default=10, validators=between(1, 100), help_text="most similar past trades that are looked at"
    )
    min_similar_win_rate = models.FloatField(
        default=0.5, validators=between(0.0, 1.0), help_text="of the similar trades; below it a setup is rejected"
    )
    min_outcomes_for_similar = models.PositiveIntegerField(
        default=50, validators=between(1, 100_000), help_text="with fewer past trades their win rate rejects nothing"
    )
    risk_per_trade = models.FloatField(
        default=0.005, validators=between(0.0001, 0.02), help_text="share of capital that is lost at the stop"
    )
    max_risk_per_trade = models.FloatField(
        default=0.01,
        validators=between(0.0001, 0.02),
        help_text="most of current equity that is lost at the stop, fees and slippage included",
    )
    leverage = models.FloatField(default=1.0, validators=between(1.0, 20.0), help_text="multiplies the loss, too")
    max_positions = models.PositiveSmallIntegerField(default=3, validators=between(1, 50))
    cooldown_bars = models.PositiveSmallIntegerField(
        default=4, validators=between(0, 1000), help_text="after a loss, no entry in its symbol for so many bars"
    )
    daily_loss = models.FloatField(
        default=0.02, validators=between(0.001, 0.2), help_text="of the bot, as a share of capital: no entry above it"
    )
    fee = models.FloatField(default=0.001, validators=between(0.0, 0.01), help_text="of what is traded, a side")
    half_spread = models.FloatField(default=0.0001, validators=between(0.0, 0.01), help_text="fraction of price")
    slippage = models.FloatField(default=0.0002, validators=between(0.0, 0.01), help_text="fraction of price, a side")
    train_days = models.PositiveSmallIntegerField(
        default=730, validators=between(30, 3660), help_text="days of bars that a filter is trained on"
    )
    unseen_days = models.PositiveSmallIntegerField(
        default=60, validators=between(1, 366), help_text="newest days left out of training, to judge a version on"
    )
    min_unseen_trades = models.PositiveSmallIntegerField(
        default=20, validators=between(1, 10_000), help_text="approved trades that a version needs on unseen bars"
    )
    max_calibration_error = models.FloatField(
        default=0.1,
        validators=between(0.0, 1.0),
        help_text="largest mean difference of probability and win rate that a version may show, live and unseen",
    )
    retrain_every_days = models.PositiveSmallIntegerField(
        default=7, validators=between(0, 366), help_text="market days between scheduled trainings; 0: off"
    )
    outside_columns = models.JSONField(
        default=list,
        blank=True,
        help_text="learned from beside the bars, from the next training on; while one is away, nothing is approved",
    )

    history = HistoricalRecords()

    class Meta:
        verbose_name_plural = "bot settings"
        constraints = [
            models.CheckConstraint(
                condition=Q(stop_pct__gte=0.001, stop_pct__lte=0.2, target_pct__gte=0.001, target_pct__lte=0.5),
                name="botsettings_stop_and_target_in_range",
            ),
            models.CheckConstraint(
                condition=Q(confidence_threshold__gte=0.0, confidence_threshold__lte=1.0)
                & Q(min_similar_win_rate__gte=0.0, min_similar_win_rate__lte=1.0),
                name="botsettings_probabilities",
            ),
            models.CheckConstraint(
                condition=Q(risk_per_trade__gt=0.0, risk_per_trade__lte=F("max_risk_per_trade")),
                name="botsettings_risk_below_its_limit",
            ),
            models.CheckConstraint(condition=Q(max_risk_per_trade__lte=0.02), name="botsettings_hard_ceiling_of_risk"),
            models.CheckConstraint(condition=Q(leverage__gte=1.0, leverage__lte=20.0), name="botsettings_leverage"),
            models.CheckConstraint(condition=Q(daily_loss__gt=0.0, daily_loss__lte=0.2), name="botsettings_daily_loss"),
            models.CheckConstraint(condition=Q(horizon__gte=1, max_positions__gte=1), name="botsettings_counts"),
            models.CheckConstraint(
                condition=Q(fee__gte=0.0, half_spread__gte=0.0, slippage__gte=0.0), name="botsettings_costs"
            ),
        ]

    def __str__(self) -> str:
        return "Bot settings"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store the row in the one place that there is for it."""
        self.pk = 1
        super().save(*args, **kwargs)

    def clean(self) -> None:
        """Refuse columns that nobody brings, and thresholds that the signals do not have or that are beyond theirs."""
        from mlfilter.errors import FilterError
        from mlfilter.outside import in_order
        from mlfilter.signals import SIGNALS

        try:
            self.outside_columns = list(in_order(self.outside_columns))
        except FilterError as error:
            raise ValidationError({"outside_columns": str(error)}) from error
        if self.signal_family not in SIGNALS:
            return  # said by the field itself
        try:
            SIGNALS[self.signal_family].thresholds(**(self.signal_thresholds or {}))
        except (TypeError, ValueError) as error:
            raise ValidationError({"signal_thresholds": str(error)}) from error


def current_settings() -> BotSettings:
    """Return the one row, or the defaults while there is none; nothing is written."""
    return BotSettings._default_manager.filter(pk=1).first() or BotSettings(pk=1)
