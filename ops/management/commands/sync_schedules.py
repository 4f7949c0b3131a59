"""Write the schedules of the code into the database."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from ops.command import DeskCommand, Outcome
from ops.schedules import sync_schedules


class Command(DeskCommand):
    """Make the database's schedules those of the code; doing it twice changes nothing."""

    help = "Make the database's maintenance schedules those of the code."
    examples = ("sync_schedules", "sync_schedules --json")
    schema = "sync_schedules/1"

    def run(self, **options: Any) -> Outcome:
        names = sync_schedules(import_string(settings.SCHEDULES))
        return Outcome(data={"schedules": names}, text=f"{len(names)} schedules")
