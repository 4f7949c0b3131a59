"""Cancel a run that waits, or ask one that works to stop."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from ops import audit, runs
from ops.command import DeskCommand, Outcome, command_actor
from ops.errors import ExitCode
from ops.models import Run


class Command(DeskCommand):
    """Cancel a run; a working one stops at its next step and keeps what it finished."""

    help = "Cancel a run that waits, or ask one that works to stop at its next step."
    examples = ("job_cancel 12", "job_cancel 12 --json")
    schema = "job_cancel/1"

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", type=int, help="the run's number, as job_list shows it")

    def run(self, **options: Any) -> Outcome:
        run = Run.objects.filter(pk=options["id"]).first()
        if run is None:
            raise CommandError(f"no run {options['id']}; `manage.py job_list` shows them", returncode=ExitCode.USAGE)
        if not runs.cancel(run.pk):
            raise CommandError(f"run {run.pk} has ended already: {run.status}", returncode=ExitCode.REFUSED)
        audit.record(command_actor(), "job cancel", before={"status": run.status}, subject=str(run))
        run.refresh_from_db()
        text = f"{run}" if run.status == Run.Status.CANCELLED else f"{run}, asked to stop"
        return Outcome(data={"id": run.pk, "status": run.status, "cancel_requested": True}, text=text)
