"""The panels of the Overview, from the rows."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Max
from django.urls import reverse

from execution.limits import LOSS_DAY_ZONE, current_limits, loss_budgets, loss_day
from execution.models import BrokerState, DayStart, Decision, EquityPoint
from execution.safety.risk import LossBudget, LossKind
from execution.sessions.slots import HOUR, floor_hour
from market.errors import MarketError
from market.models import Symbol
from market.status import data_status
from ops import clock
from ops.models import Alert, Heartbeat
from ops.queues import QUEUES, beat_name
from tradingsite.pages import equity_data
from tradingsite.pages.equity_data import EquityData, EquityLevel
from tradingsite.pages.frame import User, account_state, freshness, market_now, may, next_rebalance, today_result
from tradingsite.pages.frame_data import Due, Freshness
from tradingsite.pages.overview_data import (
    AccountData,
    AttentionData,
    AttentionItem,
    DataHealth,
    DayResult,
    DaysData,
    DecisionRow,
    DecisionsData,
    Level,
    LossRoom,
    ModelBar,
    NextData,
    NextEvent,
    PositionRow,
    PositionsData,
    ProcessRow,
    SignalRow,
    SignalsData,
    SourceRow,
)

LEVELS = {Alert.Level.INFO: Level.OK, Alert.Level.WARNING: Level.WARN, Alert.Level.CRITICAL: Level.CRIT}
VERDICT_LEVELS = {"blocked": Level.WARN, "skipped": Level.WARN, "failed": Level.CRIT}
BEAT_STALE_S = 45.0
N_DECISIONS, N_DAYS, N_ALERTS = 6, 30, 8


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


def build_attention(user: User) -> AttentionData:
    """Return the open alerts, the worst first."""
    order = {Alert.Level.CRITICAL: 0, Alert.Level.WARNING: 1, Alert.Level.INFO: 2}
    alerts = sorted(Alert.objects.needing_action()[:50], key=lambda alert: order[Alert.Level(alert.level)])
    return AttentionData(
        items=tuple(_attention(alert) for alert in alerts[:N_ALERTS]), can_operate=may(user, "operate")
    )


def _attention(alert: Alert) -> AttentionItem:
    return AttentionItem(
        key=str(alert.pk),
        level=LEVELS[Alert.Level(alert.level)],
        title=alert.title,
        detail=alert.detail if alert.detail not in alert.title else "",
        at=alert.last_at,
        count=alert.count,
        acknowledge_url=reverse("acknowledge", args=[alert.pk]),
    )


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


def build_positions(user: User) -> PositionsData:
    """Return the open positions as the broker last showed them."""
    seen = account_state()
    if seen is None:
        return PositionsData(fresh=freshness(None), next_decision=next_rebalance())
    rows = tuple(_position(row, seen) for row in seen.positions)
    return PositionsData(
        fresh=freshness(seen),
        rows=rows,
        currency=seen.account.currency,
        swap=sum((row.swap or Decimal(0) for row in rows), Decimal(0)),
        pnl=sum((row.pnl or Decimal(0) for row in rows), Decimal(0)),
        next_decision=next_rebalance(),
    )


def _position(row: dict[str, Any], seen: BrokerState) -> PositionRow:
    is_long = row["side"] == "buy"
    entry, now = Decimal(row["price_open"]), Decimal(row["price_now"]) if row["price_now"] else None
    sign = 1 if is_long else -1
    return PositionRow(
        key=str(row["ticket"]),
        symbol=row["symbol"],
        side="long" if is_long else "short",
        lots=Decimal(row["volume"]),
        entry=entry,
        now=now,
        digits=max(-int(entry.as_tuple().exponent), 2),
        weight=signed_weight(row, seen),
        move=float((now / entry - 1) * sign) if now else None,
        swap=Decimal(row["swap"]),
        pnl=Decimal(row["profit"]),
        family="rebalance" if row["ours"] else "",
        is_ours=row["ours"],
    )


def signed_weight(row: dict[str, Any], seen: BrokerState) -> float | None:
    """Return a position's signed worth as a fraction of equity."""
    if not row["price_now"] or not seen.equity:
        return None
    worth = Decimal(row["volume"]) * Decimal(row["price_now"]) * Decimal(row["contract_size"])
    return float(worth / seen.equity) * (1 if row["side"] == "buy" else -1)


def newest_decisions() -> list[Decision]:
    """Return the newest decision of every traded symbol, in the order of symbols."""
    newest = Decision.objects.values("symbol").annotate(newest=Max("pk")).values_list("newest", flat=True)
    rows = {row.symbol: row for row in Decision.objects.filter(pk__in=list(newest))}
    return [rows[name] for name in Symbol.objects.traded().values_list("name", flat=True) if name in rows]


def held_fraction(symbol: str, seen: BrokerState | None, capital: Decimal | None) -> float | None:
    """Return what is held of a symbol as a signed fraction of its capital."""
    if seen is None or not capital:
        return None
    rows = [row for row in seen.positions if row["symbol"] == symbol and row["price_now"]]
    worth = sum(
        Decimal(r["volume"]) * Decimal(r["price_now"]) * Decimal(r["contract_size"]) * (1 if r["side"] == "buy" else -1)
        for r in rows
    )
    return float(Decimal(worth) / capital)


