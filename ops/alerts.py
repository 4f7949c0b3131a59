"""Alerts: raised once per crossing, counted while they last, resolved when the cause is gone."""

from __future__ import annotations

from django.db import transaction
from django.db.models import F

from ops import clock
from ops.live import announce
from ops.models import Alert

SEVERITY = (Alert.Level.INFO, Alert.Level.WARNING, Alert.Level.CRITICAL)


@transaction.atomic
def raise_alert(key: str, title: str, *, detail: str = "", level: Alert.Level = Alert.Level.WARNING) -> Alert:
    """Open an alert for ``key``, or count one more if it is already open; one that gets worse is told anew."""
    now = clock.wall_now()
    known = Alert.objects.open().filter(key=key).first()
    if known is None:
        alert = Alert.objects.create(key=key, title=title, detail=detail, level=level, first_at=now, last_at=now)
        announce("alerts", {"id": alert.pk})
        return alert
    Alert.objects.filter(pk=known.pk).update(count=F("count") + 1, last_at=now, title=title, detail=detail)
    if SEVERITY.index(level) > SEVERITY.index(known.level):
        Alert.objects.filter(pk=known.pk).update(level=level, acknowledged_at=None, acknowledged_by="")
        announce("alerts", {"id": known.pk})
    known.refresh_from_db()
    return known


def resolve_alert(key: str) -> bool:
    """Close the open alert of ``key``; False when there was none."""
    closed = Alert.objects.open().filter(key=key).update(resolved_at=clock.wall_now())
    if closed:
        announce("alerts")
    return bool(closed)


def acknowledge_alert(pk: int, *, by: str) -> bool:
    """Note that a person has seen it; False when it is already acknowledged or gone."""
    seen = Alert.objects.needing_action().filter(pk=pk).update(acknowledged_at=clock.wall_now(), acknowledged_by=by)
    if seen:
        announce("alerts", {"id": pk})
    return bool(seen)
