"""Limits, what is used of them, and what may still be lost."""

from __future__ import annotations

from typing import Any

from execution.risk_status import is_sound, risk_status, risk_text
from ops.command import DeskCommand, Outcome
from ops.errors import ExitCode


class Command(DeskCommand):
    """Read the broker and hold the account against every limit."""

    help = "Read the broker and show every limit, what is used of it, and what may still be lost. Exit 3 at a line."
    examples = ("risk_status", "risk_status --json")
    schema = "risk_status/1"

    def run(self, **options: Any) -> Outcome:
        status = risk_status()
        code = ExitCode.DONE if is_sound(status) else ExitCode.FOUND
        return Outcome(data=status, text=risk_text(status), exit_code=code)
