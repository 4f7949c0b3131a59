"""One decision from the bar to the order, with the first thing that stopped it named."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from tradingsite.pages import charts
from tradingsite.pages.charts import Rect
from tradingsite.pages.frame_data import Freshness, Mode


class Stage(StrEnum):
    """The stages of a decision, in order."""

    DATA = "data"
    MODELS = "models"
    SIZE = "size"
    DRIFT = "drift"
    RISK = "risk"
    ORDER = "order"


class Outcome(StrEnum):
    """How a decision ended; its value is its style and its icon."""

    TRADED = "traded"
    HELD = "held"
    BLOCKED = "blocked"
    SKIPPED = "skipped"
    PENDING = "pending"  # a preview: nothing was sent yet

    @property
    def label(self) -> str:
        return self.value.capitalize()


class StageState(StrEnum):
    """Whether a stage let the decision through; its value is its style and its icon."""

    PASSED = "passed"
    STOPPED = "stopped"
    NOT_REACHED = "not-reached"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVote:
    """What one fitted model said. ``position`` is its part of the sum: its weight is already in it."""

    name: str
    variant: str
    version: str
    weight: float | None
    position: float | None  # fraction of capital
    note: str = ""  # "missing", "failed: column volume"

    @property
    def signal(self) -> float | None:
        """Return the position before its weight."""
        return None if self.position is None or not self.weight else self.position / self.weight


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleVerdict:
    """What one risk rule said."""

    rule: str
    passed: bool | None  # None: not asked, because an earlier one refused
    detail: str  # "0.31 of 1.00 of equity"


@dataclass(frozen=True, slots=True, kw_only=True)
class LegRow:
    """One order of the decision and what became of it."""

    scene: str  # "increase", "close all"
    side: str  # "buy" or "sell"
    lots: Decimal
    price: Decimal | None
    outcome: str  # "filled", "rejected: 10018 market closed", "planned"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionData:
    """One symbol's decision at one bar (page ``decision``, and each ``<details>`` of the funnel)."""

    symbol: str
    outcome: Outcome
    verdict: str  # "hold: inside the band"
    bar_open_at: datetime | None
    bar_close_at: datetime | None
    id: int | None = None  # None: a preview that was not stored
    decided_at: datetime | None = None
    slot: str = ""
    mode: Mode = Mode.DEMO
    stopped_at: Stage | None = None
    blocker: str = ""  # name of the first thing that stopped it
    data_words: str = ""  # "newest closed bar, 8 760 bars"
    votes: tuple[ModelVote, ...] = ()
    position: float | None = None  # sum of the votes
    clipped: float | None = None
    max_position: float | None = None
    rounded: float | None = None  # to tenths, as sized
    capital: Decimal | None = None  # of this symbol
    currency: str = "USD"
    contract_value: Decimal | None = None
    all_in_lots: Decimal | None = None
    target_lots: Decimal | None = None
    current_lots: Decimal | None = None
    step_lots: Decimal | None = None
    size_words: str = ""  # "below one lot step"
    rules: tuple[RuleVerdict, ...] = ()
    legs: tuple[LegRow, ...] = ()
    digits: int = 2

    @property
    def stages(self) -> dict[str, StageState]:
        """Return each stage's state: passed before the stop, not reached after it."""
        order = list(Stage)
        stop = len(order) if self.stopped_at is None else order.index(self.stopped_at)
        states = (StageState.PASSED, StageState.STOPPED, StageState.NOT_REACHED)
        return {stage.value: states[(index >= stop) + (index > stop)] for index, stage in enumerate(order)}

    @property
    def is_clipped(self) -> bool:
        return self.position is not None and self.clipped is not None and self.position != self.clipped

    @property
    def delta_lots(self) -> Decimal | None:
        if self.target_lots is None or self.current_lots is None:
            return None
        return self.target_lots - self.current_lots

    @property
    def bars(self) -> tuple[tuple[ModelVote, Rect], ...]:
        """Return each vote with its bar, all on one scale."""
        limit = charts.largest([vote.position for vote in self.votes])
        return tuple((vote, charts.across_bar(vote.position, limit)) for vote in self.votes)


@dataclass(frozen=True, slots=True, kw_only=True)
class FunnelData:
    """Panel ``funnel``: the newest decision of each symbol."""

    fresh: Freshness
    decisions: tuple[DecisionData, ...] = ()
