"""The funded programme that an account is held to: what it bounds, and how it stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import Max
from django.db.models.functions import Coalesce

from execution.day_starts import bookings_of, cash_after, day_start
from execution.errors import ExecutionError
from execution.models import Account, DayStart, Enrolment, EquityPoint, FundedProgramme
from execution.safety.risk.balances import Booking
from execution.safety.risk.context import LossBudget
from execution.safety.risk.course import Breach, LossDay, first_breach, loss_days
from execution.safety.risk.days import loss_day
from execution.safety.risk.objectives import Judged, Objective, objectives
from execution.safety.risk.programme import Standing, programme_budgets
from ops.errors import ExitCode

MINUTE = timedelta(minutes=1)
JUST_BEFORE = timedelta(microseconds=1)


class ProgrammeError(ExecutionError):
    """There is no such programme, or the account is held to none."""

    def __init__(self, message: str, exit_code: ExitCode) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgrammeStanding:
    """How an account stands in a programme at a moment."""

    enrolment: Enrolment
    standing: Standing
    days: tuple[LossDay, ...]
    objectives: tuple[Objective, ...]
    breach: Breach | None
    unexplained: Decimal  # of the balance, by the deals since the begin

    @property
    def is_sound(self) -> bool:
        """Whether no line was reached and nothing broken."""
        return self.breach is None and all(objective.is_sound for objective in self.objectives)


def enrolment_in_force(account: Account) -> Enrolment | None:
    """Return the enrolment that the account is held to, None where it is free."""
    return Enrolment.objects.filter(account=account, ended_at=None).select_related("programme", "account").first()


def enrolment_budgets(account: Account, balance: Decimal, market_at: datetime) -> Iterator[LossBudget]:
    """Yield the budgets of the programme that the account is held to; none where it is free."""
    enrolment = enrolment_in_force(account)
    if enrolment is not None:
        standing = standing_of(enrolment, balance, market_at)
        yield from programme_budgets(enrolment.programme.rules(), standing, market_at)


def standing_of(enrolment: Enrolment, balance: Decimal, market_at: datetime) -> Standing:
    """Return what the floors of an enrolment are measured from now, from the days' starts.

    The first day begins with the initial balance.
    """
    initial, account = enrolment.initial_balance, enrolment.account
    begin_on, today = loss_day(enrolment.begin_at), loss_day(market_at)
    closes = DayStart.objects.filter(account=account, day_on__gt=begin_on, day_on__lte=today)
    highest = closes.aggregate(highest=Max(Coalesce("at_midnight", "balance")))["highest"]
    if today <= begin_on:
        # A deal of the very moment of the begin is the programme's.
        start = initial + cash_after(account, enrolment.begin_at - JUST_BEFORE)
        return Standing(initial=initial, day_start=start, highest_close=initial, balance=balance)
    row = day_start(account, balance, market_at)
    return Standing(
        initial=initial,
        day_start=row.balance,
        highest_close=max(initial, highest or initial, row.close_before),
        balance=balance,
    )


def programme_standing(
    enrolment: Enrolment, *, balance: Decimal, equity: Decimal, n_positions: int, market_at: datetime
) -> ProgrammeStanding:
    """Return every objective of an enrolment, and the first look at which a floor was broken, if any."""
    rules, initial = enrolment.programme.rules(), enrolment.initial_balance
    begin_at = min(enrolment.begin_at, market_at)
    bookings = bookings_of(enrolment.account, since=begin_at)
    days = loss_days(initial, begin_at, bookings, market_at)
    standing = standing_of(enrolment, balance, market_at)
    judged = Judged(programme=rules, standing=standing, equity=equity, days=days, n_positions=n_positions)
    return ProgrammeStanding(
        enrolment=enrolment,
        standing=standing,
        days=days,
        objectives=objectives(judged),
        breach=first_breach(rules, initial, days, _path(enrolment, bookings)),
        unexplained=balance - days[-1].close,
    )


def _path(enrolment: Enrolment, bookings: tuple[Booking, ...]) -> Iterator[tuple[datetime, Decimal]]:
    """Yield the stored looks at the equity; in a minute with a movement of cash it may be of before or after it."""
    points = EquityPoint.objects.filter(account=enrolment.account, at__gte=enrolment.begin_at).order_by("at")
    unclear = {booking.at.replace(second=0, microsecond=0) for booking in bookings if booking.is_cash}
    for at, equity in points.values_list("at", "equity").iterator():
        if at not in unclear:
            yield at, equity


def enrolment_for(account: Account, key: str | None) -> Enrolment:
    """Return the enrolment in force, or one that is not kept, in another programme since the account's first look.

    Raises
    ------
    ProgrammeError
        The account is held to none, or there is no programme of that key.
    """
    if key is None:
        enrolment = enrolment_in_force(account)
        if enrolment is None:
            message = "the account is held to no programme: add an enrolment in the admin, or try one with --programme"
            raise ProgrammeError(message, ExitCode.DATA)
        return enrolment
    programme = FundedProgramme.objects.filter(key=key).first()
    if programme is None:
        known = ", ".join(FundedProgramme.objects.values_list("key", flat=True)) or "none"
        raise ProgrammeError(f"no programme {key!r}; known: {known}", ExitCode.USAGE)
    first = EquityPoint.objects.filter(account=account).order_by("at").first()
    if first is None:
        raise ProgrammeError("the account was never looked at: the sentinel does while the desk runs", ExitCode.DATA)
    return Enrolment(account=account, programme=programme, initial_balance=account.initial_balance, begin_at=first.at)
