"""Arm trading."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from execution.rearm import arm, arm_checks, arm_phrase, require_armable
from ops.command import DeskCommand, Outcome, command_actor
from ops.errors import ExitCode


class Command(DeskCommand):
    """Check everything, take the typed phrase, and arm; trading starts PAUSED."""

    help = "Arm trading after a kill or for the first time. It starts paused; trade_resume lets it trade."
    examples = ("trade_arm --check", "trade_arm --phrase 'ARM DEMO' --reason 'weights corrected'")
    schema = "trade_arm/1"
    writes = True

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--phrase", help="what you would type on the page")
        parser.add_argument("--reason", default="", help="what changed since; kept in the audit")
        parser.add_argument("--check", action="store_true", help="only show the checks; exit 3 if one fails")

    def run(self, **options: Any) -> Outcome:
        if options["check"]:
            return _show_checks()
        phrase = options["phrase"] or self._ask(no_input=options["no_input"])
        if options["dry_run"]:
            require_armable(phrase)
            return Outcome(
                data={"state": "paused", "dry_run": True}, text="would be armed and paused; it was a dry run"
            )
        mark = arm(command_actor(), phrase=phrase, reason=options["reason"])
        return Outcome(data={"state": "paused", "server": mark.server}, text="armed and paused; trade_resume starts it")

    def _ask(self, *, no_input: bool) -> str:
        import sys

        if no_input or not sys.stdin.isatty():
            message = f"type the phrase with --phrase {arm_phrase()!r}"
            raise CommandError(message, returncode=ExitCode.USAGE)
        self.stderr.write(f"Type {arm_phrase()} to arm: ", ending="")  # stdout is for data
        self.stderr.flush()
        return input()


def _show_checks() -> Outcome:
    checks = arm_checks()
    lines = [f"{'ok  ' if check.ok else 'FAIL'} {check.name}: {check.detail}" for check in checks]
    failed = any(not check.ok for check in checks)
    rows = [{"name": check.name, "ok": check.ok, "detail": check.detail} for check in checks]
    code = ExitCode.FOUND if failed else ExitCode.DONE
    return Outcome(data={"checks": rows}, text="\n".join(lines), exit_code=code)
