"""A search finds the same to the bit in one process, in joblib's processes and on a dask cluster."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from importlib.util import find_spec

import numpy as np
import pytest
from joblib import Parallel, delayed

from ops import clock
from ops.clock import SystemClock
from strategies import parallel
from strategies.models import TuningRun
from strategies.parallel import BackendError, fit_backend
from strategies.research.sweep import SweepResult, sweep, sweep_on_workers
from tests.fits_builders import make_symbol, run_command
from tests.processes.running_desk import free_port
from tests.research_builders import price_bars, timeline_of, wishes

pytestmark = pytest.mark.processes
GRID = json.dumps({"vol_window": [20], "min_values": [30], "fast_ema_window": [3, 5, 8]})
TUNE = ("ema_vol", "--symbol", "BTCUSD", "--splitter", "walk_forward", "--splits", "3", "--grid", GRID)


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """Return the address of a cluster of two processes; without dask skip with the reason, but fail under CI."""
    if find_spec("distributed") is None:
        reason = "dask is not installed: see requirements-dev.txt and requirements-scale.txt"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    from dask.distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster:
        yield cluster.scheduler_address


def tune(jobs: int) -> tuple:
    code, document, errors = run_command("tune_strategy", *TUNE, "--jobs", str(jobs))
    assert (code, errors) == (0, ""), document
    row = TuningRun.objects.get(pk=document["data"]["id"])
    return row.trials, row.best, row.n_trials, row.lucky_sharpe, row.luck


def same(a: SweepResult, b: SweepResult) -> bool:
    return a.frame().equals(b.frame())


@pytest.mark.deep
@pytest.mark.django_db
def test_a_tuning_on_dask_is_that_of_one_process_and_of_lokys(scheduler, settings):
    with clock.use(SystemClock()):
        make_symbol(n_bars=900)
        here, on_loky = tune(1), tune(2)
        settings.FIT_BACKEND, settings.DASK_SCHEDULER = "dask", scheduler
        on_dask = tune(2)
    assert here == on_loky == on_dask
    assert len(here[0]) == 3


def test_a_sweep_on_dask_is_that_of_one_process_and_of_lokys(scheduler, settings):
    timeline = timeline_of(price_bars(600))
    variants = [wishes(600, seed=seed) for seed in range(40)]
    here = sweep(timeline, variants)
    with fit_backend(2):
        on_loky = sweep_on_workers(timeline, variants)
    settings.FIT_BACKEND, settings.DASK_SCHEDULER = "dask", scheduler
    with fit_backend(2):
        on_dask = sweep_on_workers(timeline, iter(variants))
    assert same(here, on_loky)
    assert same(here, on_dask)
    assert len(np.unique(here.sharpe)) == 40


def test_the_work_is_done_by_the_clusters_processes(scheduler, settings):
    from dask.distributed import Client

    settings.FIT_BACKEND, settings.DASK_SCHEDULER = "dask", scheduler
    with fit_backend(2):
        pids = set(Parallel()(delayed(os.getpid)() for _ in range(20)))
    with Client(scheduler, set_as_default=False) as client:
        workers = set(client.run(os.getpid).values())
    assert len(workers) == 2
    assert pids <= workers
    assert os.getpid() not in workers


def test_a_scheduler_that_is_gone_is_said_in_one_line(settings, scheduler, monkeypatch):
    monkeypatch.setattr(parallel, "CONNECT_S", 1)
    settings.FIT_BACKEND, settings.DASK_SCHEDULER = "dask", f"tcp://127.0.0.1:{free_port()}"
    with pytest.raises(BackendError, match="no dask scheduler answers at tcp://127"), fit_backend(2):
        pass
