"""The balance that each loss day began with: worked out from the deals, also when nobody watched at midnight."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db.models import F, Q, Sum

from execution.account_periods import booked_of, quiet_look
from execution.models import Account, DayStart, EquityPoint, FillRecord
from execution.planning.orders import CashKind, FillEntry
from execution.safety.risk.balances import Booking, KnownBalance, booked, cash_only, midnight_balance
from execution.safety.risk.days import ONE_DAY, day_begin, loss_day

OPENING = (FillEntry.IN, FillEntry.IN_OUT)
CASH = Q(entry=CashKind.CASH)
N_LOOKS = 60  # looks that are tried as the earlier balance; one whose minute has a deal may hold half of it


def bookings_of(account: Account, *, since: datetime) -> tuple[Booking, ...]:
    """Return what every stored deal from a moment on did to the balance, oldest first."""
    fills = FillRecord.objects.filter(account=account, at__gte=since).order_by("at", "deal_id")
    return tuple(
        Booking(
            at=fill.at,
            amount=booked_of(fill),
            is_cash=fill.entry == CashKind.CASH,
            opens=fill.entry in OPENING,
        )
        for fill in fills
    )


def cash_after(account: Account, at: datetime) -> Decimal:
    """Return what was paid in less what was paid out after a moment."""
    moved = FillRecord.objects.filter(CASH, account=account, at__gt=at)
    total = moved.aggregate(total=Sum(F("profit") + F("commission") + F("swap") + F("fee")))["total"]
    return Decimal(total or 0)


def has_day_start(account: Account, market_at: datetime) -> bool:
    """Return whether the start of the loss day is known already."""
    return DayStart.objects.filter(account=account, day_on=loss_day(market_at)).exists()


def note_day_start(account: Account, balance: Decimal, market_at: datetime) -> DayStart:
    """Keep what the loss day began with, and every day before it that nobody watched.

    Later balances of the day change nothing once the deals have proved the start. What is paid in or out moves it,
    since it is no loss.
    """
    for day in _days_without_start(account, market_at):
        row = worked_out(account, balance, day, market_at)
        DayStart.objects.get_or_create(account=account, day_on=day, defaults=_figures(row))
    kept = DayStart.objects.get(account=account, day_on=loss_day(market_at))
    return _moved_by_cash(kept) if kept.is_exact else _proved(kept, balance, market_at)


def _proved(kept: DayStart, balance: Decimal, market_at: datetime) -> DayStart:
    """Replace a careful start by the true one, as soon as the deals prove it; until then it moves with cash."""
    row = worked_out(kept.account, balance, kept.day_on, market_at)
    if not row.is_exact:
        return _moved_by_cash(kept)
    DayStart.objects.filter(pk=kept.pk).update(cash=0, **_figures(row))
    kept.refresh_from_db()
    return kept


def _figures(row: DayStart) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("balance", "at_midnight", "noted_at", "is_exact")}


def day_start(account: Account, balance: Decimal, market_at: datetime) -> DayStart:
    """Return what the loss day began with; worked out, and not kept, where nothing is kept yet."""
    day = loss_day(market_at)
    row = DayStart.objects.filter(account=account, day_on=day).first()
    return row or worked_out(account, balance, day, market_at)


def worked_out(account: Account, balance: Decimal, day: date, market_at: datetime) -> DayStart:
    """Return a day's start from the present balance, the deals since, and an earlier look that proves them."""
    begin, end = day_begin(day), day_begin(day + ONE_DAY)
    seen = _look_before(account, begin)
    bookings = bookings_of(account, since=seen.at if seen else begin)
    midnight = midnight_balance(begin, balance=balance, bookings=bookings, seen=seen)
    cash = booked(cash_only(bookings), since=begin, until=end)
    return DayStart(
        account=account,
        day_on=day,
        balance=midnight.balance + cash,
        at_midnight=midnight.balance,
        noted_at=market_at,
        is_exact=midnight.is_exact,
    )


def _days_without_start(account: Account, market_at: datetime) -> Iterator[date]:
    """Yield the days after the newest known one, up to today's; today alone on a new account."""
    today = loss_day(market_at)
    newest = DayStart.objects.filter(account=account).order_by("-day_on").values_list("day_on", flat=True).first()
    day = newest + ONE_DAY if newest else today
    while day <= today:
        yield day
        day += ONE_DAY


def _moved_by_cash(row: DayStart) -> DayStart:
    """Bring a day's start in line with what was paid in or out since it was noted."""
    cash = cash_after(row.account, row.noted_at) if row.noted_at else row.cash
    if cash != row.cash:
        row.balance, row.cash = row.balance + cash - row.cash, cash
        row.save(update_fields=["balance", "cash"])
    return row


def _look_before(account: Account, begin: datetime) -> KnownBalance | None:
    """Return the newest look before a midnight in whose minute nothing was booked."""
    points = EquityPoint.objects.filter(account=account, at__lt=begin).order_by("-at")[:N_LOOKS]
    look = quiet_look(account, points)
    return KnownBalance(at=look.at, balance=look.balance) if look else None
