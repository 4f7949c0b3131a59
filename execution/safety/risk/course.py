"""The course of an account under a programme: its loss days, and the first look at which a floor was broken."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from execution.planning.invariants import require_positive, require_utc
from execution.safety.risk.balances import ZERO, Booking, booked, cash_only
from execution.safety.risk.days import ONE_DAY, day_begin, loss_day
from execution.safety.risk.programme import Programme, Standing, daily_floor, max_loss_floor


@dataclass(frozen=True, slots=True, kw_only=True)
class LossDay:
    """One day from midnight to midnight, the first one from the programme's begin on."""

    day_on: date
    start: Decimal  # the balance at the midnight; on the first day the initial one
    highest_close: Decimal  # of the midnights up to this day's begin, at least the initial balance
    bookings: tuple[Booking, ...]  # of the day

    @property
    def result(self) -> Decimal:
        """What closed trades, commissions and swaps made of the day; cash is neither profit nor loss."""
        return sum((b.amount for b in self.bookings if not b.is_cash), ZERO)

    @property
    def close(self) -> Decimal:
        """The balance at the day's end."""
        return self.start + sum((b.amount for b in self.bookings), ZERO)

    @property
    def is_trading_day(self) -> bool:
        """Whether a position was opened; one that was carried over does not count."""
        return any(b.opens for b in self.bookings)

    def standing(self, initial: Decimal, at: datetime) -> Standing:
        """Return what floors are measured from at a moment of the day, deals of that very moment included."""
        until_now = tuple(b for b in self.bookings if b.at <= at)
        begin = day_begin(self.day_on)
        return Standing(
            initial=initial,
            day_start=self.start + booked(cash_only(until_now), since=begin),
            highest_close=self.highest_close,
            balance=self.start + booked(until_now, since=begin),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """The first look at an equity below a floor: the programme is lost."""

    at: datetime
    equity: Decimal
    floor: Decimal
    rule: str  # daily_loss or max_loss


def loss_days(
    initial: Decimal, begin_at: datetime, bookings: Iterable[Booking], until: datetime
) -> tuple[LossDay, ...]:
    """Return every loss day from the begin to the one of ``until``, those without deals too.

    Bookings before ``begin_at`` and after ``until`` are left out: the programme begins with ``initial``.
    """
    require_positive(initial=initial)
    require_utc(begin_at=begin_at, until=until)
    if until < begin_at:
        raise ValueError(f"a course must end at or after its begin {begin_at}, was {until}")
    by_day: dict[date, list[Booking]] = {}
    for booking in bookings:
        if begin_at <= booking.at <= until:
            by_day.setdefault(loss_day(booking.at), []).append(booking)
    days: list[LossDay] = []
    day_on, start, highest = loss_day(begin_at), initial, initial
    while day_on <= loss_day(until):
        highest = max(highest, start)
        days.append(LossDay(day_on=day_on, start=start, highest_close=highest, bookings=tuple(by_day.get(day_on, ()))))
        day_on, start = day_on + ONE_DAY, days[-1].close
    return tuple(days)


def first_breach(
    programme: Programme, initial: Decimal, days: Iterable[LossDay], path: Iterable[tuple[datetime, Decimal]]
) -> Breach | None:
    """Return the first point of an equity path below a floor, None when there is none. A touch is no breach.

    Points outside the days are left out. Between two points nobody looked.
    """
    by_day = {day.day_on: day for day in days}
    # Only cash moves a floor within its day.
    steady = {
        day.day_on: _floors(programme, initial, day, day_begin(day.day_on))
        for day in by_day.values()
        if not cash_only(day.bookings)
    }
    for at, equity in path:
        day = by_day.get(loss_day(at))
        if day is None:
            continue
        floors = steady.get(day.day_on) or _floors(programme, initial, day, at)
        rule = max(floors, key=lambda name: floors[name])
        if equity < floors[rule]:
            return Breach(at=at, equity=equity, floor=floors[rule], rule=rule)
    return None


def _floors(programme: Programme, initial: Decimal, day: LossDay, at: datetime) -> dict[str, Decimal]:
    standing = day.standing(initial, at)
    return {"daily_loss": daily_floor(programme, standing), "max_loss": max_loss_floor(programme, standing)}
