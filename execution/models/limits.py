"""Limits that a person sets, and what the daily one is measured from."""

from __future__ import annotations

from decimal import Decimal

from django.core.exceptions import ValidationError
from django.db import models
from simple_history.models import HistoricalRecords

from execution.models.ledger import Account
from execution.safety.risk.hours import DAYS, QuietHours
from execution.safety.risk.limits import LIMITS


def limit_names() -> list[tuple[str, str]]:
    """Return the choices of the admin: every limit the rules read, with its unit."""
    return [(name, f"{name} ({spec.unit})") for name, spec in LIMITS.items()]


class LimitRow(models.Model):
    """A limit with a value of its own; limits without a row have their default."""

    name = models.CharField(max_length=40, unique=True, choices=limit_names)
    value = models.DecimalField(max_digits=18, decimal_places=6)
    note = models.CharField(max_length=200, blank=True)
    history = HistoricalRecords()

    def __str__(self) -> str:
        return f"{self.name} = {self.value.normalize():f}"

    def clean(self) -> None:
        """Refuse a value outside the range, whose upper end no setting can move."""
        spec = LIMITS[self.name]
        if not spec.minimum <= self.value <= spec.ceiling:
            raise ValidationError(
                {"value": f"{self.name} must be from {spec.minimum} to {spec.ceiling} {spec.unit}, was {self.value}"}
            )


class DayStart(models.Model):
    """The balance at the midnight that a loss day starts with."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    day_on = models.DateField(help_text="in the zone of the loss day")
    balance = models.DecimalField(
        max_digits=18, decimal_places=2, help_text="at the midnight, and what was paid in or out since"
    )
    at_midnight = models.DecimalField(max_digits=18, decimal_places=2, null=True, help_text="empty: not told apart")
    noted_at = models.DateTimeField(null=True, help_text="market time at which this was worked out")
    cash = models.DecimalField(
        max_digits=18, decimal_places=2, default=Decimal(0), help_text="of the balance: paid in or out since then"
    )
    is_exact = models.BooleanField(default=False, help_text="deals prove it; else it is the most careful candidate")

    class Meta:
        ordering = ["-day_on"]
        constraints = [models.UniqueConstraint(fields=["account", "day_on"], name="one_start_a_day")]

    def __str__(self) -> str:
        return f"{self.day_on} {self.balance}"

    @property
    def close_before(self) -> Decimal:
        """The balance at the midnight itself: the last day's close."""
        return self.balance if self.at_midnight is None else self.at_midnight


def weekdays() -> list[tuple[int, str]]:
    """Return the choices of a weekday, Monday first."""
    return list(enumerate(DAYS))


class QuietHoursRow(models.Model):
    """Hours of the week in which nothing is opened; closing goes on."""

    symbol = models.CharField(max_length=32, blank=True, help_text="empty: all")
    weekday = models.PositiveSmallIntegerField(
        null=True, blank=True, choices=weekdays, help_text="of the begin; empty: every day"
    )
    begin = models.TimeField(help_text="UTC")
    end = models.TimeField(help_text="UTC; at or before the begin: of the next day")
    note = models.CharField(max_length=200, blank=True)
    history = HistoricalRecords()

    class Meta:
        verbose_name = verbose_name_plural = "quiet hours"
        ordering = ["weekday", "begin"]

    def __str__(self) -> str:
        return f"{self.symbol or 'all symbols'}: {self.hours()}"

    def hours(self) -> QuietHours:
        """Return the hours as the rules read them."""
        return QuietHours(symbol=self.symbol, weekday=self.weekday, begin=self.begin, end=self.end, note=self.note)
