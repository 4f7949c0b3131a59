"""What is wrong."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from ops.command import DeskCommand, Outcome
from ops.models import Alert


class Command(DeskCommand):
    """List alerts, the newest first."""

    help = "List the open alerts, the newest first, with how often each was raised and who was told outside the site."
    examples = ("alert_list", "alert_list --all --limit 50 --json")
    schema = "alert_list/1"

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--all", action="store_true", help="those that are over, too")
        parser.add_argument("--limit", type=int, default=20, metavar="N", help="at most so many (default: %(default)s)")

    def run(self, **options: Any) -> Outcome:
        chosen = Alert.objects.all() if options["all"] else Alert.objects.open()
        alerts = list(chosen.prefetch_related("deliveries")[: max(options["limit"], 0)])
        return Outcome(data={"alerts": [_as_data(alert) for alert in alerts]}, text=_text(alerts))


def _as_data(alert: Alert) -> dict[str, Any]:
    fields = "id key level title detail count first_at last_at acknowledged_at acknowledged_by resolved_at"
    told = [
        {"to": row.label, "kind": row.kind, "status": row.status, "attempts": row.attempts, "error": row.error}
        for row in alert.deliveries.all()
    ]
    return {name: getattr(alert, name) for name in fields.split()} | {"deliveries": told}


def _text(alerts: list[Alert]) -> str:
    return "\n".join(_line(alert) for alert in alerts) or "no alerts"


def _line(alert: Alert) -> str:
    state = "over" if alert.resolved_at else f"seen by {alert.acknowledged_by}" if alert.acknowledged_at else "open"
    times = f" ×{alert.count}" if alert.count > 1 else ""
    head = f"{alert.pk:>6}  {alert.last_at:%Y-%m-%d %H:%M:%S}  {alert.level:<8}"
    return f"{head}  {alert.key}: {alert.title}{times}  ({state})"
