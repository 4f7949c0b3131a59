"""Work of the research cluster. Jobs take ids, and are safe to be delivered twice."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction

from ops import alerts, runs
from ops.audit import SYSTEM, Actor
from ops.errors import ExitCode
from ops.models import AuditEntry, Run
from ops.progress import RowProgress
from ops.queues import RESEARCH, enqueue
from strategies.fitting import FitReport, fit_models
from strategies.refitting import due_refit
from strategies.versions import Activate

JOB = "fit_models"
UNATTENDED = "fit_models:unattended"  # the alert of fits that nobody watches
ENDINGS = {ExitCode.DONE: Run.Status.DONE, ExitCode.PARTLY: Run.Status.PARTLY}


@transaction.atomic
def enqueue_fit(slot: str, options: dict[str, Any], *, actor: Actor) -> Run:
    """Ask the research cluster for a fit, once per slot, and return its run.

    ``options`` are arguments of ``fit_models`` as JSON has them (``until`` in ISO 8601); none means the whole plan.
    """
    params = options | {"actor": actor.name, "source": actor.source}
    run, created = runs.create_run(JOB, slot, params, queue=RESEARCH)
    if created:
        enqueue("strategies.jobs.fit_job", run.pk, queue=RESEARCH)
    return run


def enqueue_refit() -> int | None:
    """Ask for the scheduled refit when it is due, once a period; the schedule may come by as often as it likes."""
    refit = due_refit()
    return enqueue_fit(refit.slot, refit.options, actor=SYSTEM).pk if refit else None


def fit_job(run_id: int) -> None:
    """Fit what the run asks for; a run that began before does nothing."""
    run = runs.begin(run_id)
    if run is None:
        return
    try:
        with runs.working(run):
            report = fit_models(**_arguments(run), progress=RowProgress(run))
            status = ENDINGS.get(report.exit_code, Run.Status.FAILED)
            runs.finish(run, status, result=_result(report), error=_first_error(report))
    finally:
        _alert_if_unattended(run)


def _alert_if_unattended(run: Run) -> None:
    """Tell a person of a scheduled fit that did not fit everything: old models go on trading meanwhile."""
    if run.params.get("source") != SYSTEM.source:
        return
    run.refresh_from_db(fields=["status", "error"])
    if run.status == Run.Status.DONE:
        alerts.resolve_alert(UNATTENDED)
    elif run.status != Run.Status.CANCELLED:
        alerts.raise_alert(UNATTENDED, f"Models were not refitted: {run.error}"[:200], detail=f"{run}: {run.error}")


def _arguments(run: Run) -> dict[str, Any]:
    options = dict(run.params)
    actor = Actor(name=options.pop("actor", "system"), source=options.pop("source", AuditEntry.Source.SYSTEM))
    until = options.pop("until", None)
    activate = Activate(options.pop("activate", Activate.ALWAYS))
    return options | {"actor": actor, "activate": activate, "until": datetime.fromisoformat(until) if until else None}


def _result(report: FitReport) -> dict[str, Any]:
    """Return what the Jobs page shows; the models' rows say the rest."""
    return {
        "models": [model.pk for model in report.models],
        "failed": [failure.as_data() for failure in report.failed],
        "seconds": report.seconds,
    }


def _first_error(report: FitReport) -> str:
    if not report.failed:
        return ""
    first = report.failed[0]
    return f"{len(report.failed)} not fitted; first {first.symbol} {first.strategy} {first.variant}: {first.error}"
