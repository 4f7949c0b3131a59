"""Searches on the research queue. Jobs take ids, and are safe to be delivered twice."""

from __future__ import annotations

import uuid
from dataclasses import asdict

from django.db import transaction

from market.symbols import get_symbol
from ops import runs
from ops.audit import Actor
from ops.models import Run
from ops.progress import RowProgress
from ops.queues import RESEARCH, enqueue
from strategies.tuning import TuningRequest, tune_strategy

JOB = "tune_strategy"


@transaction.atomic
def enqueue_tuning(request: TuningRequest, *, actor: Actor) -> Run:
    """Ask the research cluster for a search and return its run, which is its own: asked twice, it is made twice.

    Raises
    ------
    UnknownSymbolError, ParameterError, TuningRequestError
        For what could not be searched; nothing is queued.
    """
    get_symbol(request.symbol)
    request.make_splitter()
    params = {"request": asdict(request), "actor": actor.name, "source": actor.source}
    run, _ = runs.create_run(JOB, str(uuid.uuid4()), params, queue=RESEARCH)
    enqueue("strategies.tuning_jobs.tuning_job", run.pk, queue=RESEARCH)
    return run


def tuning_job(run_id: int) -> None:
    """Make the search that a run asks for; a run that began before does nothing."""
    run = runs.begin(run_id)
    if run is None:
        return
    with runs.working(run):
        actor = Actor(name=run.params["actor"], source=run.params["source"])
        row = tune_strategy(TuningRequest(**run.params["request"]), actor=actor, progress=RowProgress(run))
        runs.finish(run, Run.Status.DONE, result={"tuning": row.pk, "best": row.best, "luck": row.luck})
