"""What can go wrong with orders, sorted by what the caller must do next.

::

    ExecutionError
    ├── ConfigError                  stop: a person must act
    ├── RiskRefusedError             final: our own limits said no; nothing was sent
    ├── NoDecisionError              nothing was decided yet
    ├── SymbolSkippedError           this symbol sits out; the others go on
    ├── KillNotWrittenError          killed by file and terminal; the rows are still to be written
    ├── PositionGoneError            plan again: what was to be closed is not there; nothing was sent
    └── BrokerError
        ├── OrderRejectedError       final: the broker said no
        ├── BrokerUnavailableError   safe to try again later: the request was not accepted
        └── OutcomeUnknownError      never retry: reconcile first
"""

from __future__ import annotations

from collections.abc import Sequence

from ops.errors import DeskError, ExitCode


class ExecutionError(DeskError):
    """The base of all errors of execution."""


class ConfigError(ExecutionError):
    """A setting, a credential or an account that is not what it must be."""

    exit_code = ExitCode.UNREACHABLE


class RiskRefusedError(ExecutionError):
    """An order that our own limits refused. ``codes`` names every rule that said no, the first blocker first."""

    exit_code = ExitCode.REFUSED

    def __init__(self, message: str, codes: Sequence[str]) -> None:
        super().__init__(message)
        self.codes = tuple(codes)


class NoDecisionError(ExecutionError):
    """A decision that was asked for and never made."""

    exit_code = ExitCode.DATA


class SymbolSkippedError(ExecutionError):
    """A symbol that cannot be decided on at this slot: its bars or its models are not fit to.

    ``exit_code`` says which: data that is missing or stale, or a model that failed.
    """

    def __init__(self, message: str, exit_code: ExitCode = ExitCode.DATA) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class KillNotWrittenError(ExecutionError):
    """A kill that the database did not take: nothing new is sent, and nothing could be closed yet."""


class PositionGoneError(ExecutionError):
    """A position that was to be closed and is not there, or not as planned; nothing was sent."""


class BrokerError(ExecutionError):
    """A broker's refusal, silence or failure. ``code`` is its own number for it, where it gave one."""

    exit_code = ExitCode.UNREACHABLE

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class OrderRejectedError(BrokerError):
    """An order that the broker refused for good; repeating it changes nothing."""


class BrokerUnavailableError(BrokerError):
    """A broker that did not answer, or cannot act now. Nothing was executed."""


class OutcomeUnknownError(BrokerError):
    """A request that may have been executed. Only a reconcile can tell."""


class UnknownKillError(ExecutionError):
    """A kill to see through that is not written down."""

    exit_code = ExitCode.USAGE
