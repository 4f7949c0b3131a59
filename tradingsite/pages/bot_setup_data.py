"""What the page of one setup shows: from the signals that proposed it to what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from tradingsite.pages.bot_data import SetupRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A named number of a setup, with its unit."""

    name: str
    value: float | None
    unit: str = ""
    places: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarRow:
    """One of the most similar past trades."""

    bar_at: datetime | None
    direction: str
    outcome: str  # "win" or "loss"
    r: float | None
    distance: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    """One request to the venue and its reply."""

    number: int
    sent_at: datetime
    outcome: str
    words: str
    price: Decimal | None
    volume: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FillRow:
    """One deal of the trade's positions."""

    key: str
    at: datetime
    what: str  # "in", "out"
    side: str
    lots: Decimal
    price: Decimal
    result: Decimal  # account currency, costs included


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentRow:
    """One wish to change the position, with what was sent for it."""

    key: str
    step: str  # "enter", "timeout", "protect"
    status: str
    reason: str
    attempts: tuple[AttemptRow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanData:
    """What was planned of a trade, and what came of it; money in the account's currency."""

    account: str
    currency: str
    side: str
    lots: Decimal
    price: Decimal
    stop: Decimal
    target: Decimal
    risk: Decimal
    deadline_at: datetime
    status: str
    reason: str = ""
    result: Decimal | None = None
    closed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupData:
    """Page ``setup``: one setup from what proposed it to what became of it."""

    row: SetupRow
    entry: float
    stop: float
    target: float
    filter_version: str  # "SOLUSD 15m v3", empty: none judged it
    reasons: tuple[str, ...] = ()
    signals: tuple[Fact, ...] = ()
    context: tuple[Fact, ...] = ()
    features: tuple[Fact, ...] = ()
    shadows: tuple[Fact, ...] = ()
    similar: tuple[SimilarRow, ...] = ()
    plan: PlanData | None = None
    intents: tuple[IntentRow, ...] = ()
    rules: tuple[tuple[str, bool, str], ...] = ()  # of the entry's last request: rule, passed, words
    fills: tuple[FillRow, ...] = ()
    digits: int = 2

    @property
    def n_won(self) -> int:
        return sum(row.outcome == "win" for row in self.similar)

    @property
    def stages(self) -> dict[str, str]:
        """Return how far it came: each stage passed, stopped, or not reached."""
        stop = {"rejected": 1}.get(self.row.decision, 2 if self.row.action == "missed" else 4)
        names = ("signals", "filter", "entry", "outcome")
        states = {name: ("passed", "stopped", "not-reached")[(i >= stop) + (i > stop)] for i, name in enumerate(names)}
        waits = stop > 3 and (self.row.ending is None or not self.row.ending.is_real)
        return states | ({"outcome": "not-reached"} if waits else {})
