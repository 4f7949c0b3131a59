"""Open a filter, score with it and train it again in a Python process that has done nothing else.

What a filter says must not depend on the process that trained it. ``check`` starts ``python -m mlfilter.fresh``, gives
it the request on its standard input (the signing key too, which no list of processes may show) and the setups in a
file.
The scores are compared, not the files: a tree in memory has padding between its numbers, which a pickle keeps.

No Django here: neither side needs the database.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlfilter.errors import FilterError
from strategies import artifacts
from strategies.fresh import FreshProcessError
from strategies.manifests import ModelFileError, Slot
from strategies.provenance import PROJECT

if TYPE_CHECKING:
    from mlfilter.recognizers.recognizer import MLPatternRecognizer
    from mlfilter.recognizers.trainingset import TrainingSet

TIMEOUT_S = 600.0
SHOWN_CHARACTERS = 300  # of what a process that failed said last
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
        return Answer(**_run(json.dumps(request), timeout_s))


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


def _run(request: str, timeout_s: float) -> dict[str, str]:
    command = [sys.executable, "-m", "mlfilter.fresh"]
    try:
        done = subprocess.run(  # noqa: S603  # our own module
            command, input=request, capture_output=True, text=True, timeout=timeout_s, cwd=PROJECT, check=False
        )
    except subprocess.TimeoutExpired:
        raise FreshProcessError(f"a fresh process did not check the filter within {timeout_s:.0f} s") from None
    if done.returncode != 0:
        said = done.stderr.strip()[-SHOWN_CHARACTERS:] or "nothing"
        raise FreshProcessError(f"a fresh process that checks a filter ended with {done.returncode}; it said: {said}")
    found: dict[str, str] = json.loads(done.stdout)
    return found


def _as_task(request: dict[str, Any]) -> Task:
    import numpy as np

    from mlfilter.recognizers.trainingset import TrainingSet

    with np.load(request["setups"], allow_pickle=False) as arrays:
        known = TrainingSet(tuple(map(str, arrays["names"])), *(arrays[name] for name in ARRAYS))
    plain = {name: request[name] for name in ("path", "sha256", "sources", "params", "embargo_s")}
    return Task(slot=Slot(**request["slot"]), known=known, **plain)


def main() -> None:
    """Answer the task on standard input."""
    request = json.load(sys.stdin)
    found = answer(_as_task(request), root=Path(request["root"]), key=request["key"].encode())
    json.dump(asdict(found), sys.stdout)


if __name__ == "__main__":
    main()
