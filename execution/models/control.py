"""Trading states and kills."""

from __future__ import annotations

from django.db import models

from ops import clock


class ControlRow(models.Model):
    """The trading state of one scope, as a person or a guard left it; the strictest scope wins."""

    class State(models.TextChoices):
        ARMED = "armed"
        PAUSED = "paused"
        BLOCKED = "blocked"
        KILLING = "killing"
        KILLED = "killed"

    SYSTEM = "system"

    scope = models.CharField(max_length=60, unique=True, help_text="system, family:rebalance or symbol:BTCUSD")
    state = models.CharField(max_length=8, choices=State, default=State.PAUSED)
    reason = models.CharField(max_length=300, blank=True)
    changed_by = models.CharField(max_length=150, default="system")
    changed_at = models.DateTimeField(default=clock.wall_now)
    # The accounts that a person armed; any other one is not armed (invariant 12).
    armed_login = models.BigIntegerField(null=True, blank=True)
    armed_server = models.CharField(max_length=120, blank=True)
    armed_venues = models.JSONField(
        default=dict, blank=True, help_text="login and server of the account at each other venue, by its key"
    )

    class Meta:
        permissions = [("operate", "Can pause, resume and kill"), ("arm", "Can arm trading")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=["armed", "paused", "blocked", "killing", "killed"]),
                name="control_state_is_known",
            )
        ]

    def __str__(self) -> str:
        return f"{self.scope}: {self.state}"


class KillEvent(models.Model):
    """One pull of the kill switch, from the latch to the broker's word that we are flat."""

    cause = models.CharField(max_length=300)
    actor = models.CharField(max_length=150)
    source = models.CharField(max_length=8)
    latched_at = models.DateTimeField(default=clock.wall_now)
    latched_market_at = models.DateTimeField(null=True)
    latched_mono = models.FloatField(default=clock.mono)
    terminal_latched_at = models.DateTimeField(null=True)
    rounds = models.PositiveIntegerField(default=0, help_text="times the closing was tried")
    n_cancelled = models.PositiveIntegerField(default=0)
    n_closed = models.PositiveIntegerField(default=0)
    n_foreign = models.PositiveIntegerField(default=0, help_text="positions by hand, left untouched")
    venues = models.JSONField(default=list, help_text="the venues that have to be flat, by their keys")
    flat_at = models.DateTimeField(null=True, help_text="when the last venue's second flat reading was made")
    rearmed_at = models.DateTimeField(null=True)
    log = models.JSONField(default=list)  # what is not ours and was left alone, one line each

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"kill {self.pk}: {self.cause}"


class VenueKill(models.Model):
    """How far a kill has come at one venue."""

    event = models.ForeignKey(KillEvent, on_delete=models.CASCADE, related_name="at_venues")
    broker = models.CharField(max_length=32, help_text="the venue's key")
    n_foreign = models.PositiveIntegerField(default=0, help_text="positions by hand, left untouched")
    log = models.JSONField(default=list)  # what is not ours and was left alone, one line each
    flat_at = models.DateTimeField(null=True, help_text="when the venue's second flat reading was made")

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["event", "broker"], name="one_row_a_venue_and_kill")]

    def __str__(self) -> str:
        return f"{self.event} at {self.broker}"
