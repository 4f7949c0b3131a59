"""The account in its funded programme."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from execution.ftmo_status import ftmo_status, ftmo_text, warnings_of
from ops.command import DeskCommand, Outcome
from ops.errors import ExitCode


class Command(DeskCommand):
    """Read the broker and hold the account against the objectives of its programme."""

    help = "Show the objectives of the account's funded programme in money left. Exit 3 at a soft line or past it."
    examples = ("ftmo_status", "ftmo_status --programme ftmo-2-step-challenge --json")
    schema = "ftmo_status/1"

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--programme", metavar="KEY", help="try this one, as if from the account's first look on")

    def run(self, **options: Any) -> Outcome:
        document, found = ftmo_status(options["programme"])
        code = ExitCode.DONE if found.is_sound else ExitCode.FOUND
        return Outcome(data=document, text=ftmo_text(document), exit_code=code, warnings=warnings_of(found))
