"""Open a filter, score with it and train it again in a Python process that has done nothing else.

What a filter says must not depend on the process that trained it. ``check`` runs this module by ``ops.fresh`` and
gives it the request and, in a file, the setups.
The scores are compared, not the files: a tree in memory has padding between its numbers, which a pickle keeps.

No Django here: neither side needs the database.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlfilter.errors import FilterError
from ops.fresh import TIMEOUT_S, ask, serve
from strategies import artifacts
from strategies.manifests import ModelFileError, Slot

if TYPE_CHECKING:
    from mlfilter.recognizers.recognizer import MLPatternRecognizer
    from mlfilter.recognizers.trainingset import TrainingSet

ARRAYS = ("X", "y", "times", "known_at", "r")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One stored filter to be opened, and to be trained again on the same setups.

    Attributes
    ----------
    path, slot, sha256, sources
        As ``artifacts.load`` takes them.
    params : mapping
        Of the recognizer, but for its embargo.
    """

    path: str
    slot: Slot
    sha256: str
    sources: Mapping[str, str]
    params: Mapping[str, Any]
    embargo_s: float
    known: TrainingSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Hashes of what the stored filter and the one trained again say of the setups, or an error."""

    stored_sha256: str = ""
    refit_sha256: str = ""
    error: str = ""


def check(task: Task, *, root: Path, key: bytes, timeout_s: float = TIMEOUT_S) -> Answer:
    """Return what a fresh process says about a task.

    Raises
    ------
    FreshProcessError
        It did not end well, or not in time.
    """
    import numpy as np

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "setups.npz"
        np.savez(file, names=list(task.known.names), **{name: getattr(task.known, name) for name in ARRAYS})
        plain = {name: getattr(task, name) for name in ("path", "sha256", "sources", "params", "embargo_s")}
        request = {"root": str(root), "key": key.decode(), "slot": asdict(task.slot), "setups": str(file)} | plain
        return Answer(**ask("mlfilter.fresh", request, what="the filter", timeout_s=timeout_s))


def answer(task: Task, *, root: Path, key: bytes) -> Answer:
    """Return what this process says about a task."""
    from mlfilter.recognizers.recognizer import MLPatternRecognizer

    try:
        stored = artifacts.load(root, task.path, slot=task.slot, sha256=task.sha256, sources=task.sources, key=key)
        again = MLPatternRecognizer(**task.params, embargo=timedelta(seconds=task.embargo_s)).fit_known(task.known)
        return Answer(
            stored_sha256=scores_hash(stored.estimator, task.known), refit_sha256=scores_hash(again, task.known)
        )
    except (FilterError, ModelFileError) as error:
        return Answer(error=str(error))


def scores_hash(recognizer: MLPatternRecognizer, known: TrainingSet) -> str:
    """Return the SHA-256 of every probability: equal only when they are, to the last bit."""
    return hashlib.sha256(recognizer.probabilities(known.X).astype("<f8").tobytes()).hexdigest()


def _as_task(request: dict[str, Any]) -> Task:
    import numpy as np

    from mlfilter.recognizers.trainingset import TrainingSet

    with np.load(request["setups"], allow_pickle=False) as arrays:
        known = TrainingSet(tuple(map(str, arrays["names"])), *(arrays[name] for name in ARRAYS))
    plain = {name: request[name] for name in ("path", "sha256", "sources", "params", "embargo_s")}
    return Task(slot=Slot(**request["slot"]), known=known, **plain)


def _answer(request: dict[str, Any]) -> dict[str, str]:
    return asdict(answer(_as_task(request), root=Path(request["root"]), key=request["key"].encode()))


if __name__ == "__main__":
    serve(_answer)
