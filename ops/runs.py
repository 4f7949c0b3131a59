"""Runs: unique per (job, slot), begun once, alive while they beat, never run twice after a crash."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction
from django.db.models import F

from ops import clock
from ops.boot import boot_id
from ops.errors import CancelledError, DeskError
from ops.live import announce
from ops.models import Run

BEAT_EVERY_S = 5.0
DEAD_AFTER_S = 45.0


def create_run(job: str, slot: str, params: dict[str, Any] | None = None, *, queue: str = "") -> tuple[Run, bool]:
    """Return the run of (job, slot) and whether this call made it; asking twice makes one run."""
    with transaction.atomic():
        run, created = Run.objects.get_or_create(job=job, slot=slot, defaults={"params": params or {}, "queue": queue})
        if created:
            announce("jobs", {"id": run.pk})
    return run, created


def exists(job: str, slot: str) -> bool:
    """Return whether anybody asked for the run of (job, slot), whatever became of it."""
    return Run.objects.filter(job=job, slot=slot).exists()


def begin(run_id: int) -> Run | None:
    """Start a queued run; None when it already began or ended, whoever delivered it again."""
    now = clock.wall_now()
    started = Run.objects.filter(pk=run_id, status=Run.Status.QUEUED).update(
        status=Run.Status.RUNNING,
        attempts=F("attempts") + 1,
        started_at=now,
        market_at=clock.market_now(),
        beat_mono=clock.mono(),
        boot=boot_id(),
        pid=os.getpid(),
    )
    if not started:
        return None
    announce("jobs", {"id": run_id})
    return Run.objects.get(pk=run_id)


def finish(run: Run, status: Run.Status, *, result: dict[str, Any] | None = None, error: str = "") -> bool:
    """End a run that has not ended yet; False when somebody closed it before."""
    with transaction.atomic():
        ended = (
            Run.objects.unfinished()
            .filter(pk=run.pk)
            .update(status=status, result=result or {}, error=error, finished_at=clock.wall_now())
        )
        if ended:
            announce("jobs", {"id": run.pk})
    return bool(ended)


def cancel(run_id: int) -> bool:
    """Cancel a run that waits, ask one that works to stop; False when it has ended already."""
    with transaction.atomic():
        now = {"status": Run.Status.CANCELLED, "finished_at": clock.wall_now(), "error": "cancelled before it began"}
        waited = Run.objects.filter(pk=run_id, status=Run.Status.QUEUED).update(cancel_requested=True, **now)
        asked = Run.objects.filter(pk=run_id, status=Run.Status.RUNNING).update(cancel_requested=True)
        if waited or asked:
            announce("jobs", {"id": run_id})
    return bool(waited or asked)


def close_dead_runs() -> list[Run]:
    """Close running runs without a sign of life as crashed, and return them."""
    running = Run.objects.filter(status=Run.Status.RUNNING)
    dead = [run for run in running if run.beat_age_s() > DEAD_AFTER_S or _process_is_gone(run)]
    return [run for run in dead if finish(run, Run.Status.CRASHED, error="its process died")]


def _process_is_gone(run: Run) -> bool:
    if run.boot != boot_id() or run.pid is None:
        return True
    try:
        os.kill(run.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


@contextmanager
def beating(run: Run) -> Iterator[None]:
    """Let the run's row beat from a thread of its own while the block works."""
    stop = threading.Event()
    thread = threading.Thread(target=_beat_until, args=(run.pk, stop), name=f"beat-{run.pk}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def working(run: Run) -> Iterator[None]:
    """Let the run beat while the block works, and end its row when an error ends the block.

    The block itself says with ``finish`` what came of it. Errors of ours end here, with their line in the row.
    """
    try:
        with beating(run):
            yield
    except CancelledError as error:
        finish(run, Run.Status.CANCELLED, error=str(error))
    except DeskError as error:
        finish(run, Run.Status.FAILED, error=str(error))
    finally:
        # Changes nothing after any ending above: only an error that nobody foresaw comes here first.
        finish(run, Run.Status.FAILED, error="ended by an unexpected error; see the log of its process")


def _beat_until(run_id: int, stop: threading.Event) -> None:
    try:
        while not stop.wait(BEAT_EVERY_S):
            Run.objects.filter(pk=run_id).update(beat_mono=clock.mono(), boot=boot_id())
    finally:
        connection.close()
