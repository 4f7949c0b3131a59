"""How the desk stands."""

from __future__ import annotations

from typing import Any

from ops.command import DeskCommand, Outcome
from tradingsite.summary import site_summary, summary_text


class Command(DeskCommand):
    """Show mode, state, account, processes, data and the next slot."""

    help = "Show on one screen how the desk stands. It asks the database only, so it works while the broker does not."
    examples = ("status", "status --json")
    schema = "status/1"

    def run(self, **options: Any) -> Outcome:
        summary = site_summary()
        return Outcome(data=summary, text=summary_text(summary))
