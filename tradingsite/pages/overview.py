"""The other panels of the Overview: what needs a person, what is held, what comes next, how fresh the data is."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from django.urls import reverse

from execution.models import BrokerState
from execution.sessions.slots import HOUR, floor_hour
from market.errors import MarketError
from market.status import SeriesStatus, data_status
from ops import clock
from ops.models import Alert, Heartbeat
from ops.queues import QUEUES, beat_name
from tradingsite.pages.account import next_reset
from tradingsite.pages.frame import (
    SENTINEL_LOST_AFTER_S,
    User,
    account_state,
    freshness,
    market_now,
    may,
    next_rebalance,
    open_result,
)
from tradingsite.pages.frame_data import Due, Freshness
from tradingsite.pages.overview_data import (
    AttentionData,
    AttentionItem,
    DataHealth,
    Level,
    NextData,
    NextEvent,
    PositionRow,
    PositionsData,
    ProcessRow,
    SourceRow,
)

LEVELS = {Alert.Level.INFO: Level.OK, Alert.Level.WARNING: Level.WARN, Alert.Level.CRITICAL: Level.CRIT}
ALERT_ORDER = {Alert.Level.CRITICAL: 0, Alert.Level.WARNING: 1, Alert.Level.INFO: 2}
WORST_FIRST = (Level.CRIT, Level.WARN, Level.UNKNOWN, Level.OK)
BEAT_STALE_S = 45.0
N_ALERTS = 8


def build_attention(user: User) -> AttentionData:
    """Return the open alerts, the worst first."""
    alerts = sorted(Alert.objects.needing_action()[:50], key=lambda alert: ALERT_ORDER[Alert.Level(alert.level)])
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
        pnl=open_result(row),
        family="rebalance" if row["ours"] else "",
        is_ours=row["ours"],
    )


def signed_weight(row: dict[str, Any], seen: BrokerState) -> float | None:
    """Return a position's signed worth as a fraction of equity."""
    if not row["price_now"] or not seen.equity:
        return None
    worth = Decimal(row["volume"]) * Decimal(row["price_now"]) * Decimal(row["contract_size"])
    return float(worth / seen.equity) * (1 if row["side"] == "buy" else -1)


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


def build_data(user: User) -> DataHealth:
    """Return how fresh data and processes are, the worst first."""
    now = clock.wall_now()
    try:
        sources = [_source(series) for series in data_status()]
    except MarketError:
        sources = []
    return DataHealth(
        fresh=Freshness.of(now, now=now),
        sources=tuple(sorted(sources, key=lambda row: WORST_FIRST.index(row.level))),
        processes=tuple(sorted(_processes(), key=lambda row: WORST_FIRST.index(row.level))),
    )


def _source(series: SeriesStatus) -> SourceRow:
    level, words = _source_state(series)
    source = "MT5" if series.table == "rates" else "Binance"
    return SourceRow(
        symbol=series.name, source=f"{source} {series.interval}", last_bar_at=series.last_at, level=level, words=words
    )


def _source_state(series: SeriesStatus) -> tuple[Level, str]:
    behind = series.bars_behind
    if series.is_empty:
        return Level.CRIT, "no bars"
    if behind is None:
        return Level.UNKNOWN, "no market time"
    words = f"{behind} bar{'' if behind == 1 else 's'} behind" if behind else "ok"
    return Level.WARN if series.is_stale else Level.OK, words


def _processes() -> tuple[ProcessRow, ...]:
    """Return the sentinel and the queues; without a sentinel nothing is sent through the queues, which says nothing."""
    sentinel = _process("sentinel", "sentinel", lost_after_s=SENTINEL_LOST_AFTER_S)
    silent = sentinel.level is not Level.OK
    queues = (_process(beat_name(queue), f"{queue} queue", lost_after_s=BEAT_STALE_S) for queue in QUEUES)
    return (sentinel, *(_unasked(row) if silent and row.level is not Level.OK else row for row in queues))


def _process(name: str, label: str, *, lost_after_s: float) -> ProcessRow:
    row = Heartbeat.objects.filter(name=name).first()
    age_s = row.age_s() if row else float("inf")
    is_alive = age_s <= lost_after_s
    return ProcessRow(
        name=label,
        level=Level.OK if is_alive else Level.CRIT,
        words="running" if is_alive else "no sign of life",
        fresh=Freshness(at=row.beat_at if row else None, age_s=age_s if age_s != float("inf") else None),
    )


def _unasked(row: ProcessRow) -> ProcessRow:
    return replace(row, level=Level.UNKNOWN, words="not asked: no sentinel")
