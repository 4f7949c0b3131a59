"""Alerts: raised once per crossing, counted while they last, resolved when the cause is gone.

Raising one writes what the world outside has to be told, in the same transaction (``ops.delivery``),
and waits for nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction
from django.db.models import F

from ops import audit, clock
from ops.audit import Actor
from ops.delivery import SEVERITY, Kind, owe, owe_test
from ops.live import announce
from ops.models import Alert, AlertDelivery


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is wrong for as long as whoever looks says so again; its words become those of an alert."""

    key: str
    title: str
    detail: str = ""
    level: Alert.Level = Alert.Level.WARNING


@transaction.atomic
def raise_alert(key: str, title: str, *, detail: str = "", level: Alert.Level = Alert.Level.WARNING) -> Alert:
    """Open an alert for ``key``, or count one more if it is already open; one that gets worse is told anew."""
    now = clock.wall_now()
    words = {"title": title[:200], "detail": detail, "last_at": now}
    alert, is_new = Alert.objects.get_or_create(
        key=key, resolved_at=None, defaults={"level": level, "first_at": now, **words}
    )
    is_worse = not is_new and SEVERITY.index(level) > SEVERITY.index(Alert.Level(alert.level))
    if not is_new:
        unseen = {"level": level, "acknowledged_at": None, "acknowledged_by": ""} if is_worse else {}
        Alert.objects.filter(pk=alert.pk).update(count=F("count") + 1, **words, **unseen)
        alert.refresh_from_db()
    if is_new or is_worse:
        owe(alert, Kind.RAISED if is_new else Kind.WORSE)
        announce("alerts", {"id": alert.pk})
    return alert


def resolve_alert(key: str) -> bool:
    """Close the open alert of ``key``; False when there was none. That a critical one is over is told, too."""
    alert = Alert.objects.open().filter(key=key).first()  # reading first takes no lock: nearly always there is none
    if alert is None:
        return False
    with transaction.atomic():
        closed = Alert.objects.open().filter(pk=alert.pk).update(resolved_at=clock.wall_now())
        if closed:
            if alert.level == Alert.Level.CRITICAL:
                owe(alert, Kind.OVER)
            announce("alerts")
    return bool(closed)


def hold_alerts(prefix: str, troubles: Iterable[Trouble]) -> None:
    """Make the open alerts whose keys begin with ``prefix`` those of ``troubles``.

    For conditions that are looked at again and again: a trouble that lasts is neither counted nor told again, one that
    gets worse is, and what is no trouble any more is resolved.
    """
    known = {alert.key: alert for alert in Alert.objects.open().filter(key__startswith=prefix)}
    for trouble in troubles:
        alert = known.pop(trouble.key, None)
        if alert is None or SEVERITY.index(trouble.level) > SEVERITY.index(Alert.Level(alert.level)):
            raise_alert(trouble.key, trouble.title, detail=trouble.detail, level=trouble.level)
    for key in known:
        resolve_alert(key)


@transaction.atomic
def acknowledge_alert(pk: int, actor: Actor) -> bool:
    """Note that a person has seen it; False when it is already acknowledged or gone."""
    seen = Alert.objects.needing_action().filter(pk=pk)
    if not seen.update(acknowledged_at=clock.wall_now(), acknowledged_by=actor.name):
        return False
    alert = Alert.objects.get(pk=pk)
    audit.record(actor, "alert acknowledge", subject=alert.key, after={"id": pk, "title": alert.title})
    announce("alerts", {"id": pk})
    return True


@transaction.atomic
def send_test(actor: Actor) -> list[AlertDelivery]:
    """Ask for a test message to every destination; the rows say what became of it."""
    rows = owe_test(by=actor.name)
    audit.record(actor, "alert test", after={"destinations": [row.label for row in rows]})
    return rows
