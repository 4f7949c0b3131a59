"""What the judge judges: the venue's own books and log, and from our journal what was intended.

Everything is plain data, so that a unit test can write a case by hand. Moments are UTC milliseconds on one time line:
the market's, which in a run on the virtual clock is everybody's, or the real one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property

BUY, SELL = 0, 1
ENTRY_IN, ENTRY_OUT, ENTRY_IN_OUT = 0, 1, 2
DEAL, PROTECT, REMOVE = 1, 6, 8  # actions of a trade request
BY_PROGRAM = 3  # a deal's reason; what the server closes bears its position's magic, and another reason
OUR_PREFIX, PREFIX_AT_BIT = 0xB7D, 41  # of magic numbers: read here anew, not asked of the executor
BOT, FAMILY_AT_BIT, FAMILIES = 2, 36, 32
ZERO = Decimal(0)


def is_ours(magic: int) -> bool:
    """Tell whether a magic number bears our prefix."""
    return magic >> PREFIX_AT_BIT == OUR_PREFIX


def is_the_bots(magic: int) -> bool:
    """Tell whether a magic number is one of the 15-minute bot's."""
    return is_ours(magic) and (magic >> FAMILY_AT_BIT) % FAMILIES == BOT


def iso(at_ms: int) -> str:
    """Return a moment as ISO 8601, UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A promise that was not kept."""

    invariant: int
    at: str  # market time, ISO
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A position in the venue's books."""

    ticket: int
    symbol: str
    side: int  # BUY or SELL
    volume: Decimal
    magic: int
    has_stop: bool = False

    @property
    def lots(self) -> Decimal:
        """Signed lots."""
        return self.volume if self.side == BUY else -self.volume


