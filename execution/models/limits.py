"""Limits that a person sets, and what the daily one is measured from."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import models
from simple_history.models import HistoricalRecords

from execution.models.ledger import Account
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
    balance = models.DecimalField(max_digits=18, decimal_places=2)

    class Meta:
        ordering = ["-day_on"]
        constraints = [models.UniqueConstraint(fields=["account", "day_on"], name="one_start_a_day")]

    def __str__(self) -> str:
        return f"{self.day_on} {self.balance}"
