"""Fits that are killed while they write, and fits that run at once, in real processes on a database of their own.

``python -m tests.fit_crashes`` fits a version that trades; then, for every named point, forks a process that fits (or
rolls back) and is killed with SIGKILL at that point, and looks at what is left with a new connection. It prints what it
saw as JSON. It forks, so that pandas and numba are imported once and not once a point.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

NOT_REACHED = 3


def die(*_: Any) -> None:
    """End this process as a power cut does: nothing is cleaned up."""
    os.kill(os.getpid(), signal.SIGKILL)


def before(module: Any, name: str) -> Callable[[], None]:
    """Return how to die when ``module.name`` is called."""
    return lambda: setattr(module, name, die)


def after(module: Any, name: str, *, nth: int = 1) -> Callable[[], None]:
    """Return how to die when the ``nth`` call of ``module.name`` has returned."""

    def arm() -> None:
        real, calls = getattr(module, name), []

        def called(*args: Any, **kwargs: Any) -> Any:
            result = real(*args, **kwargs)
            calls.append(name)
            if len(calls) == nth:
                die()
            return result

        setattr(module, name, called)

    return arm


def half_written(name: str) -> Callable[[], None]:
    """Return how to die when half of a file is on the disk."""

    def arm() -> None:
        real = Path.open

        def opened(self: Path, *args: Any, **kwargs: Any) -> Any:
            file = real(self, *args, **kwargs)
            if self.name == name and "x" in file.mode:
                file.write = lambda data: die(os.write(file.fileno(), data[: len(data) // 2]))
            return file

        Path.open = opened  # type: ignore[method-assign]

    return arm


def fit_points() -> dict[str, Callable[[], None]]:
    """Return every moment of a fit that leaves something else on the disk or in the database."""
    from strategies import artifacts, lifecycle, versions

    return {
        "the draft's folder is made": after(artifacts.tempfile, "mkdtemp"),
        "the model is half written": half_written(artifacts.MODEL_FILE),
        "the model is written": after(artifacts.os, "fsync", nth=1),
        "the manifest is half written": half_written(artifacts.MANIFEST_FILE),
        "both are written": after(artifacts, "_write_both"),
        "the draft is verified": before(artifacts, "_move_into_place"),
        "the folder is in place": after(artifacts, "_move_into_place"),
        "the file is saved, the row is not": before(versions, "_register"),
        "the row is written, nothing else is": before(lifecycle, "activate"),
        "the old version is retired, the new one not active": after(lifecycle, "_set_status", nth=1),
        "the new version is active, not audited": after(lifecycle, "_set_status", nth=2),
        "all is written, not committed": after(lifecycle, "_tell"),
        "it is committed": after(versions, "_register"),
    }


def rollback_points() -> dict[str, Callable[[], None]]:
    from strategies import lifecycle

    return {
        "the new version is retired, the old one not active": after(lifecycle, "_set_status", nth=1),
        "the old version is active, not audited": after(lifecycle, "_set_status", nth=2),
        "all is written, not committed": after(lifecycle, "_tell"),
    }


def in_a_process(act: Callable[[], None], arm: Callable[[], None] = lambda: None) -> int:
    """Start a process that acts, armed to die somewhere, and return its id."""
    from django.db import connections

    connections.close_all()
    pid = os.fork()
    if pid:
        return pid
    try:
        arm()
        act()
    finally:
        os._exit(NOT_REACHED)


def ended_by(pid: int) -> int:
    """Wait for a process and return the signal that ended it, or minus its exit code."""
    status = os.waitpid(pid, 0)[1]
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)


def look() -> dict[str, Any]:
    """Return what trades now, as a session would find it, and whether every row has its whole file."""
    from market.reading import joined_bars
    from strategies import registry
    from strategies.manifests import ModelFileError
    from strategies.models import FittedModel

    damaged = []
    for model in FittedModel.objects.select_related("symbol"):
        try:
            registry.load(model)
        except ModelFileError as error:
            damaged.append(str(error))
    bars = joined_bars("BTCUSD")
    active = registry.active("BTCUSD")
    return {
        "active": [model.version for model in active],
        "positions": [model.estimator.one_step_predict(bars) for model in active],
        "statuses": dict(FittedModel.objects.order_by("version").values_list("version", "status")),
        "damaged": damaged,
    }


def fit() -> None:
    from strategies.fitting import fit_models

    assert not fit_models().failed


def roll_back() -> None:
    from ops.audit import SYSTEM
    from strategies import lifecycle
    from strategies.models import FittedModel

    lifecycle.rollback(FittedModel.objects.active().get().pk, actor=SYSTEM)


def crashes(points: dict[str, Callable[[], None]], act: Callable[[], None]) -> dict[str, Any]:
    """Return for each point how the process ended, and what was there before and after."""
    seen = {}
    for name, arm in points.items():
        found = look()
        signal_number = ended_by(in_a_process(act, arm))
        seen[name] = {"signal": signal_number, "before": found, "after": look()}
    return seen


def at_once(n: int) -> dict[str, Any]:
    """Let so many processes fit the same slot from the same moment on."""
    go, gate = os.pipe()

    def waiting() -> None:
        os.close(gate)
        os.read(go, 1)  # returns when the other end is closed everywhere
        fit()
        os._exit(0)

    pids = [in_a_process(waiting) for _ in range(n)]
    os.close(gate)
    return {"ended": [ended_by(pid) for pid in pids], "after": look()}


def main() -> None:
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    from django.conf import settings

    from ops import clock
    from ops.clock import SystemClock
    from tests.fits_builders import make_symbol, plan_row

    with clock.use(SystemClock()):
        make_symbol()
        plan_row()
        fit()
        killed = crashes(fit_points(), fit)
        fit()  # after all of that
        whole = look()
        rolled = crashes(rollback_points(), roll_back)
        roll_back()
        result = {"fits": killed, "whole": whole, "rollbacks": rolled, "rolled_back": look(), "at_once": at_once(2)}
    result["drafts"] = len(list(Path(settings.MODEL_DIR).glob("*/.unfinished-*")))
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
