"""What the balance was at a midnight that nobody watched, worked out from the deals around it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from execution.planning.invariants import require_finite, require_utc

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """What one deal did to the balance."""

    at: datetime
    amount: Decimal  # profit, commission, swap and fee together
    is_cash: bool = False  # paid in or out: neither profit nor loss
    opens: bool = False  # opened a position

    def __post_init__(self) -> None:
        require_utc(at=self.at)
        require_finite(amount=self.amount)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownBalance:
    """A balance that was seen: deals before ``at`` are in it, those from ``at`` on are not."""

    at: datetime
    balance: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Midnight:
    """The balance at the begin of a loss day."""

    balance: Decimal
    is_exact: bool  # the deals lead to it from both sides


def booked(bookings: Iterable[Booking], *, since: datetime, until: datetime | None = None) -> Decimal:
    """Return what deals from ``since`` on, and before ``until``, added to the balance."""
    return sum((b.amount for b in bookings if since <= b.at and (until is None or b.at < until)), ZERO)


def cash_only(bookings: Iterable[Booking]) -> tuple[Booking, ...]:
    """Return what was paid in and out."""
    return tuple(booking for booking in bookings if booking.is_cash)


def midnight_balance(
    begin: datetime, *, balance: Decimal, bookings: tuple[Booking, ...], seen: KnownBalance | None
) -> Midnight:
    """Return the balance at a midnight from the present one and the deals since, proved by an earlier one.

    When the two ways differ, some deals are not known, or when there is no earlier balance, then the highest
    candidate counts: it leaves the least to lose. An earlier balance alone never does, whatever its age: the deals
    up to the midnight are always on top of it.

    Parameters
    ----------
    begin : datetime
        The midnight.
    balance : Decimal
        The present balance.
    bookings : tuple of Booking
        The deals since the earlier one of ``begin`` and ``seen``, until now.
    seen : KnownBalance or None
        A balance from before ``begin``.
    """
    backward = balance - booked(bookings, since=begin)
    without_cash = balance - booked(cash_only(bookings), since=begin)
    if seen is None:
        return Midnight(balance=max(backward, without_cash), is_exact=False)
    forward = seen.balance + booked(bookings, since=seen.at, until=begin)
    if forward == backward:
        return Midnight(balance=backward, is_exact=True)
    return Midnight(balance=max(backward, forward, without_cash), is_exact=False)
