"""The Alerts page: what is wrong or was, who was told of it outside the site, and whether that works."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.conf import settings
from django.urls import reverse

from ops import clock
from ops.dead_man import EVERY_S, last_ping
from ops.destinations import Destination
from ops.models import Alert, AlertDelivery, Heartbeat
from ops.notifier import BEAT
from tradingsite.pages.alerts_data import (
    AlertRow,
    AlertsData,
    DeliveriesData,
    DestinationRow,
    MessageRow,
    Told,
    WatcherRow,
)
from tradingsite.pages.frame import User, may
from tradingsite.pages.frame_data import Freshness
from tradingsite.pages.overview import ALERT_ORDER, LEVELS
from tradingsite.pages.overview_data import Level
from tradingsite.supervisor import NOTIFIER_DEAD_AFTER_S

N_OPEN, N_OVER, N_MESSAGES = 100, 20, 15
LATE_PINGS = 3  # in a row, before the page calls them late
Status = AlertDelivery.Status


def build_alerts(user: User) -> AlertsData:
    """Return the open alerts, the worst first, and those that were open lately."""
    rows = Alert.objects.prefetch_related("deliveries")
    is_open = sorted(rows.open()[:N_OPEN], key=lambda alert: ALERT_ORDER[Alert.Level(alert.level)])
    over = rows.exclude(resolved_at=None).order_by("-resolved_at")[:N_OVER]
    return AlertsData(
        open=tuple(_alert(alert) for alert in is_open),
        over=tuple(_alert(alert) for alert in over),
        can_operate=may(user, "operate"),
    )


def _alert(alert: Alert) -> AlertRow:
    newest = {row.destination: row for row in sorted(alert.deliveries.all(), key=lambda row: row.pk)}
    is_new = alert.resolved_at is None and alert.acknowledged_at is None
    return AlertRow(
        key=str(alert.pk),
        cause=alert.key,
        level=LEVELS[Alert.Level(alert.level)],
        title=alert.title,
        detail=alert.detail if alert.detail not in alert.title else "",
        count=alert.count,
        first_at=alert.first_at,
        last_at=alert.last_at,
        seen_by=alert.acknowledged_by,
        seen_at=alert.acknowledged_at,
        over_at=alert.resolved_at,
        told=tuple(_told(row) for row in newest.values()),
        acknowledge_url=f"{reverse('acknowledge', args=[alert.pk])}?from=alerts" if is_new else "",
    )


def _told(row: AlertDelivery) -> Told:
    return Told(label=row.label, words=_words(row), level=_level(row))


def _words(row: AlertDelivery) -> str:
    """Return how far a message has come; why it comes no further is said once, of its destination."""
    if row.status == Status.SENT and row.tried_at:
        return f"sent {row.tried_at:%H:%M:%S}"
    if row.status == Status.FAILED:
        return "given up"
    return f"waiting, tried {row.attempts}×" if row.attempts else "waiting"


def _level(row: AlertDelivery) -> Level:
    if row.status == Status.SENT:
        return Level.OK
    if row.status == Status.FAILED:
        return Level.CRIT
    return Level.WARN if row.attempts else Level.UNKNOWN


def build_deliveries(user: User) -> DeliveriesData:
    """Return the destinations, the newest messages, and whether somebody sends and pings."""
    return DeliveriesData(
        destinations=tuple(_destination(to) for to in settings.ALERT_URLS),
        messages=tuple(_messages(AlertDelivery.objects.all()[:N_MESSAGES])),
        watchers=(_notifier(), _dead_man()),
        can_operate=may(user, "operate"),
    )


def _messages(rows: Iterable[AlertDelivery]) -> Iterator[MessageRow]:
    for row in rows:
        kind = "" if row.kind == AlertDelivery.Kind.RAISED else f"{row.kind}: "
        yield MessageRow(
            key=str(row.pk),
            at=row.created_at,
            label=row.label,
            title=f"{kind}{row.title}",
            words=": ".join(filter(None, [_words(row), row.error])),
            level=_level(row),
        )


def _destination(to: Destination) -> DestinationRow:
    rows = AlertDelivery.objects.filter(destination=to.key)
    tried = rows.exclude(tried_at=None).order_by("-tried_at", "-pk")
    last, taken = tried.first(), tried.filter(status=Status.SENT).first()
    n_waiting = rows.waiting().count()
    waits = f"{n_waiting} waiting" if n_waiting else ""
    if last is None:
        level, words = Level.UNKNOWN, waits or "never used: send a test"
    elif last.status == Status.SENT:
        level, words = Level.OK, waits or "ok"
    else:
        level, words = Level.CRIT, ": ".join(filter(None, [waits, last.error]))
    return DestinationRow(label=to.label, level=level, words=words, taken_at=taken.tried_at if taken else None)


def _notifier() -> WatcherRow:
    row = Heartbeat.objects.filter(name=BEAT).first()
    is_alive = row is not None and row.age_s() <= NOTIFIER_DEAD_AFTER_S
    words = "running" if is_alive else "no sign of life: nothing is sent"
    fresh = Freshness.of(row.beat_at if row else None, now=clock.wall_now(), stale_after_s=NOTIFIER_DEAD_AFTER_S)
    return WatcherRow(name="notifier", level=Level.OK if is_alive else Level.CRIT, words=words, fresh=fresh)


def _dead_man() -> WatcherRow:
    """Return whether the outside service hears from us; that reconciling itself fails is told elsewhere."""
    if settings.HEARTBEAT_URL is None:
        words = "not set: nobody outside would miss a dead desk"
        return WatcherRow(name="heartbeat", level=Level.UNKNOWN, words=words, fresh=Freshness())
    taken, why_not = last_ping()
    fresh = Freshness.of(taken.beat_at if taken else None, now=clock.wall_now(), stale_after_s=LATE_PINGS * EVERY_S)
    if why_not:
        level, words = Level.CRIT, why_not
    elif fresh.is_stale:
        level, words = Level.WARN, "silent since the last successful reconcile" if taken else "nothing reconciled yet"
    else:
        level, words = Level.OK, f"taken by {settings.HEARTBEAT_URL.label}"
    return WatcherRow(name="heartbeat", level=level, words=words, fresh=fresh)
