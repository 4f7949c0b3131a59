"""What a broker is to us: a few verbs in our words. A vendor's names, numbers and quirks stay in its adapter.

Reads raise ``BrokerUnavailableError`` when the venue did not answer, or not with something that can be understood:
an unknown position is not a flat one. Writes never raise for what a venue does: they return a ``SendResult``, whose
outcome says what to do next, so that there is always something to put into the journal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from execution.errors import BrokerUnavailableError, OrderRejectedError, OutcomeUnknownError
from execution.planning.invariants import require_not_negative, require_positive
from execution.planning.orders import (
    AccountSnapshot,
    CashMovement,
    Fill,
    Position,
    Quote,
    Side,
    SymbolSpec,
    WorkingOrder,
)
from execution.safety.outcomes import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a venue can do, so that nobody needs to ask for its name."""

    has_client_order_id: bool  # an order can be looked up by an id of ours
    stops_with_entry: bool  # stop and target ride on the entry request
    closes_by_ticket: bool  # on hedging accounts each entry is closed by its own number
    resting_stops_on_netting: bool  # whether a stop may rest there; it can trigger between a read and a close
    can_short: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """The gate's leave to send, checked again by the very call that sends."""

    fence: int  # the fencing token: refused below the highest that the venue's end has seen
    not_after: float  # on the clock of ``Broker.stamp``, seconds
    reduce: bool = False  # leave to reduce only


def _require_sendable(volume: Decimal, slippage: Decimal) -> None:
    require_positive(volume=volume)
    require_not_negative(slippage=slippage)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTicket:
    """A market order that adds to a position, or opens one."""

    symbol: str
    side: Side
    volume: Decimal
    magic: int
    comment: str = ""  # for people only; brokers rewrite it
    stop: Decimal | None = None
    target: Decimal | None = None
    slippage: Decimal = Decimal("0.005")  # fraction of the price; where the venue's execution honours one
    reprices: int = 0  # how often this order has been repriced before

    def __post_init__(self) -> None:
        _require_sendable(self.volume, self.slippage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduction:
    """A close of a position, whole or in part. The venue's position must still be as it was seen."""

    position: Position  # as last read, of the venue
    volume: Decimal
    magic: int
    comment: str = ""
    slippage: Decimal = Decimal("0.01")
    reprices: int = 0

    def __post_init__(self) -> None:
        _require_sendable(self.volume, self.slippage)
        if self.volume > self.position.volume:
            most = f"at most the {self.position.volume} lots of position {self.position.ticket}"
            raise ValueError(f"a reduction closes {most}, was {self.volume}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """The stop and target that a position shall have. None takes one away."""

    symbol: str
    side: Side  # of the position
    ticket: int
    stop: Decimal | None
    target: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SendResult:
    """What came of a write."""

    outcome: Outcome
    retcode: int | None  # the venue's number, None without an answer
    retcode_name: str
    message: str
    sent_mono: float  # on the clock of ``Broker.stamp``: the request was sent no later than this
    deal_id: int = 0
    order_id: int = 0
    volume: Decimal = Decimal(0)  # executed, as far as the venue says
    price: Decimal | None = None
    raw: Mapping[str, Any] = field(default_factory=dict)  # request and reply as they were, fit for JSON


class Broker(Protocol):
    """One account at one venue."""

    capabilities: Capabilities

    def connect(self) -> None:
        """Connect and make sure that it is the right account; raises ConfigError when a person must act."""

    def disconnect(self) -> None:
        """Let go of the venue."""

    def account(self) -> AccountSnapshot:
        """Return the account as it is now."""

    def spec(self, symbol: str) -> SymbolSpec:
        """Return a symbol's contract and grid."""

    def quote(self, symbol: str) -> Quote:
        """Return the last bid and ask."""

    def positions(self) -> tuple[Position, ...]:
        """Return every open position of the account, other people's too."""

    def working_orders(self) -> tuple[WorkingOrder, ...]:
        """Return every resting order of the account."""

    def fills_since(self, at: datetime) -> tuple[Fill, ...]:
        """Return every fill from ``at`` on (aware UTC), in the order in which they happened."""

    def cash_since(self, at: datetime) -> tuple[CashMovement, ...]:
        """Return what moved the balance without a trade from ``at`` on (aware UTC), in that order."""

    def stamp(self) -> float:
        """Return the clock that a permit's ``not_after`` is written in, in seconds."""

    def submit(self, ticket: OrderTicket, permit: Permit) -> SendResult:
        """Send a market order."""

    def reduce(self, reduction: Reduction, permit: Permit) -> SendResult:
        """Close a position, or a part of it, if it still is what was seen."""

    def protect(self, protection: Protection, permit: Permit) -> SendResult:
        """Set a position's stop and target."""

    def cancel(self, order_id: int, permit: Permit) -> SendResult:
        """Take back a resting order."""

    def highest_fence(self) -> int:
        """Return the highest fencing token that the venue's end has seen: what reduces without a lease bears it."""

    def latch(self) -> None:
        """Have the venue's end refuse everything but reductions from now on."""


def require_done(result: SendResult) -> SendResult:
    """Return the result of a write that is done, whole or in part, or raise what the caller must do next."""
    message = f"{result.retcode_name}: {result.message}"
    if result.outcome is Outcome.AMBIGUOUS:
        raise OutcomeUnknownError(message, result.retcode)
    if result.outcome in (Outcome.REPRICE, Outcome.LATER):
        raise BrokerUnavailableError(message, result.retcode)
    if result.outcome in (Outcome.REJECT, Outcome.HALT):
        raise OrderRejectedError(message, result.retcode)
    return result
