"""Account, positions and trading state."""

from __future__ import annotations

from typing import Any

from execution.status import status_text, trade_status
from ops.command import DeskCommand, Outcome


class Command(DeskCommand):
    """Read the broker and say how things stand."""

    help = "Read the broker and show state, account and positions."
    examples = ("trade_status", "trade_status --json")
    schema = "trade_status/1"

    def run(self, **options: Any) -> Outcome:
        status = trade_status()
        return Outcome(data=status, text=status_text(status))
