"""What goes wrong without anybody there to notice: a dead process, a queue that nobody works on, a failed job."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings

from ops import clock, heartbeats, queues
from ops.alerts import Trouble
from ops.models import Alert, AlertDelivery, Run

SENTINEL_DEAD_AFTER_S = 20.0
FAILURE_COUNTS_FOR = timedelta(days=1)  # of a job that nobody has asked for since
UNDELIVERED_AFTER = timedelta(minutes=10)
ENDED = (Run.Status.DONE, Run.Status.PARTLY, Run.Status.FAILED, Run.Status.CRASHED)
BAD_ENDS = (Run.Status.FAILED, Run.Status.CRASHED)


def silent_processes() -> Iterator[Trouble]:
    """Yield the sentinel when it gives no sign of life."""
    if heartbeats.age_s("sentinel") > SENTINEL_DEAD_AFTER_S:
        yield Trouble(
            "silent:sentinel",
            "The sentinel gives no sign of life: nobody guards the loss limits",
            level=Alert.Level.CRITICAL,
        )


def dead_queues() -> Iterator[Trouble]:
    """Yield the queues that nobody works on; without a sentinel nothing is sent through them, which says nothing."""
    if heartbeats.age_s("sentinel") > SENTINEL_DEAD_AFTER_S:
        return
    for queue in queues.QUEUES:
        if queues.is_dead(queue):
            level = Alert.Level.CRITICAL if queue == queues.TRADING else Alert.Level.WARNING
            yield Trouble(f"queue:{queue}", f"Nobody works on the {queue} queue", level=level)


def failed_jobs() -> Iterator[Trouble]:
    """Yield the jobs of the queues whose newest run did not end well, unless its own alert says so already."""
    since = clock.wall_now() - FAILURE_COUNTS_FOR
    ended = Run.objects.filter(status__in=ENDED, finished_at__gte=since).exclude(queue="").order_by("job", "-pk")
    newest = {run.job: run for run in reversed(ended)}
    for job, run in newest.items():
        if run.status in BAD_ENDS and not (run.status == Run.Status.FAILED and _is_told(job)):
            title = f"{job} of {run.slot} {run.status}: {run.error}"
            yield Trouble(f"job:{job}", title, detail=run.error)


def _is_told(job: str) -> bool:
    """Return whether the job raised an alert itself, as the session and unattended fits do when they can."""
    return Alert.objects.open().filter(key__in=[job, f"{job}:unattended"]).exists()


def undelivered_alerts() -> Iterator[Trouble]:
    """Yield the destinations that have not taken their messages for some time: the others, and the page, say so."""
    for to in settings.ALERT_URLS:
        tried = AlertDelivery.objects.filter(destination=to.key, tried_at__isnull=False)
        last = tried.order_by("-tried_at", "-pk").first()
        if last is None or last.status == AlertDelivery.Status.SENT:
            continue
        if last.status == AlertDelivery.Status.FAILED or last.created_at < clock.wall_now() - UNDELIVERED_AFTER:
            service = to.label.replace(" ", "-")
            yield Trouble(f"undelivered:{service}", f"Alerts do not reach {to.label}: {last.error}")
