"""What is owed to whom: the outbox of alerts, and the words of a message.

Whoever raises an alert only writes rows here, in its own transaction; the notifier (``ops.notifier``) sends them. A row
is marked after it was sent, so that a crash between the two sends it twice and never not at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db.models import F, Max

from ops import clock
from ops.live import announce
from ops.models import Alert, AlertDelivery

Kind, Status = AlertDelivery.Kind, AlertDelivery.Status
SEVERITY = (Alert.Level.INFO, Alert.Level.WARNING, Alert.Level.CRITICAL)
TOLD_OUTSIDE = (Alert.Level.WARNING, Alert.Level.CRITICAL)
REMIND_AFTER = timedelta(minutes=15)  # somebody may sleep through one message, seldom through all of a night's
GIVEN_UP_AFTER = timedelta(days=1)
KEPT_FOR = timedelta(days=30)
TOPIC = "deliveries"
LONGEST_TITLE, LONGEST_DETAIL, MOST_LINES = 140, 300, 20
WORDS = {Kind.RAISED: "", Kind.WORSE: "worse: ", Kind.AGAIN: "still: ", Kind.OVER: "over: ", Kind.TEST: "test: "}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message to one destination, about one alert or a burst of them."""

    title: str
    body: str
    level: Alert.Level


def owe(alert: Alert, kind: AlertDelivery.Kind) -> None:
    """Write down that every destination has to be told of this alert; nobody outside is told of mere information."""
    if alert.level in TOLD_OUTSIDE:
        _write(kind, level=Alert.Level(alert.level), title=alert.title, detail=alert.detail, alert=alert)


def remind() -> int:
    """Owe every critical alert once more that nobody has acknowledged since it was told last; return how many."""
    long_ago = clock.wall_now() - REMIND_AFTER
    critical = Alert.objects.needing_action().filter(level=Alert.Level.CRITICAL)
    unheeded = critical.annotate(told_at=Max("deliveries__created_at")).filter(told_at__lt=long_ago)
    for alert in unheeded:
        owe(alert, Kind.AGAIN)
    return len(unheeded)


def owe_test(*, by: str) -> list[AlertDelivery]:
    """Write down that every destination has to get a test message."""
    title = f"Alerts reach you here: a test asked for by {by}"
    return _write(Kind.TEST, level=Alert.Level.INFO, title=title, detail="Nothing is wrong.", alert=None)


def _write(
    kind: AlertDelivery.Kind, *, level: Alert.Level, title: str, detail: str, alert: Alert | None
) -> list[AlertDelivery]:
    words = {"kind": kind, "level": level, "title": title[:200], "detail": detail, "alert": alert}
    rows = AlertDelivery.objects.bulk_create(
        [AlertDelivery(destination=to.key, label=to.label, **words) for to in settings.ALERT_URLS]
    )
    if rows:
        announce(TOPIC)
    return rows


def owed_to(destination: str, *, at_most: int) -> list[AlertDelivery]:
    """Return what one destination has not been sent, the oldest first."""
    waiting = AlertDelivery.objects.waiting().filter(destination=destination)
    return list(waiting.select_related("alert").order_by("pk")[:at_most])


def note_sent(rows: Sequence[AlertDelivery]) -> None:
    """Mark rows as accepted by the destination's service."""
    _mark(rows, status=Status.SENT, error="")


def note_failed(rows: Sequence[AlertDelivery], reason: str, *, is_final: bool) -> None:
    """Keep why an attempt failed; the rows are tried again unless that cannot help."""
    _mark(rows, error=reason[:200], **({"status": Status.FAILED} if is_final else {}))


def _mark(rows: Sequence[AlertDelivery], **changes: str) -> None:
    waiting = AlertDelivery.objects.waiting().filter(pk__in=[row.pk for row in rows])
    if waiting.update(attempts=F("attempts") + 1, tried_at=clock.wall_now(), **changes):
        announce(TOPIC)


def give_up() -> int:
    """End what nobody will be told any more: after a day of trying, or for an address that was taken away."""
    waiting = AlertDelivery.objects.waiting()
    gone = waiting.exclude(destination__in=[to.key for to in settings.ALERT_URLS])
    ended = gone.update(status=Status.FAILED, error="its address is not in ALERT_URLS any more")
    old = waiting.filter(created_at__lt=clock.wall_now() - GIVEN_UP_AFTER)
    ended += old.update(status=Status.FAILED)
    if ended:
        announce(TOPIC)
    return ended


def prune_deliveries() -> int:
    """Delete what ended so long ago that nobody looks it up, and return how many."""
    ended = AlertDelivery.objects.exclude(status=Status.WAITING)
    deleted, _ = ended.filter(created_at__lt=clock.wall_now() - KEPT_FOR).delete()
    return deleted


def compose(rows: Sequence[AlertDelivery]) -> Message:
    """Return the message about rows that wait for the same destination, the oldest first."""
    worst = max((Alert.Level(row.level) for row in rows), key=SEVERITY.index)
    mode = settings.TRADING_MODE.upper()
    said = Counter(_head(row) for row in rows)
    first = {_head(row): row for row in reversed(rows)}
    if len(said) == 1:
        [head] = said
        title = f"[{mode}] {_loudness(worst)}{head}"
    else:
        title = f"[{mode}] {_loudness(worst)}{len(rows)} alerts"
    lines = [_line(first[each], n) for each, n in list(said.items())[:MOST_LINES]]
    if len(said) > MOST_LINES:
        lines.append(f"and {len(said) - MOST_LINES} more: see the Alerts page")
    return Message(title=_cut(title, LONGEST_TITLE), body="\n".join(lines), level=worst)


def _head(row: AlertDelivery) -> str:
    return f"{WORDS[Kind(row.kind)]}{row.title}"


def _loudness(level: Alert.Level) -> str:
    return "CRITICAL: " if level == Alert.Level.CRITICAL else ""


def _line(row: AlertDelivery, count: int) -> str:
    times = f" ×{count}" if count > 1 else ""
    detail = f": {_cut(row.detail, LONGEST_DETAIL)}" if row.detail and row.detail not in row.title else ""
    solved = row.alert.resolved_at if row.alert and row.kind != Kind.OVER else None
    over = f" (over since {solved:%H:%M:%S})" if solved else ""
    return f"{row.created_at:%Y-%m-%d %H:%M:%S} UTC {row.level} {_head(row)}{times}{detail}{over}"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
