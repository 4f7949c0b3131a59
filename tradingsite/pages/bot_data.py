"""What the setup bot's page shows of the bot itself: how it stands, what it has open, what it saw."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from tradingsite.pages.charts import Rect
from tradingsite.pages.frame_data import NOT_DUE, Due, Freshness
from tradingsite.pages.overview_data import Level

FULL = 100.0  # width of the small bars


@dataclass(frozen=True, slots=True, kw_only=True)
class BotWord:
    """Whether the bot trades, in a word and a sentence; ``state`` is the badge's style and its icon."""

    state: str  # "armed", "paused", "blocked", "killing", "killed", "unknown" or "waiting"
    label: str  # "On", "Paused", "Idle"
    why: str

    @property
    def level(self) -> Level:
        """Return how much a person has to care."""
        bad = {"killed": Level.CRIT, "killing": Level.CRIT, "blocked": Level.WARN, "unknown": Level.WARN}
        return Level.OK if self.state == "armed" else bad.get(self.state, Level.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class BarRun:
    """The newest run of the bot."""

    slot: str  # "15m bar of 2025-08-22 14:00"
    status: str  # "done", "partly done"
    level: Level
    words: str  # "SOLUSD traded, ADAUSD quiet", or what went wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """The bot's day on one account, in that account's currency."""

    name: str
    currency: str
    n_open: int
    max_open: int
    today: Decimal | None  # result since the last reset, what floats included
    limit: Decimal | None  # the loss at which entries stop
    left: Decimal | None

    @property
    def left_share(self) -> float | None:
        """Return what is left of the day's loss limit, 0 to 1."""
        return None if self.left is None or not self.limit else max(float(self.left / self.limit), 0.0)

    @property
    def is_spent(self) -> bool:
        """Whether today has lost what it may, so that nothing is entered until the next reset."""
        return self.left is not None and self.left <= 0

    @property
    def bar(self) -> float:
        return round((self.left_share or 0.0) * FULL, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedRow:
    """One symbol that the bot watches at one venue."""

    symbol: str
    venue: str
    interval: str
    words: str  # "looked at every bar", "no filter is active"
    level: Level = Level.OK
    until: Due = NOT_DUE  # the end of a cooldown


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingData:
    """Panel ``bot-standing``."""

    fresh: Freshness
    word: BotWord
    is_paused: bool = False  # the bot alone, by a person
    run: BarRun | None = None
    next_bar: Due = NOT_DUE
    accounts: tuple[AccountRow, ...] = ()
    watched: tuple[WatchedRow, ...] = ()
    can_operate: bool = False
    edit_url: str = ""  # the admin's page of the bot's symbols, empty without the permission


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeRow:
    """One live trade. Prices are the venue's, money is the account's currency."""

    key: str
    symbol: str
    url: str  # of its setup
    account: str
    venue: str
    currency: str
    side: str  # "long" or "short"
    lots: Decimal
    entry: Decimal
    stop: Decimal
    target: Decimal
    now: Decimal | None
    digits: int
    result: Decimal | None
    risk: Decimal  # one R
    bars_left: int | None
    confidence: float | None
    threshold: float
    note: str = ""  # "sent, not confirmed yet"

    @property
    def r(self) -> float | None:
        """Return what it floats at in units of what the stop was to lose."""
        return None if self.result is None else float(self.result / self.risk)

    def place(self, price: Decimal | None) -> float | None:
        """Return where a price lies on the way from the stop (0) to the target (100), inside both."""
        if price is None:
            return None
        share = float((price - self.stop) / (self.target - self.stop))
        return round(min(max(share, 0.0), 1.0) * FULL, 1)

    @property
    def entry_at(self) -> float | None:
        return self.place(self.entry)

    @property
    def now_at(self) -> float | None:
        return self.place(self.now)

    @property
    def bar(self) -> Rect:
        """Return the way from the entry to the price of now, in a box 100 wide."""
        start, end = self.entry_at, self.now_at
        if start is None or end is None:
            return Rect(0, 0, 0, 10, "none")
        kind = "up" if end >= start else "down"
        return Rect(min(start, end), 0, round(abs(end - start), 1), 10, kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class TradesData:
    """Panel ``bot-trades``, newest first."""

    fresh: Freshness
    rows: tuple[TradeRow, ...] = ()

    @property
    def sums(self) -> tuple[tuple[str, Decimal], ...]:
        """Return what the trades float at together, by currency; what is unknown is left out."""
        totals: dict[str, Decimal] = {}
        for row in self.rows:
            if row.result is not None:
                totals[row.currency] = totals.get(row.currency, Decimal(0)) + row.result
        return tuple(totals.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What became of a setup."""

    reason: str  # "target", "stop", "timeout", "manual", "kill"
    r: float
    is_real: bool  # False: computed from the bars, because it was not traded


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupRow:
    """One setup that was seen."""

    key: str
    url: str
    bar_at: datetime
    symbol: str
    venue: str
    interval: str
    direction: str
    confidence: float | None
    threshold: float
    decision: str  # "approved", "rejected"
    why: str  # the filter's reason in words
    action: str = ""  # "traded", "missed", "open"; empty: nothing was to be done
    action_why: str = ""
    ending: Ending | None = None

    @property
    def state(self) -> str:
        """Return the style of its badge."""
        if self.decision == "rejected":
            return "held"
        return {"missed": "skipped", "sent": "pending", "waiting": "pending"}.get(self.action, "traded")


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupsData:
    """Panel ``bot-setups``, newest first."""

    fresh: Freshness
    rows: tuple[SetupRow, ...] = ()
    n_all: int = 0
    all_url: str = ""  # the admin's list, empty without the permission
