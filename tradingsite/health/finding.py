"""What a check says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How a thing that was looked at stands."""

    OK = "ok"
    WARN = "warn"  # works, and a person should know
    FAIL = "fail"  # the desk cannot do its work
    SKIP = "skip"  # not needed in this mode, or cannot be told now


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing, how it stands, and what to type when it is wrong."""

    name: str
    state: State
    detail: str
    fix: str = ""


def ok(name: str, detail: str) -> Finding:
    """Return that all is well."""
    return Finding(name=name, state=State.OK, detail=detail)


def skip(name: str, detail: str) -> Finding:
    """Return that it was not looked at, and why."""
    return Finding(name=name, state=State.SKIP, detail=detail)


def warn(name: str, detail: str, *, fix: str) -> Finding:
    """Return what a person should know."""
    return Finding(name=name, state=State.WARN, detail=detail, fix=fix)


def fail(name: str, detail: str, *, fix: str) -> Finding:
    """Return what has to be mended."""
    return Finding(name=name, state=State.FAIL, detail=detail, fix=fix)
