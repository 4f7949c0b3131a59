"""Funded programmes, and the accounts that are held to one."""

from __future__ import annotations

from decimal import Decimal

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from simple_history.models import HistoricalRecords

from execution.models.ledger import Account
from execution.safety.risk.programme import LARGEST_SHARE, Lines, MaxLossKind, Programme

LEAST_SHARE = Decimal("0.0001")
OF_INITIAL = "fraction of the initial balance"
A_LOSS = (MinValueValidator(LEAST_SHARE), MaxValueValidator(LARGEST_SHARE))
A_SHARE = (MinValueValidator(LEAST_SHARE), MaxValueValidator(Decimal(1)))
A_LINE = (MinValueValidator(Decimal(0)), MaxValueValidator(Decimal(1)))


def max_loss_kinds() -> list[tuple[str, str]]:
    """Return what the largest loss may be measured from."""
    return [(kind.value, kind.value) for kind in MaxLossKind]


class FundedProgramme(models.Model):
    """The rules of a programme, as its firm publishes them; firms change them, so that a person checks."""

    key = models.SlugField(max_length=40, unique=True)
    title = models.CharField(max_length=80)
    daily_loss = models.DecimalField(
        max_digits=6, decimal_places=4, validators=A_LOSS, help_text=f"{OF_INITIAL}, below the balance at midnight"
    )
    max_loss = models.DecimalField(max_digits=6, decimal_places=4, validators=A_LOSS, help_text=OF_INITIAL)
    max_loss_kind = models.CharField(
        max_length=8,
        choices=max_loss_kinds,
        default=MaxLossKind.STATIC.value,
        help_text="static: below the initial balance; trailing: below the highest balance of a midnight",
    )
    profit_target = models.DecimalField(
        max_digits=6,
        decimal_places=4,
        null=True,
        blank=True,
        validators=A_SHARE,
        help_text=f"{OF_INITIAL}; empty: none",
    )
    min_trading_days = models.PositiveSmallIntegerField(default=0, help_text="days on which a position was opened")
    best_day_share = models.DecimalField(
        max_digits=6,
        decimal_places=4,
        null=True,
        blank=True,
        validators=A_SHARE,
        help_text="most that one day may be of the total profit; empty: any",
    )
    soft_line = models.DecimalField(
        max_digits=4,
        decimal_places=2,
        default=Lines().soft,
        validators=A_LINE,
        help_text="share of a loss budget that stops entries",
    )
    hard_line = models.DecimalField(
        max_digits=4,
        decimal_places=2,
        default=Lines().hard,
        validators=A_LINE,
        help_text="share of a loss budget that flattens",
    )
    note = models.CharField(max_length=200, blank=True)
    history = HistoricalRecords()

    class Meta:
        ordering = ["key"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(soft_line__lte=models.F("hard_line"), soft_line__gte=0, hard_line__lte=1),
                name="programme_lines_are_in_order",
                violation_error_message="the soft line must not be above the hard one, and both from 0 to 1",
            ),
            models.CheckConstraint(
                condition=models.Q(daily_loss__gte=LEAST_SHARE, daily_loss__lte=LARGEST_SHARE)
                & models.Q(max_loss__gte=LEAST_SHARE, max_loss__lte=LARGEST_SHARE),
                name="programme_losses_are_in_range",
            ),
            models.CheckConstraint(
                condition=(models.Q(profit_target=None) | models.Q(profit_target__gte=LEAST_SHARE))
                & (models.Q(best_day_share=None) | models.Q(best_day_share__gte=LEAST_SHARE, best_day_share__lte=1)),
                name="programme_goals_are_in_range",
            ),
        ]

    def __str__(self) -> str:
        return self.title

    def rules(self) -> Programme:
        """Return the rules as the pure code reads them."""
        return Programme(
            name=self.key,
            daily_loss=self.daily_loss,
            max_loss=self.max_loss,
            max_loss_kind=MaxLossKind(self.max_loss_kind),
            profit_target=self.profit_target,
            min_trading_days=self.min_trading_days,
            best_day_share=self.best_day_share,
            lines=Lines(soft=self.soft_line, hard=self.hard_line),
        )


class Enrolment(models.Model):
    """An account that is held to a programme from a moment on."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="enrolments")
    programme = models.ForeignKey(FundedProgramme, on_delete=models.PROTECT, related_name="enrolments")
    initial_balance = models.DecimalField(
        max_digits=18,
        decimal_places=2,
        validators=[MinValueValidator(Decimal("0.01"))],
        help_text="the capital that the firm measures from, and the balance at the begin",
    )
    begin_at = models.DateTimeField(help_text="market time, UTC; deals before it do not count")
    ended_at = models.DateTimeField(null=True, blank=True, help_text="market time, UTC; empty: it is in force")
    note = models.CharField(max_length=200, blank=True)
    history = HistoricalRecords()

    class Meta:
        ordering = ["-begin_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["account"],
                condition=models.Q(ended_at=None),
                name="one_programme_in_force_an_account",
                violation_error_message="an account is held to one programme at a time: end the other enrolment first",
            ),
            models.CheckConstraint(
                condition=models.Q(ended_at=None) | models.Q(ended_at__gte=models.F("begin_at")),
                name="enrolment_ends_after_its_begin",
                violation_error_message="an enrolment ends at or after its begin",
            ),
            models.CheckConstraint(condition=models.Q(initial_balance__gt=0), name="enrolment_has_a_capital"),
        ]

    def __str__(self) -> str:
        return f"{self.account} in {self.programme}"
