"""Is everything there that the desk needs?"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from ops.command import DeskCommand, Outcome
from ops.errors import ExitCode
from tradingsite.doctor import CHECKS, as_data, as_text, examine, exit_code


class Command(DeskCommand):
    """Look at everything, change nothing, and say what to type where something is wrong."""

    help = "Check what the desk needs, and say what to type where it is wrong. It never trades. Exit 3 on a failure."
    examples = ("doctor", "doctor database queues --json")
    schema = "doctor/1"

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"only these: {', '.join(CHECKS)}")

    def run(self, **options: Any) -> Outcome:
        unknown = [group for group in options["groups"] if group not in CHECKS]
        if unknown:
            message = f"no check {unknown[0]!r}; known: {', '.join(CHECKS)}"
            raise CommandError(message, returncode=ExitCode.USAGE)
        checks = examine(options["groups"])
        return Outcome(data=as_data(checks), text=as_text(checks), exit_code=exit_code(checks))
