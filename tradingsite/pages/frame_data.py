"""What the frame around every page shows. Values only: who fills them asks the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Self

from tradingsite.pages import PAGES, TAB_ORDER, Page, existing_pages

STALE_AFTER_S = 60.0
KILL_PAGE = "kill_page"


class Mode(StrEnum):
    """Where orders go."""

    DEMO = "demo"
    PAPER = "paper"
    LIVE = "live"

    @property
    def label(self) -> str:
        return "Demo data" if self is Mode.DEMO else self.value.capitalize()


class StateWord(StrEnum):
    """The trading state in one word; its value is also its icon, its style and its favicon."""

    ARMED = "armed"
    PAUSED = "paused"
    BLOCKED = "blocked"
    KILLING = "killing"
    KILLED = "killed"
    UNKNOWN = "unknown"

    @property
    def label(self) -> str:
        return "Killing…" if self is StateWord.KILLING else self.value.capitalize()

    @property
    def is_stopped(self) -> bool:
        return self in (StateWord.KILLING, StateWord.KILLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """How old the data behind a panel is, in real seconds (never the accelerated market's)."""

    at: datetime | None = None  # when it was read; None: never
    age_s: float | None = None  # at the moment of rendering
    stale_after_s: float = STALE_AFTER_S
    consequence: str = ""  # a sentence: what stops working while it is stale

    @classmethod
    def of(
        cls, at: datetime | None, *, now: datetime, stale_after_s: float = STALE_AFTER_S, consequence: str = ""
    ) -> Self:
        """Return the freshness of what was read at ``at``, both in real time."""
        age_s = None if at is None else max((now - at).total_seconds(), 0.0)
        return cls(at=at, age_s=age_s, stale_after_s=stale_after_s, consequence=consequence)

    @property
    def is_stale(self) -> bool:
        """Return whether it is too old to act on; what was never read is."""
        return self.age_s is None or self.age_s > self.stale_after_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A moment to come, in the market's time, and how far off it was at rendering."""

    at: datetime | None = None
    in_s: float | None = None

    @classmethod
    def of(cls, at: datetime | None, *, now: datetime | None) -> Self:
        """Return ``at`` as seen from the market's ``now``."""
        return cls(at=at, in_s=None if at is None or now is None else (at - now).total_seconds())


NOT_DUE = Due()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockData:
    """The market's time, and how to go on from it in the browser."""

    market_at: datetime | None
    wall_at: datetime
    speed: float = 1.0  # market seconds per real second; 0 while it stands
    note: str = ""  # "replay ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class StateData:
    """The trading state and how it came about (panels ``state`` and ``notice``)."""

    word: StateWord
    mode: Mode
    fresh: Freshness  # the engine's last read of the account
    since: datetime | None = None
    by: str = ""  # "maria", "system"
    reason: str = ""  # "daily loss −4 512.20 beyond the hard line −4 500.00"
    blocked_symbols: tuple[str, ...] = ()  # entries blocked for these alone; the account's state stands
    today: Decimal | None = None  # result since the day's reset
    today_fraction: float | None = None  # of the balance at the day's reset
    n_positions: int | None = None
    n_orders: int | None = None
    flat_at: datetime | None = None  # the broker read that proved it flat
    can_operate: bool = False
    can_arm: bool = False

    @property
    def favicon(self) -> str:
        """Return the state whose favicon the tab shows."""
        if self.word.is_stopped:
            return "killed"
        return {StateWord.ARMED: "armed", StateWord.UNKNOWN: "unknown"}.get(self.word, "paused")


@dataclass(frozen=True, slots=True, kw_only=True)
class KillFacts:
    """What a kill would do now (panel ``kill-facts``: the dialog and the page without JavaScript)."""

    account: str
    mode: Mode
    currency: str = "USD"
    n_orders: int | None = None
    n_positions: int | None = None
    n_foreign: int = 0  # orders and positions that are not ours: left untouched
    n_others: int = 0  # accounts beside this one, which the numbers count in
    estimate: Decimal | None = None  # result if all is closed at the prices now, of accounts in this currency
    others: tuple[tuple[str, Decimal], ...] = ()  # the same of accounts in other currencies


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameData:
    """The frame: top bar, rail, phone's bar, dialogs. ``signed_in`` False leaves the environment pill alone."""

    mode: Mode
    clock: ClockData
    signed_in: bool = False
    account: str = ""  # "Demo …4417"
    phase: str = ""  # "Challenge"
    state: StateData | None = None
    kill: KillFacts | None = None
    next_rebalance: Due = NOT_DUE
    user_name: str = ""
    can_operate: bool = False  # pause, resume
    can_kill: bool = False
    can_arm: bool = False
    can_admin: bool = False
    page: str = ""  # URL name of the page being shown
    n_attention: int = 0  # open alerts nobody has acknowledged

    @property
    def has_kill_dialog(self) -> bool:
        """Return whether Kill asks in a dialog; on its own page, and for who may not kill, it leads to that page."""
        return self.can_kill and self.kill is not None and self.page != KILL_PAGE

    @property
    def pages(self) -> tuple[Page, ...]:
        return existing_pages()

    @property
    def tabs(self) -> tuple[Page, ...]:
        """Return the entries of the phone's bar, in its own order."""
        by_name = {page.name: page for page in PAGES}
        return tuple(by_name[name] for name in TAB_ORDER if by_name[name].exists or by_name[name].stand_in)

    @property
    def more(self) -> tuple[Page, ...]:
        """Return the existing pages that the phone's bar has no room for."""
        return tuple(page for page in existing_pages() if not page.tab)


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelProblem:
    """Stands in for a panel that could not be shown (``panels/_problem.html``); the rest of the page works."""

    id: str
    title: str
    kind: str  # "denied", "error" or "partial"
    words: str  # "Needs the Operator role.", "Could not load positions."
    error_id: str = ""
    fresh: Freshness | None = None
