"""What a pause may be about: all trading, one family of strategies, or one symbol."""

from __future__ import annotations

from execution.brokers.magic import Family
from execution.errors import ExecutionError
from execution.models import ControlRow
from execution.safety.control import Control, current_control
from ops.errors import ExitCode

FAMILY, SYMBOL = "family:", "symbol:"


class UnknownScopeError(ExecutionError):
    """A scope that nothing is traded in."""

    exit_code = ExitCode.USAGE


def family_scope(family: Family) -> str:
    """Return the scope of all that one family trades."""
    return f"{FAMILY}{family}"


BOT = family_scope(Family.SETUP)
KNOWN = (ControlRow.SYSTEM, *(family_scope(family) for family in Family))


def require_scope(text: str) -> str:
    """Return a scope that a person has typed.

    Raises
    ------
    UnknownScopeError
        There is none of that name; of symbols any name will do.
    """
    if text in KNOWN or (text.startswith(SYMBOL) and text != SYMBOL):
        return text
    raise UnknownScopeError(f"scope must be {', '.join(KNOWN)} or {SYMBOL}NAME, was {text!r}")


def control_in(scope: str) -> Control:
    """Return the strictest state that binds whoever trades within a scope."""
    kind, _, name = scope.partition(":")
    return current_control(**({kind: name} if name else {}))
