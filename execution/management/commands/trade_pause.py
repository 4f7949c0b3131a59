"""Allow no new risk."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from execution.safety.control import current_control, pause
from ops.command import DeskCommand, Outcome, command_actor


class Command(DeskCommand):
    """Pause entries; positions stay, and sessions may still reduce them."""

    help = "Pause: no new risk; what is open stays and may be reduced."
    examples = ("trade_pause", "trade_pause --reason 'news at 14:00'")
    schema = "trade_pause/1"

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--reason", default="", help="kept in the audit")

    def run(self, **options: Any) -> Outcome:
        changed = pause(command_actor(), reason=options["reason"])
        state = current_control().state
        return Outcome(data={"state": state, "changed": changed}, text=f"{state}" if changed else f"already {state}")
