"""What the kill page and the re-arm page show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from tradingsite.pages.frame_data import StateWord


class StepState(StrEnum):
    """How far one step of a kill is; its value is its style and its icon."""

    DONE = "done"
    RUNNING = "running"
    WAITING = "waiting"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class KillStep:
    """One step of a kill: latched, cancelled, closed, re-read."""

    name: str
    state: StepState
    detail: str = ""  # "3 of 3", "SOLUSD retry 2: requote"
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KillProgress:
    """Panel ``kill-progress``. It says flat only with the time of the broker read that proved it."""

    word: StateWord  # KILLING or KILLED
    started_at: datetime
    by: str
    reason: str = ""
    steps: tuple[KillStep, ...] = ()
    flat_at: datetime | None = None
    n_positions: int | None = None
    n_orders: int | None = None
    currency: str = "USD"
    result: Decimal | None = None
    estimate: Decimal | None = None
    is_late: bool = False  # not flat after a minute: a person must look
    can_arm: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmCheck:
    """One condition of re-arming."""

    name: str
    passed: bool | None  # None: could not be checked, which counts as no
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RearmData:
    """Page ``rearm``. After an error the form keeps what was written, but for the password."""

    word: StateWord
    killed_at: datetime | None
    by: str
    cause: str  # "daily loss −4 512.20 beyond the hard line −4 500.00"
    checks: tuple[ArmCheck, ...]
    phrase: str  # what to type: "ARM DEMO 4417"
    can_arm: bool
    blocked_until: datetime | None = None  # market time; after a daily loss: the next reset
    what_changed: str = ""
    typed: str = ""
    errors: dict[str, str] | None = None  # by field: what_changed, phrase, password; "form" is no field's

    @property
    def is_ready(self) -> bool:
        """Return whether nothing but the form itself stands in the way."""
        return self.can_arm and self.blocked_until is None and all(check.passed for check in self.checks)
