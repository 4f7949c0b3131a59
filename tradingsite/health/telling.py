"""Whether a person outside the site would be told."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings

from ops import clock, heartbeats
from ops.dead_man import EVERY_S, last_ping
from ops.models import AlertDelivery
from ops.notifier import BEAT, unreadable_destinations
from tradingsite.health.finding import Finding, fail, ok, skip, warn
from tradingsite.supervisor import NOTIFIER_DEAD_AFTER_S, groups_file

SET_URLS = "ALERT_URLS=mailtos://… in .env, then manage.py alert_test"
SET_HEARTBEAT = "HEARTBEAT_URL=https://… in .env"
LATE_PINGS = 3


def check_alerts() -> Iterator[Finding]:
    """Look at the sending process, at each destination without sending anything, and at the dead man's switch."""
    yield _notifier()
    yield from _destinations()
    yield _heartbeat()


def _notifier() -> Finding:
    age = heartbeats.age_s(BEAT)
    if age <= NOTIFIER_DEAD_AFTER_S:
        return ok("notifier", f"alive {age:.0f} s ago")
    if not groups_file().is_supervised():
        return skip("notifier", "nothing runs: `manage.py up` is not started")
    detail = "it never gave a sign of life" if age == float("inf") else f"its last sign of life is {age:.0f} s old"
    return fail("notifier", detail, fix="manage.py notifier")


def _destinations() -> Iterator[Finding]:
    if not settings.ALERT_URLS:
        yield _nobody("destinations", "none: alerts stay on the site", fix=SET_URLS)
        return
    unreadable = dict(unreadable_destinations())
    for to in settings.ALERT_URLS:
        if to.label in unreadable:
            yield fail(
                to.label, f"its address cannot be used: {unreadable[to.label]}", fix="correct ALERT_URLS in .env"
            )
        else:
            yield _taken(to.key, to.label)


def _nobody(name: str, detail: str, *, fix: str) -> Finding:
    return skip(name, detail) if settings.TRADING_MODE == "demo" else warn(name, detail, fix=fix)


def _taken(key: str, label: str) -> Finding:
    tried = AlertDelivery.objects.filter(destination=key).exclude(tried_at=None)
    last = tried.order_by("-tried_at", "-pk").first()
    if last is None:
        return warn(label, "never used", fix="manage.py alert_test")
    if last.status != AlertDelivery.Status.SENT:
        n_waiting = AlertDelivery.objects.waiting().filter(destination=key).count()
        return fail(label, f"its service took nothing: {last.error}; {n_waiting} waiting", fix="manage.py alert_test")
    return ok(label, f"took a message {last.tried_at:%Y-%m-%d %H:%M} UTC")


def _heartbeat() -> Finding:
    if settings.HEARTBEAT_URL is None:
        return _nobody("heartbeat", "not set: nobody outside would miss a dead desk", fix=SET_HEARTBEAT)
    taken, why_not = last_ping()
    host = settings.HEARTBEAT_URL.label
    if why_not:
        return fail("heartbeat", f"{host}: {why_not}", fix="correct HEARTBEAT_URL in .env")
    if taken is None:
        return skip("heartbeat", f"{host} is asked after the first reconcile")
    age = (clock.wall_now() - taken.beat_at).total_seconds()
    if age > LATE_PINGS * EVERY_S and groups_file().is_supervised():
        return warn("heartbeat", f"{host} was last asked {age:.0f} s ago", fix="manage.py doctor terminal queues")
    return ok("heartbeat", f"{host} took it {age:.0f} s ago")
