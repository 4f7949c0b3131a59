"""Work of the research cluster for the filter. Jobs take ids and plain values, and are safe to be delivered twice."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from market.errors import MarketError
from mlfilter import monitor, outcomes
from mlfilter.filters import FAMILY
from mlfilter.models import BotSymbol, current_settings
from mlfilter.training import targets, train
from ops import alerts, clock, runs
from ops.audit import SYSTEM
from ops.errors import DeskError
from ops.models import Run
from ops.queues import RESEARCH, enqueue
from strategies.models import FittedModel
from strategies.refitting import period_start

JOB = "setup_train"
UNATTENDED = "setup_train:unattended"  # the alert of trainings that nobody watches


def enqueue_training() -> int | None:
    """Ask for the scheduled training when it is due, once a period; the schedule may come by as often as it likes.

    A symbol that nobody ever trained a filter for is left alone: the first one is a person's.
    """
    days = current_settings().retrain_every_days
    if days == 0 or not BotSymbol.objects.enabled().exists():
        return None
    begins_on = period_start(clock.market_now().date(), days)
    if not FittedModel.objects.kept().filter(strategy=FAMILY).exists():
        return None
    return _enqueue(f"train {begins_on:%Y-%m-%d}").pk


@transaction.atomic
def _enqueue(slot: str) -> Run:
    run, created = runs.create_run(JOB, slot, {"source": SYSTEM.source}, queue=RESEARCH)
    if created:
        enqueue("mlfilter.jobs.train_job", run.pk, queue=RESEARCH)
    return run


def train_job(run_id: int) -> None:
    """Train a candidate for each of the bot's symbols; a run that began before does nothing. Nothing is promoted."""
    run = runs.begin(run_id)
    if run is None:
        return
    try:
        with runs.working(run):
            result = _train_all()
            status = _ending(result)
            runs.finish(run, status, result=result, error="; ".join(result["failed"])[:500])
    finally:
        _alert(run)


def _train_all() -> dict[str, Any]:
    trained, failed = [], []
    for target in targets():
        try:
            trained.append(train(target, note="scheduled training").model.pk)
        except (DeskError, MarketError, OSError) as error:
            failed.append(f"{target.symbol.name} {target.interval}: {error}")
    return {"models": trained, "failed": failed}


def _ending(result: dict[str, Any]) -> Run.Status:
    if not result["failed"]:
        return Run.Status.DONE
    return Run.Status.PARTLY if result["models"] else Run.Status.FAILED


def _alert(run: Run) -> None:
    run.refresh_from_db(fields=["status", "error"])
    if run.status == Run.Status.DONE:
        alerts.resolve_alert(UNATTENDED)
    elif run.status != Run.Status.CANCELLED:
        alerts.raise_alert(UNATTENDED, f"Filters were not trained: {run.error}"[:200], detail=f"{run}: {run.error}")


def follow_setups() -> int:
    """Compute what became of setups that were not traded, and look whether active filters still mean what they say."""
    now = clock.market_now()
    n_new = outcomes.compute_outcomes(now=now)
    monitor.watch(now=now)
    return n_new
