"""Where the work of a search runs: processes of this machine, or workers anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from django.conf import settings

from ops.errors import DeskError, ExitCode

LOKY, DASK = BACKENDS = ("loky", "dask")


class BackendError(DeskError):
    """A backend that is set and cannot be used."""

    exit_code = ExitCode.UNREACHABLE


@contextmanager
def fit_backend(jobs: int) -> Iterator[None]:
    """Let joblib use ``jobs`` workers of ``FIT_BACKEND`` inside the block; one works here, whatever the backend.

    Raises
    ------
    BackendError
        ``FIT_BACKEND=dask`` without dask, without ``DASK_SCHEDULER``, or without an answer from it.
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
        client = distributed.Client(settings.DASK_SCHEDULER)
    except (OSError, ValueError) as error:
        raise BackendError(f"no dask scheduler answers at {settings.DASK_SCHEDULER}: {error}") from error
    with client:
        yield
