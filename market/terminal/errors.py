"""What a call to the terminal can end in, sorted by what the caller must do.

::

    TerminalError
    ├── TerminalUnavailableError     nothing was executed: safe to try again
    ├── TerminalOutcomeUnknownError  a write may have been executed: reconcile, never send again blindly
    └── TerminalRefusedError         the fence said no, for ``reason``: nothing was executed
"""

from __future__ import annotations

REASONS = ("latched", "not_after", "fence", "reduce")


class TerminalError(Exception):
    """The base of all errors of the wire to the terminal."""

    exit_code = 6  # of a command: not reachable, in the numbers of ops.errors, without which this package runs


class TerminalUnavailableError(TerminalError):
    """Nothing was executed: not reachable, EXPIRED in the queue, a refused token, or a module that failed."""


class TerminalOutcomeUnknownError(TerminalError):
    """A write was handed over and its answer never came."""


class TerminalRefusedError(TerminalError):
    """The fence refused a write before it reached the module.

    Parameters
    ----------
    reason : str
        ``latched``: the kill latch is on and the write is not a reduction. ``not_after``: its time had passed.
        ``fence``: a newer token has been seen. ``reduce``: the server could not prove it to be a reduction.
    message : str, optional
        What was wrong, what it was and what is allowed.
    """

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}" if self.message else self.reason
