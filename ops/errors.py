"""Exit codes of the commands, and the base of errors that carry one.

An error class says with ``exit_code`` how a command that meets it ends; a process that meets it in a loop decides by
its class. Packages that run without the rest of the project (``market.terminal``) set the attribute without this base.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    FOUND = 3
    REFUSED = 4
    DATA = 5
    UNREACHABLE = 6
    PARTLY = 7
    INTERRUPTED = 130


class DeskError(Exception):
    """An error with a one-line message for a person: what, why, what to do next."""

    exit_code: ExitCode = ExitCode.FAILED


class CancelledError(DeskError):
    """A person asked for a stop; what was finished before is kept."""

    exit_code = ExitCode.INTERRUPTED