@dataclass(frozen=True, slots=True, kw_only=True)
class Deal:
    """An execution in the venue's books."""

    ticket: int
    at_ms: int
    symbol: str
    side: int
    entry: int
    volume: Decimal
    magic: int
    position_id: int
    order_ticket: int = 0
    by_program: bool = True
    money: Decimal = ZERO  # what it did to the balance

    @property
    def lots(self) -> Decimal:
        """What it adds to the position, in signed lots."""
        return self.volume if self.side == BUY else -self.volume


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What the venue held when a request came."""

    equity: Decimal = ZERO
    holdings: tuple[Holding, ...] = ()
    lot_values: Mapping[str, Decimal] = field(default_factory=dict)  # account currency, at the mid price
    mid: Decimal = ZERO  # of the request's symbol; 0 where it has none
    grid: tuple[Decimal, Decimal, Decimal] | None = None  # least volume, step and largest of the request's symbol

    def lots(self, symbol: str, side: int) -> Decimal:
        """Return the lots on one side."""
        return sum((h.volume for h in self.holdings if (h.symbol, h.side) == (symbol, side)), ZERO)

    def net(self, symbol: str) -> Decimal:
        """Return the signed lots of a symbol."""
        return sum((h.lots for h in self.holdings if h.symbol == symbol), ZERO)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A trade request as it reached the venue."""

    number: int
    at_ms: int
    action: int
    symbol: str
    side: int
    volume: str  # as it came, absurd or not
    price: str = "0"
    stop: str = ""  # and target, as they came; empty where the request has none
    target: str = ""
    magic: int = 0
    position: int = 0
    order_ticket: int = 0
    retcode: int = 10009  # answered: 0 nothing, -1 None
    error: int = 1  # last_error() of that call
    answered: Decimal = ZERO  # lots
    deal: int = 0
    last_deal: int = 0  # the newest when it came
    market_ms: int = 0  # when it came, on the market's clock
    books: Books = field(default_factory=Books)

    @property
    def key(self) -> tuple[str, int]:
        """By what it is found in the journal: the order that it takes back, the position it protects, or its magic."""
        if self.action == REMOVE:
            return "order", self.order_ticket
        return ("position", self.position) if self.action == PROTECT else ("magic", self.magic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A wish to change a position, as the journal has it."""

    magic: int
    symbol: str
    cause: str
    cause_id: str  # of the bot's: the setup's number and the step, like 7:enter
    target: Decimal
    start: Decimal  # the position that it began from
    login: int = 0
    server: str = ""
    bar_ms: int | None = None  # open time of the bar that it acts on
    capital: Decimal | None = None  # of its symbol
    market_ms: int = 0  # when it was opened, on the market's clock

    @property
    def asked(self) -> Decimal:
        """The most that it may trade."""
        return abs(self.target - self.start)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request as the journal has it, written before it was sent."""

    number: int
    magic: int
    symbol: str
    at_ms: int
    volume: Decimal
    side: int
    reduces: bool
    fence: int = 0
    order_ticket: int = 0  # that a cancellation takes back
    protects: int = 0  # the ticket whose stop it sets
    replied_ms: int | None = None
    resolved_ms: int | None = None

    @property
    def key(self) -> tuple[str, int]:
        """What a request of it shows: see ``Request.key``."""
        if self.order_ticket:
            return "order", self.order_ticket
        return ("position", self.protects) if self.protects else ("magic", self.magic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of the trading state of a scope."""

    at_ms: int
    scope: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """One pull of the kill switch."""

    number: int
    latched_ms: int
    flat_ms: int | None = None
    rearmed_ms: int | None = None

    def covers(self, at_ms: int) -> bool:
        """Return whether the latch was on at a moment."""
        return self.latched_ms < at_ms and (self.rearmed_ms is None or at_ms < self.rearmed_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a slot decided for a symbol."""

    symbol: str
    slot: str
    market_ms: int
    target: Decimal | None
    verdict: str
    blocker: str
    magic: int | None = None  # of its intent


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """The limits that a person set."""

    max_position: Decimal = Decimal(1)  # of the symbol's capital
    max_gross: Decimal = Decimal(1)  # of equity
    max_net: Decimal = Decimal(1)
    max_order: Decimal = Decimal(50_000)  # account currency
    per_minute: int = 60
    per_day: int = 200
    requests_per_day: int = 1500


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """Something that was asked for again: how many requests the venue had before and after."""

    at_ms: int
    what: str
    before: int
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Naked:
    """A position of the bot's that had no stop at two looks of a sentinel that could have set it."""

    ticket: int
    since_ms: int
    until_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BotTrade:
    """A trade of the bot's, as the journal has it."""

    magic: int  # of its entry
    setup: int
    symbol: str
    status: str  # planned, open, closed or missed
    deadline_ms: int  # from which it is closed at the market
    result: Decimal | None = None  # of a closed one, account currency
    booked: Decimal | None = None  # what the filter learns from: the stored outcome's money


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """An approved setup that was not traded."""

    setup: int
    symbol: str
    bar_ms: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Facts:
    """One run of a desk, from the venue's side and from ours."""

    hedging: bool = True
    login: int = 0
    server: str = ""
    deals: tuple[Deal, ...] = ()
    holdings: tuple[Holding, ...] = ()  # at the end
    resting: tuple[str, ...] = ()  # symbols of working orders of ours at the end
    requests: tuple[Request, ...] = ()
    intents: Mapping[int, Intent] = field(default_factory=dict)  # by magic
    attempts: tuple[Attempt, ...] = ()
    changes: tuple[Change, ...] = ()
    kills: tuple[Kill, ...] = ()
    decisions: tuple[Decision, ...] = ()
    alerts: frozenset[str] = frozenset()  # keys of those that are open at the end
    repeats: tuple[Repeat, ...] = ()
    trades: tuple[BotTrade, ...] = ()
    missed: tuple[Missed, ...] = ()
    naked: tuple[Naked, ...] = ()
    looked_ms: int = 0  # when the newest run of the bot that went through began, on the market's clock
    caps: Caps = field(default_factory=Caps)
    end_ms: int = 0
    n_faults: int = 0
    is_disturbed: bool = False  # processes died or stood still
    is_settled: bool = True  # faults stopped and time went on: the end is to be judged, too

    @property
    def was_always_armed(self) -> bool:
        """Whether nobody and nothing ever held trading up."""
        return not self.kills and all(change.state == "armed" for change in self.changes)

    @cached_property
    def attempts_by_key(self) -> Mapping[tuple[str, int], list[Attempt]]:
        """Attempts by what a request shows of them: the order that it takes back, what it protects, or its magic."""
        found: dict[tuple[str, int], list[Attempt]] = defaultdict(list)
        for attempt in self.attempts:
            found[attempt.key].append(attempt)
        return found
