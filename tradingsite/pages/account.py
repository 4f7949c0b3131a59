"""The panels about money: headline numbers, the day's equity, the last thirty days."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise

from execution.limits import LOSS_DAY_ZONE, current_limits, loss_budgets, loss_day
from execution.models import BrokerState, DayStart, EquityPoint
from execution.safety.risk import LossBudget, LossKind
from ops import clock
from tradingsite.pages import equity_data
from tradingsite.pages.equity_data import EquityData, EquityLevel
from tradingsite.pages.frame import User, account_state, freshness, market_now, today_result
from tradingsite.pages.frame_data import Due
from tradingsite.pages.overview_data import AccountData, DayResult, DaysData, LossRoom

N_DAYS = 30


def build_account(user: User) -> AccountData:
    """Return the four headline numbers."""
    seen = account_state()
    if seen is None:
        return AccountData(fresh=freshness(None))
    today, start = today_result(seen)
    unrealised = seen.equity - seen.balance
    rooms = _rooms(seen)
    return AccountData(
        fresh=freshness(seen),
        currency=seen.account.currency,
        equity=seen.equity,
        balance=seen.balance,
        unrealised=unrealised,
        today=today,
        today_fraction=float(today / start) if today is not None and start else None,
        realised_today=None if today is None else today - unrealised,
        day_start=start,
        daily=rooms.get(LossKind.DAILY),
        maximum=rooms.get(LossKind.TOTAL),
        n_positions=len(seen.positions),
    )


def _rooms(seen: BrokerState) -> dict[LossKind, LossRoom]:
    now = seen.market_at
    if now is None:
        return {}
    limits = current_limits()
    soft, hard = float(1 - limits.loss_soft_line), float(1 - limits.loss_hard_line)
    resets = {LossKind.DAILY: Due.of(next_reset(now), now=market_now())}
    return {
        budget.kind: LossRoom(
            limit=budget.start - budget.floor,
            left=seen.equity - budget.floor,
            floor=budget.floor,
            soft_left=soft,
            hard_left=hard,
            resets=resets.get(budget.kind, Due()),
        )
        for budget in loss_budgets(seen.account, limits, now)
    }


def next_reset(now: datetime) -> datetime:
    """Return the next midnight of the loss day, in UTC; that day may have 23 or 25 hours."""
    midnight = datetime.combine(loss_day(now) + timedelta(days=1), time(), tzinfo=LOSS_DAY_ZONE)
    return midnight.astimezone(UTC)


def build_equity(user: User) -> EquityData:
    """Return the loss day's equity and balance with the limits."""
    seen = account_state()
    now = market_now() or clock.wall_now()
    start = next_reset(now) - timedelta(days=1)
    points = []
    if seen:
        rows = EquityPoint.objects.filter(account=seen.account, at__gte=start, at__lt=next_reset(now))
        points = [equity_data.EquityPoint(p.at, float(p.equity), float(p.balance)) for p in rows]
    return EquityData(
        fresh=freshness(seen),
        start_at=start,
        end_at=next_reset(now),
        points=tuple(points),
        levels=_levels(seen) if seen else (),
        currency=seen.account.currency if seen else "USD",
    )


def _levels(seen: BrokerState) -> tuple[EquityLevel, ...]:
    if seen.market_at is None:
        return ()
    limits = current_limits()
    daily = [b for b in loss_budgets(seen.account, limits, seen.market_at) if b.kind is LossKind.DAILY]
    return tuple(level for budget in daily for level in _lines(budget))


def _lines(budget: LossBudget) -> tuple[EquityLevel, ...]:
    return (
        EquityLevel(kind="start", label="day start", value=float(budget.start)),
        EquityLevel(kind="soft", label=f"soft, {budget.soft_line:.0%}", value=float(budget.entry_floor)),
        EquityLevel(kind="limit", label="daily limit", value=float(budget.floor)),
    )


def build_days(user: User) -> DaysData:
    """Return the results of the last thirty loss days; a day that nothing was recorded on has none."""
    seen = account_state()
    if seen is None or seen.market_at is None:
        return DaysData()
    first = loss_day(seen.market_at) - timedelta(days=N_DAYS - 1)
    starts = list(DayStart.objects.filter(account=seen.account, day_on__gte=first).order_by("day_on"))
    if not starts:
        return DaysData()
    balances = [row.balance for row in starts] + [seen.equity]
    results = {
        row.day_on: DayResult(on=row.day_on, pnl=end - row.balance, fraction=float((end - row.balance) / row.balance))
        for row, end in zip(starts, balances[1:], strict=True)
    }
    days = (first + timedelta(days=index) for index in range(N_DAYS))
    return DaysData(
        days=tuple(results.get(day) or DayResult(on=day, pnl=None) for day in days),
        currency=seen.account.currency,
        total_fraction=float(seen.equity / balances[0] - 1),
        won_fraction=sum(end > start for start, end in pairwise(balances)) / len(results),
        max_drawdown=_max_drawdown([float(balance) for balance in balances]),
    )


def _max_drawdown(values: list[float]) -> float | None:
    drawdowns = [value for value in equity_data.drawdowns(list(values)) if value is not None]
    return min(drawdowns, default=None)
