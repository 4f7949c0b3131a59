"""A rule's answer, and what a rule is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from execution.safety.risk.context import OrderRequest, RiskContext

OK = "ok"
EXEMPT = "exempt"
UNKNOWN = "unknown"  # what the rule needs was not read
UNREADABLE = "unreadable"  # a number is NaN or infinite


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one rule says about one request, with what it was and what is allowed."""

    rule: str
    ok: bool
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a check returns; the rule's name is added by the one that asks."""

    ok: bool
    code: str
    message: str


Check = Callable[[OrderRequest, RiskContext], Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A check, and whom it spares.

    Emergencies are the closes of a kill, a naked position or the hard line; they are reductions, too.
    """

    check: Check
    description: str
    applies_to_reductions: bool
    applies_to_emergencies: bool

    def spares(self, request: OrderRequest) -> str:
        """Return why the rule does not apply to ``request``, empty where it does."""
        if request.emergency and request.reduces:
            return "" if self.applies_to_emergencies else "emergency closes are exempt"
        return "" if self.applies_to_reductions or not request.reduces else "reductions are exempt"


def allowed(message: str) -> Answer:
    """Say yes, with the numbers."""
    return Answer(ok=True, code=OK, message=message)


def refused(code: str, message: str) -> Answer:
    """Say no: what was wrong, what it was, what is allowed."""
    return Answer(ok=False, code=code, message=message)


def unknown(what: str) -> Answer:
    """Say no because something was not read: unknown is not zero."""
    return refused(UNKNOWN, f"{what} is unknown: nothing is sent on a guess")


def judge(ok: bool, code: str, message: str) -> Answer:
    """Say yes or no with the same sentence of numbers."""
    return allowed(message) if ok else refused(code, message)
