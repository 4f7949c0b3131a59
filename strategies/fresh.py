"""Open models, predict and fit again in a Python process that has done nothing else.

What a model says must not depend on the process that fitted it: on a cache, on an object that was never written, on
the order in which things were imported. ``check`` starts ``python -m strategies.fresh``, gives it tasks on its standard
input (the signing key too, which no list of processes may show) and bars in a file, and reads what it found.

No Django here: neither side needs the database.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from market.errors import BarsError
from ops.errors import DeskError
from strategies import artifacts
from strategies.errors import StrategyError
from strategies.estimators import build
from strategies.manifests import ModelFileError, Slot
from strategies.provenance import PROJECT

if TYPE_CHECKING:
    import pandas as pd

    from strategies.estimators.base import BaseStrategy

TIMEOUT_S = 600.0  # a first start compiles the kernels
SHOWN_CHARACTERS = 300  # of what a process that failed said last


class FreshProcessError(DeskError):
    """The process itself failed: nothing is known about the models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One stored model to be opened, and to be fitted again with its parameters on its bars.

    Attributes
    ----------
    path, slot, sha256, sources
        As ``artifacts.load`` takes them.
    params : mapping
        All of the strategy's parameters.
    bars : DataFrame
        What it was fitted on.
    """

    path: str
    slot: Slot
    sha256: str
    sources: Mapping[str, str]
    params: Mapping[str, Any]
    bars: pd.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the process found: hashes of the model that it fitted and of the stored one's positions, or an error."""

    refit_sha256: str = ""
    positions_sha256: str = ""
    error: str = ""


def check(tasks: Sequence[Task], *, root: Path, key: bytes, timeout_s: float = TIMEOUT_S) -> list[Answer]:
    """Return what a fresh process says about each task; without tasks none is started.

    Raises
    ------
    FreshProcessError
        It did not end well, or not in time.
    """
    if not tasks:
        return []
    with tempfile.TemporaryDirectory() as folder:
        requests = [_as_request(task, Path(folder)) for task in tasks]
        request = json.dumps({"root": str(root), "key": key.decode(), "tasks": requests})
        replied = _run(request, timeout_s)
    return [Answer(**answer) for answer in replied]


def answer(task: Task, *, root: Path, key: bytes) -> Answer:
    """Return what this process says about a task."""
    try:
        stored = artifacts.load(
            root, task.path, slot=task.slot, sha256=task.sha256, sources=task.sources, key=key
        ).estimator
        fitted = build(task.slot.strategy, **task.params).fit(task.bars)
        return Answer(refit_sha256=artifacts.content_hash(fitted), positions_sha256=positions_hash(stored, task.bars))
    except (StrategyError, ModelFileError, BarsError) as error:
        return Answer(error=str(error))


def positions_hash(estimator: BaseStrategy, bars: pd.DataFrame) -> str:
    """Return the SHA-256 of every position on bars: equal only when they are, to the last bit."""
    import numpy as np

    return hashlib.sha256(estimator.predict(bars).to_numpy(dtype=np.float64).astype("<f8").tobytes()).hexdigest()


# --- between the processes ------------------------------------------------------------------------------------------


def _run(request: str, timeout_s: float) -> list[dict[str, str]]:
    command = [sys.executable, "-m", "strategies.fresh"]
    try:
        done = subprocess.run(  # noqa: S603  # our own module
            command, input=request, capture_output=True, text=True, timeout=timeout_s, cwd=PROJECT, check=False
        )
    except subprocess.TimeoutExpired:
        raise FreshProcessError(f"a fresh process did not check the models within {timeout_s:.0f} s") from None
    if done.returncode != 0:
        said = done.stderr.strip()[-SHOWN_CHARACTERS:] or "nothing"
        raise FreshProcessError(f"a fresh process that checks models ended with {done.returncode}; it said: {said}")
    answers: list[dict[str, str]] = json.loads(done.stdout)
    return answers


def _as_request(task: Task, folder: Path) -> dict[str, Any]:
    """Return a task as JSON; bars go into a file, those of one symbol that several tasks share into one."""
    import numpy as np

    file = folder / f"{id(task.bars)}.npz"
    if not file.exists():
        times = task.bars.index.as_unit("ns").asi8  # type: ignore[attr-defined]
        np.savez(file, times=times, values=task.bars.to_numpy(dtype=np.float64), names=list(task.bars.columns))
    plain = {name: getattr(task, name) for name in ("path", "sha256", "sources", "params")}
    return plain | {"slot": asdict(task.slot), "bars": str(file)}


def _as_task(request: dict[str, Any]) -> Task:
    return Task(**(request | {"slot": Slot(**request["slot"]), "bars": _read_bars(request["bars"])}))


def _read_bars(file: str) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    with np.load(file, allow_pickle=False) as arrays:
        index = pd.DatetimeIndex(arrays["times"].astype("datetime64[ns]"), tz="UTC")
        return pd.DataFrame(arrays["values"], index=index, columns=[str(name) for name in arrays["names"]])


def main() -> None:
    """Answer the tasks on standard input."""
    request = json.load(sys.stdin)
    root, key = Path(request["root"]), request["key"].encode()
    answers = [asdict(answer(_as_task(task), root=root, key=key)) for task in request["tasks"]]
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
