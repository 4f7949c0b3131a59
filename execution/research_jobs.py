"""Backtests on the research queue. Jobs take ids, and are safe to be delivered twice."""

from __future__ import annotations

import uuid
from dataclasses import asdict

from django.db import transaction

from execution.backtest_requests import BacktestOptions
from execution.backtesting import run_backtest
from ops import runs
from ops.audit import Actor
from ops.models import Run
from ops.progress import RowProgress
from ops.queues import RESEARCH, enqueue

JOB = "backtest"


@transaction.atomic
def enqueue_backtest(options: BacktestOptions, *, actor: Actor) -> Run:
    """Ask the research cluster for a backtest and return its run, which is its own: asked twice, it is run twice.

    Raises
    ------
    BacktestRequestError, UnknownSymbolError, ParameterError
        For what could not be run; nothing is queued.
    """
    options.request()
    params = asdict(options) | {"symbols": list(options.symbols), "actor": actor.name, "source_of_actor": actor.source}
    run, _ = runs.create_run(JOB, f"{options.engine} {uuid.uuid4()}", params, queue=RESEARCH)
    enqueue("execution.research_jobs.backtest_job", run.pk, queue=RESEARCH)
    return run


def backtest_job(run_id: int) -> None:
    """Run the backtest that a run asks for; a run that began before does nothing."""
    run = runs.begin(run_id)
    if run is None:
        return
    with runs.working(run):
        params = dict(run.params)
        actor = Actor(name=params.pop("actor"), source=params.pop("source_of_actor"))
        row = run_backtest(BacktestOptions(**params), actor=actor, progress=RowProgress(run))
        result = {"backtest": row.pk, "sharpe": row.metrics["sharpe"], "total_return": row.metrics["total_return"]}
        runs.finish(run, Run.Status.DONE, result=result)
