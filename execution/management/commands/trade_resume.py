"""Take a pause back."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.db import transaction

from execution.models import ControlRow
from execution.safety.control import State, resume
from execution.scopes import control_in, require_scope
from ops.command import DeskCommand, Outcome, command_actor
from ops.errors import ExitCode


class Command(DeskCommand):
    """Resume after a pause; after a kill only ``trade_arm`` helps."""

    help = "Resume after a pause. A kill is undone by trade_arm alone."
    examples = ("trade_resume", "trade_resume --scope family:setup --reason 'news is out'")
    schema = "trade_resume/1"
    writes = True

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--reason", default="", help="kept in the audit")
        parser.add_argument(
            "--scope",
            default=ControlRow.SYSTEM,
            help="system, family:rebalance, family:setup (the bot) or symbol:NAME; default: system",
        )

    def run(self, **options: Any) -> Outcome:
        scope = require_scope(options["scope"])
        with transaction.atomic():
            changed = resume(command_actor(), reason=options["reason"], scope=scope)
            control = control_in(scope)
            transaction.set_rollback(options["dry_run"])
        killed = control.state in (State.KILLING, State.KILLED)
        text = f"still {control.state}: {control.reason}; use trade_arm" if killed else str(control.state)
        return Outcome(
            data={"state": control.state, "changed": changed},
            text=f"{text}; nothing was changed: this was a dry run" if options["dry_run"] else text,
            exit_code=ExitCode.REFUSED if killed else ExitCode.DONE,
        )
