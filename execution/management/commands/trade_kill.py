"""The kill switch on the command line."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from execution.killing import kill_and_flatten, kill_preview, kill_text
from ops.command import DeskCommand, Outcome, command_actor
from ops.errors import ExitCode


class Command(DeskCommand):
    """Latch, cancel, close, and wait until the broker says flat. It never asks: stopping is easy."""

    help = "Stop all trading, close every position of ours at market, and wait until the broker confirms it."
    examples = ("trade_kill", "trade_kill --reason 'wrong weights' --json")
    schema = "trade_kill/1"
    writes = True

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--reason", default="killed from the command line", help="kept in the audit")
        parser.add_argument("--latched", type=int, metavar="ID", help="see this kill through instead of beginning one")
        parser.add_argument("--timeout", type=float, default=60.0, metavar="S", help="seconds to wait for flat")

    def run(self, **options: Any) -> Outcome:
        if options["dry_run"]:
            return _would_kill()
        state = kill_and_flatten(
            command_actor(), cause=options["reason"], timeout_s=options["timeout"], latched=options["latched"]
        )
        code = ExitCode.DONE if state["flat_at"] else ExitCode.FAILED
        warnings = (state["trouble"],) if state["trouble"] else ()
        return Outcome(data=state, text=kill_text(state), exit_code=code, warnings=warnings)


def _would_kill() -> Outcome:
    data = kill_preview()
    lines = [
        *(f"would cancel {line}" for line in data["would_cancel"]),
        *(f"would close {line}" for line in data["would_close"]),
        *(f"not ours, would stay: {line}" for line in data["foreign"]),
    ]
    return Outcome(data=data, text="\n".join([*lines, "nothing was changed: this was a dry run"]))
