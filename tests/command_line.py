"""Commands as a shell runs them: arguments are parsed as text, errors are what a person reads, exits are codes."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

from django.core.management import get_commands, load_command_class


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """Return the one document of ``--json``."""
        return json.loads(self.out)

    @property
    def data(self) -> dict[str, Any]:
        return self.document["data"]

    @property
    def complaint(self) -> str:
        """Return the one line that says what was wrong."""
        lines = [line for line in self.err.splitlines() if line.startswith("CommandError: ")]
        assert len(lines) == 1, self.err
        return lines[0].removeprefix("CommandError: ")


def manage(name: str, *arguments: object) -> Ended:
    """Run ``manage.py NAME ARGUMENTS`` in this process; what it raises, the test raises."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        command = load_command_class(get_commands()[name], name)
        try:
            command.run_from_argv(["manage.py", name, *map(str, arguments)])
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
    return Ended(code, out.getvalue(), err.getvalue())
