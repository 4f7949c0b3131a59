"""Allow no new risk."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.db import transaction

from execution.models import ControlRow
from execution.safety.control import pause
from execution.scopes import control_in, require_scope
from ops.command import DeskCommand, Outcome, command_actor


class Command(DeskCommand):
    """Pause entries; positions stay, and sessions may still reduce them."""

    help = "Pause: no new risk; what is open stays and may be reduced."
    examples = ("trade_pause", "trade_pause --scope family:setup --reason 'news at 14:00'")
    schema = "trade_pause/1"
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
            changed = pause(command_actor(), reason=options["reason"], scope=scope)
            state = control_in(scope).state
            transaction.set_rollback(options["dry_run"])
        text = str(state) if changed else f"already {state}"
        note = "; nothing was changed: this was a dry run" if options["dry_run"] else ""
        return Outcome(data={"state": state, "changed": changed}, text=f"{text}{note}")
