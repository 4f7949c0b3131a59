"""The limits in force: the rows that a person edits over the defaults of the code, and a programme's on top."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from execution.account_periods import booked_of
from execution.day_starts import CASH, day_start
from execution.models import Account, BrokerState, EquityPoint, FillRecord, LimitRow, QuietHoursRow
from execution.programmes import enrolment_budgets
from execution.safety.risk.context import LossBudget, LossKind
from execution.safety.risk.days import LOSS_DAY_ZONE, loss_day
from execution.safety.risk.hours import QuietHours
from execution.safety.risk.limits import Limits
from execution.safety.risk.programme import Lines, after_reset_budget

__all__ = ["LOSS_DAY_ZONE", "OWN", "current_limits", "current_quiet_hours", "loss_budgets", "loss_day"]
OWN = "limits"  # the source of budgets that are no programme's
LOOK = timedelta(minutes=1)  # a look was taken at some instant of its minute
ZERO = Decimal(0)


def current_limits() -> Limits:
    """Return every limit: its row's value, else its default."""
    return Limits.from_values(dict(LimitRow.objects.values_list("name", "value")))


def current_quiet_hours() -> tuple[QuietHours, ...]:
    """Return the hours in which nothing is opened."""
    return tuple(row.hours() for row in QuietHoursRow.objects.all())


def loss_budgets(
    account: Account, limits: Limits, market_at: datetime, *, balance: Decimal | None = None
) -> tuple[LossBudget, ...]:
    """Return how far equity may fall today, in all, from its highest, and shortly before midnight after it.

    Those of our own limits, and those of the programme that the account is held to. Of each kind the strictest comes
    last.

    Parameters
    ----------
    balance : Decimal, optional
        The present one; the newest that was seen when left out.
    """
    now = _newest_balance(account) if balance is None else balance
    budgets = [*_own_budgets(account, limits, market_at, now), *enrolment_budgets(account, now, market_at)]
    return tuple(sorted(budgets, key=lambda budget: budget.entry_floor))


def _own_budgets(account: Account, limits: Limits, market_at: datetime, balance: Decimal) -> Iterator[LossBudget]:
    lines = Lines(soft=min(limits.loss_soft_line, limits.loss_hard_line), hard=limits.loss_hard_line)
    initial = account.initial_balance
    start = day_start(account, balance, market_at).balance
    moved = _cash_movements(account)
    paid_in, peak = sum((amount for _, amount in moved), ZERO), _peak(account, moved)
    bounds = (
        (LossKind.DAILY, start, start - limits.max_daily_loss * initial),
        (LossKind.TOTAL, initial + paid_in, initial + paid_in - limits.max_loss * initial),
        (LossKind.DRAWDOWN, peak, peak - limits.max_drawdown * peak),
    )
    for kind, begin, floor in bounds:
        yield LossBudget(kind=kind, start=begin, floor=floor, soft_line=lines.soft, hard_line=lines.hard, source=OWN)
    floor = balance - limits.max_daily_loss * initial
    yield from after_reset_budget(balance, floor, lines=lines, at=market_at, source=OWN)


def _newest_balance(account: Account) -> Decimal:
    state = BrokerState.objects.filter(account=account).first()
    return state.balance if state else account.initial_balance


def _cash_movements(account: Account) -> list[tuple[datetime, Decimal]]:
    """Return what was paid in and out since the account was first looked at, oldest first: neither won nor lost."""
    first = EquityPoint.objects.filter(account=account).order_by("at").values_list("at", flat=True).first()
    if first is None:
        return []
    moved = FillRecord.objects.filter(CASH, account=account, at__gte=first + LOOK).order_by("at")
    return [(deal.at, booked_of(deal)) for deal in moved]


def _peak(account: Account, moved: list[tuple[datetime, Decimal]]) -> Decimal:
    """Return the highest equity, each look with what was paid in or out after it."""
    points = EquityPoint.objects.filter(account=account)
    later = sum((amount for _, amount in moved), ZERO)
    peaks = [account.initial_balance + later]
    bounds = [None, *(at for at, _ in moved), None]
    for index, (begin, end) in enumerate(pairwise(bounds)):
        # The look of a movement's own minute may be from before or after it.
        part = points.filter(at__gte=begin) if begin else points
        part = part.filter(at__lte=end - LOOK) if end else part
        highest = part.order_by("-equity").values_list("equity", flat=True).first()
        if highest is not None:
            peaks.append(highest + later)
        later -= moved[index][1] if index < len(moved) else ZERO
    return max(peaks)
