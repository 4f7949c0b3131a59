"""Where the work of a search runs: processes of this machine, or workers anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from django.conf import settings

from ops.errors import DeskError, ExitCode

LOKY, DASK = BACKENDS = ("loky", "dask")
CONNECT_S = 10  # to wait for a scheduler
WORK = "strategies.research.onbars"  # what a worker imports for a search


class BackendError(DeskError):
    """A backend that is set and cannot be used."""

    exit_code = ExitCode.UNREACHABLE


@contextmanager
def fit_backend(jobs: int) -> Iterator[None]:
    """Let joblib use ``jobs`` workers of ``FIT_BACKEND`` inside the block; one works here, whatever the backend.

    Raises
    ------
    BackendError
        ``FIT_BACKEND=dask`` without dask, without ``DASK_SCHEDULER``, without an answer from it, without workers, or
        with workers that lack our code.
    """
    import joblib

    if jobs == 1:
        yield
    elif settings.FIT_BACKEND == DASK:
        with _dask_client(), joblib.parallel_config(backend=DASK, n_jobs=jobs):
            yield
    else:
        with joblib.parallel_config(backend=LOKY, n_jobs=jobs):
            yield


@contextmanager
def _dask_client() -> Iterator[None]:
    """Talk to the scheduler for the block; joblib takes the client that was opened last."""
    if not settings.DASK_SCHEDULER:
        raise BackendError("FIT_BACKEND=dask needs DASK_SCHEDULER, like tcp://10.0.0.5:8786")
    try:
        distributed = import_module("dask.distributed")
    except ImportError as error:
        raise BackendError(
            "FIT_BACKEND=dask needs dask: install requirements-scale.txt, or set FIT_BACKEND=loky"
        ) from error
    try:
        client = distributed.Client(settings.DASK_SCHEDULER, timeout=CONNECT_S)
    except (OSError, ValueError) as error:
        raise BackendError(f"no dask scheduler answers at {settings.DASK_SCHEDULER}: {error}") from error
    with client as connected:
        _require_workers(connected)
        yield


def _require_workers(client: Any) -> None:
    """Raise unless there are workers, and they and the scheduler can import our code: joblib would wait for ever."""
    try:
        client.run_on_scheduler(import_module, WORK)
        workers = client.run(import_module, WORK)
    except ImportError as error:
        raise BackendError(
            f"dask cannot import {WORK} ({error}): start scheduler and workers in the project's folder by "
            "`python -m dask`, with the packages of requirements.txt and requirements-scale.txt"
        ) from error
    if not workers:
        raise BackendError(f"the dask scheduler at {settings.DASK_SCHEDULER} has no workers: start some, or wait")
