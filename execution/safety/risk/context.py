"""What the rules judge, and what they judge it by. Nothing here asks the time, a broker or the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from execution.brokers.magic import Family
from execution.planning.invariants import require_finite, require_not_negative
from execution.planning.orders import AccountSnapshot, Quote, Side, SymbolSpec
from execution.safety.risk.hours import QuietHours
from execution.safety.risk.limits import Limits

if TYPE_CHECKING:
    from execution.safety.risk.setups import SetupStanding


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """A market order that asks to be sent. Its numbers are unchecked: checking them is the rules' work."""

    symbol: str
    side: Side
    volume: Decimal  # lots
    plan_price: Decimal  # the price that the plan was made with
    reduces: bool  # claims to reduce a position; a rule checks the claim
    ticket: int | None = None  # the position that it reduces, on hedging accounts
    emergency: bool = False  # closes of a kill, a naked position or the hard line
    worst_loss: Decimal = Decimal(0)  # account currency lost at the stop; 0 without a stop
    family: str = Family.REBALANCE
    stop: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What is held, and what may yet be held once every unresolved attempt is filled.

    Lots are those of the request's symbol, ours and other people's together. ``pending`` are attempts without a final
    answer and working orders, but for closes that carry a ticket: those cannot open anything.
    """

    long_lots: Decimal = Decimal(0)
    short_lots: Decimal = Decimal(0)
    pending_buy_lots: Decimal = Decimal(0)
    pending_sell_lots: Decimal = Decimal(0)
    ticket_lots: Decimal | None = None  # what the position with the request's ticket holds
    ticket_side: Side | None = None
    other_gross: Decimal = Decimal(0)  # account currency, all other symbols, attempts included
    other_net: Decimal = Decimal(0)  # the same, signed
    n_positions: int = 0  # of the whole account, attempts that may open one included

    def __post_init__(self) -> None:
        require_not_negative(
            long_lots=self.long_lots,
            short_lots=self.short_lots,
            pending_buy_lots=self.pending_buy_lots,
            pending_sell_lots=self.pending_sell_lots,
            other_gross=self.other_gross,
        )
        require_finite(other_net=self.other_net)

    def held(self, side: Side) -> Decimal:
        """Return the lots held on a side."""
        return self.long_lots if side is Side.BUY else self.short_lots

    def pending(self, side: Side) -> Decimal:
        """Return the lots that unresolved attempts may add to a side."""
        return self.pending_buy_lots if side is Side.BUY else self.pending_sell_lots

    def possible(self, side: Side) -> Decimal:
        """Return the most lots that a side may hold once every attempt is resolved in the worst way."""
        return self.held(side) + self.pending(side)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCounts:
    """What was sent before this request."""

    orders_last_minute: int
    orders_today: int
    requests_today: int  # orders, changes and cancellations

    def __post_init__(self) -> None:
        if min(self.orders_last_minute, self.orders_today, self.requests_today) < 0:
            raise ValueError(f"counts must be at least 0, were {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAges:
    """Seconds since each read, None where there was none."""

    tick_s: float | None  # the larger of: since the read, since the tick's own time
    account_s: float | None
    spec_s: float | None


class LossKind(StrEnum):
    """Which loss a budget bounds."""

    DAILY = "daily"
    TOTAL = "total"
    DRAWDOWN = "drawdown"
    AFTER_RESET = "after_reset"  # what the next midnight leaves; it binds shortly before


@dataclass(frozen=True, slots=True, kw_only=True)
class LossBudget:
    """How far equity may fall: from ``start`` down to ``floor``."""

    kind: LossKind
    start: Decimal
    floor: Decimal
    soft_line: Decimal  # share of the budget that stops entries
    hard_line: Decimal | None = None  # share that flattens; None: this budget stops entries alone
    source: str = "limits"  # whose it is: our limits', or a programme's name

    def __post_init__(self) -> None:
        require_finite(start=self.start, floor=self.floor)
        for name, line in (("soft", self.soft_line), ("hard", self.hard_line)):
            if line is not None and not (line.is_finite() and 0 <= line <= 1):
                raise ValueError(f"a {name} line must lie between 0 and 1, was {line}")

    @property
    def entry_floor(self) -> Decimal:
        """The equity that entries need more than."""
        return self.start - self.soft_line * (self.start - self.floor)

    @property
    def kill_floor(self) -> Decimal | None:
        """The equity at which everything is closed, None where this budget does not."""
        return None if self.hard_line is None else self.start - self.hard_line * (self.start - self.floor)

    def stops_entries(self, equity: Decimal) -> bool:
        """Return whether equity is at or past the soft line."""
        return equity <= self.entry_floor

    def flattens(self, equity: Decimal) -> bool:
        """Return whether equity is at or past the hard line."""
        return self.kill_floor is not None and equity <= self.kill_floor


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskContext:
    """Everything that the rules may look at, from reads of one moment."""

    limits: Limits
    account: AccountSnapshot | None
    expected_login: int
    expected_server: str
    spec: SymbolSpec | None
    quote: Quote | None
    rate: Decimal  # account currency per unit of the symbol's profit currency
    capital_per_asset: Decimal  # account currency
    exposure: Exposure | None  # None: positions or orders could not be read. That is not flat
    counts: RequestCounts
    ages: ReadAges
    is_bar_closed: bool
    is_bar_fresh: bool  # the newest closed bar at this moment
    budgets: tuple[LossBudget, ...]
    market_at: datetime | None = None
    quiet_hours: tuple[QuietHours, ...] = ()  # in which nothing is opened
    standing: SetupStanding | None = None  # the bot's, for its own entries
