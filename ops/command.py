"""The base of every command: examples first in the help, one JSON document, exit codes, one-line errors."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError

from ops.audit import Actor
from ops.errors import DeskError, ExitCode
from ops.models import AuditEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a command has to say: data for programs, text for people, and how it ended."""

    data: dict[str, Any]
    text: str
    exit_code: ExitCode = ExitCode.DONE
    warnings: tuple[str, ...] = field(default=())


class DeskCommand(BaseCommand):
    """A thin command over a service function.

    Subclasses set ``examples`` (two lines), ``schema`` (``noun_verb/1``), ``writes`` (adds ``--dry-run``) and
    implement ``run``. Errors that carry an ``exit_code`` become one line on stderr.
    """

    examples: ClassVar[tuple[str, ...]]
    schema: ClassVar[str]
    writes: ClassVar[bool] = False
    requires_system_checks: ClassVar[tuple[str, ...]] = ()  # type: ignore[misc]  # the checks run in `doctor` and in CI

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        examples = "\n".join(f"  manage.py {line}" for line in self.examples)
        usage = f"\n{examples}\n\n{prog_name} {subcommand} [options]"
        kwargs.setdefault("formatter_class", RawDescriptionHelpFormatter)
        return super().create_parser(prog_name, subcommand, usage=usage, **kwargs)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON document on stdout and nothing else")
        parser.add_argument("--no-input", action="store_true", help="never ask; refuse what needs a confirmation")
        if self.writes:
            parser.add_argument("--dry-run", action="store_true", help="say what would happen and change nothing")
        self.add_options(parser)

    def add_options(self, parser: ArgumentParser) -> None:
        """Add the command's own arguments."""

    def run(self, **options: Any) -> Outcome:
        """Parse the request, call one service, say what came of it."""
        raise NotImplementedError(f"{type(self).__name__} has to implement run")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            outcome = self.run(**options)
        except KeyboardInterrupt:
            self.stderr.write("interrupted; what was finished is saved")
            sys.exit(ExitCode.INTERRUPTED)
        except CommandError as error:
            self._fail(error, ExitCode(error.returncode), as_json=options["json"])
        except OperationalError as error:  # locked, full, not migrated: not this command's fault
            if options.get("traceback"):
                raise
            words = f"the database cannot be used: {error}; `manage.py doctor` says what is wrong with it"
            self._fail(DeskError(words), ExitCode.FAILED, as_json=options["json"])
        except Exception as error:  # the outermost loop: an error with an exit code is one line, others are bugs
            if not hasattr(error, "exit_code") or options.get("traceback"):
                raise
            self._fail(error, ExitCode(error.exit_code), as_json=options["json"])
        else:
            self._show(outcome, as_json=options["json"])

    def _fail(self, error: Exception, code: ExitCode, *, as_json: bool) -> None:
        if as_json:
            self._print_json(ok=False, data={}, warnings=(), error=str(error))
        raise CommandError(str(error), returncode=code) from error

    def _show(self, outcome: Outcome, *, as_json: bool) -> None:
        if as_json:
            ok = outcome.exit_code == ExitCode.DONE
            self._print_json(ok=ok, data=outcome.data, warnings=outcome.warnings)
        else:
            for warning in outcome.warnings:
                self.stderr.write(f"warning: {warning}")
            self.stdout.write(outcome.text)
        if outcome.exit_code != ExitCode.DONE:
            sys.exit(outcome.exit_code)

    def _print_json(self, *, ok: bool, data: dict[str, Any], warnings: tuple[str, ...], error: str = "") -> None:
        document = {"ok": ok, "schema": self.schema, "data": data, "warnings": list(warnings)}
        if error:
            document["error"] = error
        self.stdout.write(json.dumps(document, default=as_json_value))

    def confirm(self, question: str, *, no_input: bool) -> None:
        """Go on only after a person typed yes.

        Raises
        ------
        CommandError
            With exit code 2 when nobody is there to ask, and 1 when the answer is no.
        """
        if no_input or not sys.stdin.isatty():
            raise CommandError(f"{question} Confirm with --yes.", returncode=ExitCode.USAGE)
        self.stderr.write(f"{question} [yes/no] ", ending="")  # stdout is for data
        if input().strip().lower() != "yes":
            raise CommandError("nothing was changed", returncode=ExitCode.FAILED)


def command_actor() -> Actor:
    """Return who runs commands: the system's user of this process."""
    import getpass

    return Actor(name=getpass.getuser(), source=AuditEntry.Source.COMMAND)


def as_json_value(value: object) -> object:
    """Return times as ISO 8601, decimals as numbers, and anything else with a list form as a list."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
