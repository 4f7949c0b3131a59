"""Open models, predict and fit again in a Python process that has done nothing else.

What a model says must not depend on the process that fitted it: on a cache, on an object that was never written, on
the order in which things were imported. ``check`` runs this module by ``ops.fresh``, gives it tasks and, in a file,
their bars, and reads what it found.

No Django here: neither side needs the database.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from market.errors import BarsError
from ops.fresh import TIMEOUT_S, ask, serve
from strategies import artifacts
from strategies.errors import StrategyError
from strategies.estimators import build
from strategies.manifests import ModelFileError, Slot

if TYPE_CHECKING:
    import pandas as pd

    from strategies.estimators.base import BaseStrategy


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
        request = {"root": str(root), "key": key.decode(), "tasks": requests}
        replied = ask("strategies.fresh", request, what="the models", timeout_s=timeout_s)
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


def _answer_all(request: dict[str, Any]) -> list[dict[str, str]]:
    root, key = Path(request["root"]), request["key"].encode()
    return [asdict(answer(_as_task(task), root=root, key=key)) for task in request["tasks"]]


if __name__ == "__main__":
    serve(_answer_all)
