"""The limits in force: the rows that a person edits over the defaults of the code."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from execution.models import Account, DayStart, EquityPoint, LimitRow
from execution.safety.risk.context import LossBudget, LossKind
from execution.safety.risk.limits import Limits

LOSS_DAY_ZONE = ZoneInfo("Europe/Prague")  # FTMO's midnight


def current_limits() -> Limits:
    """Return every limit: its row's value, else its default."""
    return Limits.from_values(dict(LimitRow.objects.values_list("name", "value")))


def loss_day(market_at: datetime) -> date:
    """Return the day that losses are counted in."""
    return market_at.astimezone(LOSS_DAY_ZONE).date()


def note_day_start(account: Account, balance: Decimal, market_at: datetime) -> DayStart:
    """Keep the first balance seen in a loss day; later ones of the same day change nothing."""
    row, _ = DayStart.objects.get_or_create(account=account, day_on=loss_day(market_at), defaults={"balance": balance})
    return row


def loss_budgets(account: Account, limits: Limits, market_at: datetime) -> tuple[LossBudget, ...]:
    """Return how far equity may fall today, in all, and from its highest."""
    initial = account.initial_balance
    start = DayStart.objects.filter(account=account, day_on=loss_day(market_at)).first()
    day_start = start.balance if start else initial
    highest = EquityPoint.objects.filter(account=account).order_by("-equity").values_list("equity", flat=True).first()
    peak = max(highest or initial, initial)
    floors = (
        (LossKind.DAILY, day_start, day_start - limits.max_daily_loss * initial),
        (LossKind.TOTAL, initial, initial - limits.max_loss * initial),
        (LossKind.DRAWDOWN, peak, peak - limits.max_drawdown * peak),
    )
    return tuple(
        LossBudget(kind=kind, start=start_at, floor=floor, soft_line=limits.loss_soft_line)
        for kind, start_at, floor in floors
    )
