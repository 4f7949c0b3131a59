"""Take an alert off the list of what needs a person."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from ops.alerts import acknowledge_alert
from ops.command import DeskCommand, Outcome, command_actor
from ops.errors import ExitCode
from ops.models import Alert


class Command(DeskCommand):
    """Note that a person has seen an alert; it stays open until its cause is gone."""

    help = (
        "Note that a person has seen an alert. It stays open until its cause is gone, and is told anew if it worsens."
    )
    examples = ("alert_acknowledge 12", "alert_acknowledge 12 --json")
    schema = "alert_acknowledge/1"
    writes = True

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", type=int, help="the alert's number, as alert_list shows it")

    def run(self, **options: Any) -> Outcome:
        alert = Alert.objects.filter(pk=options["id"]).first()
        if alert is None:
            message = f"no alert {options['id']}; `manage.py alert_list` shows them"
            raise CommandError(message, returncode=ExitCode.USAGE)
        if options["dry_run"]:
            return Outcome(data={"id": alert.pk, "dry_run": True}, text=f"would acknowledge: {alert}")
        is_new = acknowledge_alert(alert.pk, command_actor())
        words = "acknowledged" if is_new else "nothing to acknowledge"
        return Outcome(data={"id": alert.pk, "acknowledged": is_new}, text=f"{words}: {alert}")
