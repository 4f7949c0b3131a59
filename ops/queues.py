"""Work for the two django-q2 clusters, and signs of life that went through their queues."""

from __future__ import annotations

from typing import Any

from django_q.models import OrmQ
from django_q.tasks import async_task

from ops import heartbeats
from ops.models import Run

TRADING = "trading"
RESEARCH = "research"
QUEUES = (TRADING, RESEARCH)
BEAT_EVERY_S = 15.0
DEAD_AFTER_S = 45.0


def enqueue(function: str, *args: Any, queue: str) -> None:
    """Put a call of a dotted function with plain values into a queue, to be tried once."""
    async_task(function, *args, cluster=queue, ack_failure=True)


def beat_name(queue: str) -> str:
    """Return the heartbeat that arrives through a queue."""
    return f"queue:{queue}"


def send_beat(queue: str) -> bool:
    """Send a heartbeat through the queue; False while the one before still waits in it."""
    sent, received = heartbeats.age_s(f"{beat_name(queue)}:sent"), heartbeats.age_s(beat_name(queue))
    is_waiting = sent < received and OrmQ.objects.filter(key=queue).exists()
    if is_waiting or sent < BEAT_EVERY_S:
        return False
    heartbeats.beat(f"{beat_name(queue)}:sent")
    enqueue("ops.jobs.queue_beat", queue, queue=queue)
    return True


def is_dead(queue: str) -> bool:
    """Return whether neither the queue nor a run that it works on gave a sign of life lately."""
    if heartbeats.age_s(beat_name(queue)) <= DEAD_AFTER_S:
        return False
    running = Run.objects.filter(status=Run.Status.RUNNING, queue=queue)
    return all(run.beat_age_s() > DEAD_AFTER_S for run in running)