def capital_of(row: Decision) -> Decimal | None:
    """Return the capital that a decision sized its symbol from."""
    text = row.sizing.get("capital_per_asset")
    return Decimal(text) if text else None


def build_signals(user: User) -> SignalsData:
    """Return what the models want and what is held."""
    seen, rows = account_state(), newest_decisions()
    bar_at = rows[0].bar_at if rows else None
    return SignalsData(
        fresh=Freshness.of(None, now=clock.wall_now()) if not rows else freshness(seen),
        rows=tuple(_signal(row, seen) for row in rows),
        bar_open_at=bar_at,
        bar_close_at=bar_at + HOUR if bar_at else None,
    )


def _signal(row: Decision, seen: BrokerState | None) -> SignalRow:
    return SignalRow(
        symbol=row.symbol,
        target=row.clipped_pct,
        actual=held_fraction(row.symbol, seen, capital_of(row)),
        models=tuple(ModelBar(name=model_name(m), position=m["position_pct"]) for m in row.positions),
        verdict=verdict_words(row),
        level=VERDICT_LEVELS.get(row.verdict, Level.OK),
    )


def model_name(model: dict[str, Any]) -> str:
    """Return a model's name for people."""
    return f"{model['strategy']} {model['variant']}"


def verdict_words(row: Decision) -> str:
    """Return how a decision ended, with the first blocker."""
    if row.verdict == "traded":
        return "; ".join(f"{leg['scene']}: {leg['side']} {leg['volume']}" for leg in row.legs) or "traded"
    return f"{row.verdict}: {row.blocker}" if row.blocker else row.verdict


def build_next(user: User) -> NextData:
    """Return what happens next, the soonest first."""
    now = market_now()
    if now is None:
        return NextData()
    events = (
        NextEvent(name="bar closes", due=Due.of(floor_hour(now) + HOUR, now=now)),
        NextEvent(name="rebalance", due=next_rebalance()),
        NextEvent(name="loss limit resets", due=Due.of(next_reset(now), now=now)),
    )
    return NextData(events=tuple(sorted(events, key=lambda event: event.due.in_s or 0.0)))


def build_decisions(user: User) -> DecisionsData:
    """Return the newest decisions."""
    rows = Decision.objects.all()[:N_DECISIONS]
    return DecisionsData(
        rows=tuple(
            DecisionRow(
                key=str(row.pk),
                at=row.market_at,
                symbol=row.symbol,
                text=verdict_words(row),
                level=VERDICT_LEVELS.get(row.verdict, Level.OK),
                url=reverse("decision", args=[row.pk]),
            )
            for row in rows
        )
    )


def build_data(user: User) -> DataHealth:
    """Return how fresh data and processes are."""
    now = clock.wall_now()
    try:
        sources = tuple(_source(series) for series in data_status())
    except MarketError:
        sources = ()
    return DataHealth(fresh=Freshness.of(now, now=now), sources=sources, processes=tuple(_process(n) for n in _names()))


def _source(series: Any) -> SourceRow:
    behind = series.bars_behind
    words = "no bars" if series.is_empty else "ok" if not behind else f"{behind} bars behind"
    level = Level.CRIT if series.is_empty else Level.WARN if series.is_stale else Level.OK
    source = "MT5" if series.table == "rates" else "Binance"
    return SourceRow(
        symbol=series.name, source=f"{source} {series.interval}", last_bar_at=series.last_at, level=level, words=words
    )


def _names() -> tuple[tuple[str, str], ...]:
    return ("sentinel", "sentinel"), *((beat_name(queue), f"{queue} queue") for queue in QUEUES)


def _process(names: tuple[str, str]) -> ProcessRow:
    beat_key, label = names
    row = Heartbeat.objects.filter(name=beat_key).first()
    age = row.age_s() if row else float("inf")
    level = Level.OK if age <= BEAT_STALE_S else Level.CRIT
    words = "running" if level is Level.OK else "no sign of life"
    fresh = Freshness(at=row.beat_at if row else None, age_s=age if age != float("inf") else None)
    return ProcessRow(name=label, level=level, words=words, fresh=fresh)


def build_days(user: User) -> DaysData:
    """Return the results of the last thirty loss days."""
    seen = account_state()
    if seen is None:
        return DaysData()
    starts = list(DayStart.objects.filter(account=seen.account)[: N_DAYS + 1])[::-1]
    ends = [row.balance for row in starts[1:]] + [seen.equity]
    days = [
        DayResult(on=row.day_on, pnl=end - row.balance, fraction=float((end - row.balance) / row.balance))
        for row, end in zip(starts, ends, strict=True)
    ][-N_DAYS:]
    known = [float(day.pnl) for day in days if day.pnl is not None]
    return DaysData(
        days=tuple(days),
        currency=seen.account.currency,
        total_fraction=float(seen.equity / starts[0].balance - 1) if starts else None,
        won_fraction=sum(pnl > 0 for pnl in known) / len(known) if known else None,
        max_drawdown=_max_drawdown([float(row.balance) for row in starts] + [float(seen.equity)]),
    )


def _max_drawdown(values: list[float]) -> float | None:
    drawdowns = [value for value in equity_data.drawdowns(list(values)) if value is not None]
    return min(drawdowns, default=None)
