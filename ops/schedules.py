"""Maintenance on a timetable. Sessions are not here: the sentinel enqueues them to the second."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction
from django_q.models import Schedule

from ops.queues import RESEARCH


@dataclass(frozen=True, slots=True, kw_only=True)
class Timetable:
    """How often a job runs."""

    function: str
    every_minutes: int
    queue: str = RESEARCH


@transaction.atomic
def sync_schedules(timetables: dict[str, Timetable]) -> list[str]:
    """Make the rows of django-q2 those of ``timetables``, and return their names."""
    Schedule.objects.exclude(name__in=timetables).delete()
    for name, timetable in timetables.items():
        Schedule.objects.update_or_create(
            name=name,
            defaults={
                "func": timetable.function,
                "schedule_type": Schedule.MINUTES,
                "minutes": timetable.every_minutes,
                "cluster": timetable.queue,
            },
        )
    return sorted(timetables)
