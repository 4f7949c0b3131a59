"""Do alerts arrive?"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from ops.alerts import send_test
from ops.command import DeskCommand, Outcome, command_actor
from ops.errors import ExitCode
from ops.models import AlertDelivery
from ops.notifier import see_through

WITHIN_S = 60.0


class Command(DeskCommand):
    """Send a test to every destination and say which took it."""

    help = "Send a test message to every address of ALERT_URLS, and say for each whether its service took it."
    examples = ("alert_test", "alert_test --dry-run --json")
    schema = "alert_test/1"
    writes = True

    def run(self, **options: Any) -> Outcome:
        if not settings.ALERT_URLS:
            message = "there is nowhere to send a test to: ALERT_URLS names no address (docs/settings.md)"
            raise CommandError(message, returncode=ExitCode.USAGE)
        if options["dry_run"]:
            labels = [to.label for to in settings.ALERT_URLS]
            return Outcome(data={"destinations": labels, "dry_run": True}, text=f"would go to {', '.join(labels)}")
        rows = see_through(send_test(command_actor()), within_s=WITHIN_S)
        data = {"deliveries": [{"to": row.label, "ok": _is_taken(row), "reason": _reason(row)} for row in rows]}
        return Outcome(data=data, text="\n".join(_line(row) for row in rows), exit_code=_exit_code(rows))


def _is_taken(row: AlertDelivery) -> bool:
    return row.status == AlertDelivery.Status.SENT


def _reason(row: AlertDelivery) -> str:
    return "" if _is_taken(row) else row.error or f"not tried within {WITHIN_S:.0f} s"


def _line(row: AlertDelivery) -> str:
    return f"{row.label}: {'accepted' if _is_taken(row) else f'not accepted: {_reason(row)}'}"


def _exit_code(rows: list[AlertDelivery]) -> ExitCode:
    taken = sum(_is_taken(row) for row in rows)
    if taken == len(rows):
        return ExitCode.DONE
    return ExitCode.PARTLY if taken else ExitCode.UNREACHABLE
