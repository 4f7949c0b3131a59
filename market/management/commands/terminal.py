"""``manage.py terminal``: serve a MetaTrader5 module on loopback, in a process that knows no Django."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

EXAMPLES = """%(prog)s
       %(prog)s --module simulator.metatrader5 --port 8765"""


class Command(BaseCommand):
    help = (
        "Serve the MetaTrader5 module on loopback until Ctrl+C: the wire to the broker and the fence before it. "
        "Where it is found stands in run/terminal.json of the state folder."
    )
    requires_system_checks: list[str] = []  # noqa: RUF012 (Django's own form)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.usage = EXAMPLES
        parser.add_argument("--module", default="MetaTrader5", help="what to serve (default: %(default)s)")
        parser.add_argument("--host", default="127.0.0.1", help="a loopback address (default: %(default)s)")
        parser.add_argument("--port", default=0, type=int, help="default: any free one")

    def handle(self, *args: Any, **options: Any) -> None:
        """Become the server; it ends with its own exit code, 6 when the module cannot be imported."""
        os.environ["TERMINAL_KILL_CMD"] = settings.TERMINAL_KILL_CMD
        os.chdir(settings.BASE_DIR)  # python -m finds the package here
        sys.stdout.flush()
        command = [sys.executable, "-m", "market.terminal.server", *_arguments(options)]
        if os.name == "posix":
            os.execv(sys.executable, command)  # noqa: S606 (this interpreter, so that signals reach the server itself)
        raise SystemExit(subprocess.call(command))  # noqa: S603 (Windows cannot replace a process)


def _arguments(options: dict[str, Any]) -> list[str]:
    given = {
        "--module": options["module"],
        "--run-file": settings.RUN_DIR / "terminal.json",
        "--state-dir": settings.STATE_DIR,
        "--host": options["host"],
        "--port": options["port"],
    }
    return [str(part) for pair in given.items() for part in pair]
