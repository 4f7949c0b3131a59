"""Rows about how the site is run: announcements, runs, leases, heartbeats, alerts and their delivery, audit."""

from __future__ import annotations

from typing import Self

from django.db import models

from ops import clock
from ops.boot import boot_id


class Announcement(models.Model):
    """One change that open pages are told about, written in the transaction of the change (the outbox)."""

    topic = models.CharField(max_length=64)
    payload = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=clock.wall_now)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.topic} {self.pk}"


class RunQuerySet(models.QuerySet["Run"]):
    """Names for the questions asked about runs."""

    def unfinished(self) -> Self:
        return self.filter(status__in=[Run.Status.QUEUED, Run.Status.RUNNING])


class Run(models.Model):
    """One run of a job for one slot: the row, not the queue, says whether it may start, and how it ended."""

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        PARTLY = "partly", "partly done"
        FAILED = "failed"
        SKIPPED = "skipped"
        CRASHED = "crashed"
        CANCELLED = "cancelled"

    job = models.CharField(max_length=40)
    slot = models.CharField(max_length=64, help_text="what the run is for; unique within the job")
    queue = models.CharField(max_length=20, blank=True, help_text="whose worker runs it; empty: a command")
    status = models.CharField(max_length=10, choices=Status, default=Status.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0, help_text="times a worker began it")
    params = models.JSONField(default=dict)
    result = models.JSONField(default=dict)
    error = models.TextField(blank=True)
    progress_done = models.PositiveIntegerField(default=0)
    progress_total = models.PositiveIntegerField(default=0)
    progress_label = models.CharField(max_length=200, blank=True)
    cancel_requested = models.BooleanField(default=False)
    market_at = models.DateTimeField(null=True, help_text="market time at the start")
    queued_at = models.DateTimeField(default=clock.wall_now)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    beat_mono = models.FloatField(null=True)
    boot = models.CharField(max_length=64, blank=True)
    pid = models.IntegerField(null=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["job", "slot"], name="run_once_per_slot")]
        indexes = [models.Index(fields=["status", "job"])]

    def __str__(self) -> str:
        return f"{self.job} {self.slot}: {self.status}"

    def beat_age_s(self) -> float:
        """Return seconds since the run's last sign of life; infinite when it gave none in this boot."""
        return beat_age_s(self.beat_mono, self.boot)


class Lease(models.Model):
    """The right to do something alone, until it expires; its token grows with every holder (fencing)."""

    name = models.CharField(max_length=40, unique=True)
    holder = models.CharField(max_length=120, blank=True)
    token = models.PositiveBigIntegerField(default=0)
    expires_mono = models.FloatField(default=0.0)
    boot = models.CharField(max_length=64, blank=True)

    def __str__(self) -> str:
        return f"{self.name} #{self.token} {self.holder}"


class Heartbeat(models.Model):
    """The last sign of life of a process or of a queue."""

    name = models.CharField(max_length=40, unique=True)
    pid = models.IntegerField(default=0)
    beat_mono = models.FloatField(default=0.0)
    boot = models.CharField(max_length=64, blank=True)
    beat_at = models.DateTimeField(default=clock.wall_now)
    detail = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"{self.name} {self.beat_at:%H:%M:%S}"

    def age_s(self) -> float:
        """Return seconds since the last beat; infinite when there was none in this boot."""
        return beat_age_s(self.beat_mono, self.boot)


def beat_age_s(beat_mono: float | None, boot: str) -> float:
    """Return the age of a reading of ``mono`` that a row keeps."""
    if beat_mono is None or boot != boot_id():
        return float("inf")
    return max(clock.mono() - beat_mono, 0.0)


class AlertQuerySet(models.QuerySet["Alert"]):
    """Names for the questions asked about alerts."""

    def open(self) -> Self:
        return self.filter(resolved_at=None)

    def needing_action(self) -> Self:
        return self.open().filter(acknowledged_at=None)


class Alert(models.Model):
    """Something a person should know; raised once per crossing, repeats only count."""

    class Level(models.TextChoices):
        INFO = "info"
        WARNING = "warning"
        CRITICAL = "critical"

    key = models.CharField(max_length=120, help_text="the same cause has the same key")
    level = models.CharField(max_length=8, choices=Level, default=Level.WARNING)
    title = models.CharField(max_length=200)
    detail = models.TextField(blank=True)
    count = models.PositiveIntegerField(default=1)
    first_at = models.DateTimeField(default=clock.wall_now)
    last_at = models.DateTimeField(default=clock.wall_now)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.CharField(max_length=150, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)

    objects = AlertQuerySet.as_manager()

    class Meta:
        ordering = ["-last_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["key"], condition=models.Q(resolved_at=None), name="one_open_alert_per_cause"
            )
        ]

    def __str__(self) -> str:
        return self.title


class AlertDeliveryQuerySet(models.QuerySet["AlertDelivery"]):
    """Names for the questions asked about deliveries."""

    def waiting(self) -> Self:
        return self.filter(status=AlertDelivery.Status.WAITING)


class AlertDelivery(models.Model):
    """One message that is owed to one destination, written in the transaction of its cause (the outbox of alerts)."""

    class Kind(models.TextChoices):
        RAISED = "raised"
        WORSE = "worse"
        AGAIN = "again"
        OVER = "over"
        TEST = "test"

    class Status(models.TextChoices):
        WAITING = "waiting"
        SENT = "sent"
        FAILED = "failed", "given up"

    alert = models.ForeignKey(Alert, models.CASCADE, related_name="deliveries", null=True, blank=True)
    kind = models.CharField(max_length=6, choices=Kind)
    level = models.CharField(max_length=8, choices=Alert.Level)
    title = models.CharField(max_length=200)
    detail = models.TextField(blank=True)
    destination = models.CharField(max_length=16, help_text="tells addresses apart without holding them")
    label = models.CharField(max_length=60, help_text="the service, and its number where it has several addresses")
    status = models.CharField(max_length=7, choices=Status, default=Status.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=200, blank=True, help_text="why the last attempt failed, in words of ours")
    created_at = models.DateTimeField(default=clock.wall_now)
    tried_at = models.DateTimeField(null=True)

    objects = AlertDeliveryQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "alert deliveries"
        indexes = [models.Index(fields=["status", "destination"]), models.Index(fields=["destination", "tried_at"])]

    def __str__(self) -> str:
        return f"{self.label}: {self.title}"


class AuditEntry(models.Model):
    """Who changed what, when, from where and why; rows are only ever added."""

    class Source(models.TextChoices):
        PAGE = "page"
        COMMAND = "command"
        SYSTEM = "system"

    at = models.DateTimeField(default=clock.wall_now)
    actor = models.CharField(max_length=150)
    source = models.CharField(max_length=8, choices=Source)
    action = models.CharField(max_length=60)
    subject = models.CharField(max_length=120, blank=True)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    reason = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor} {self.action} {self.subject}"
