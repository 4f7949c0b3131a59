"""Try the filter as it would have been used: trained again and again, each time on what was known by then.

The bars are cut into a first stretch, which is only learned from, and windows of equal time. The model of a window
learned from setups whose outcome was known an embargo before the window's first bar closed, and judges that window
alone. No Django here.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from market.bars import Flags, Floats
from mlfilter.errors import FilterDataError
from mlfilter.proposals import FoundSetups
from mlfilter.recognizers.folds import known_before, nanoseconds
from mlfilter.recognizers.recognizer import MLPatternRecognizer
from mlfilter.recognizers.report import TrainingReport, figures
from mlfilter.recognizers.trainingset import TrainingSet, training_set
from mlfilter.recognizers.unseen import permutation

FIRST_SHARE = 0.25  # of the bars, only learned from
WINDOWS = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One model and the bars that it judged.

    Attributes
    ----------
    known_to : datetime
        Open time of the newest bar that any of its outcomes needed.
    since, until : datetime
        Open times of the first and the last bar of the window.
    """

    known_to: datetime
    since: datetime
    until: datetime
    n_train: int
    n_setups: int
    n_approved: int

    def as_data(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class WalkForward:
    """What the models said of every setup.

    Attributes
    ----------
    probability : ndarray of shape (n_setups,), float64
        NaN where no model was there yet, or a feature is not finite.
    approved : ndarray of shape (n_setups,), bool
    start : int
        The first bar that a model judged.
    """

    probability: Floats
    approved: Flags
    start: int
    windows: tuple[Window, ...]
    report: TrainingReport


def walk_forward(
    found: FoundSetups,
    recognizer: MLPatternRecognizer,
    *,
    n_windows: int = WINDOWS,
    first_share: float = FIRST_SHARE,
) -> WalkForward:
    """Return what clones of ``recognizer`` say, each of its own window.

    Raises
    ------
    FilterDataError
        If no window has enough before it to be trained on.
    """
    labels = found.labels["label"]
    known = training_set(found.features, labels, known_at=found.known_at, r=found.r)
    probability, approved = np.full(len(found), np.nan), np.full(len(found), False)
    windows: list[Window] = []
    importance: dict[str, float] = {}
    for begin, end in _windows(len(found.bars), n_windows, first_share):
        train = _trained_by(known, found, begin, recognizer)
        inside = slice(*np.searchsorted(found.rows, [begin, end]))
        try:
            twin = clone(recognizer).fit_known(train)
        except FilterDataError:
            continue
        probability[inside], approved[inside] = twin.approve(found.features.iloc[inside])
        importance = _importance(twin, known, found, begin, end) or importance
        windows.append(_window(found, train, begin, end, int(approved[inside].sum())))
    if not windows:
        raise FilterDataError(f"{len(known)} setups with an outcome in {len(found.bars)} bars are too few to train on")
    start = int(found.index.searchsorted(pd.Timestamp(windows[0].since)))
    report = _report(found, probability, recognizer, known, importance, len(windows))
    return WalkForward(probability, approved, start, tuple(windows), report)


def _windows(n_bars: int, n_windows: int, first_share: float) -> list[tuple[int, int]]:
    edges = np.linspace(int(n_bars * first_share), n_bars, n_windows + 1).astype(np.int64).tolist()
    return list(pairwise(edges))


def _trained_by(known: TrainingSet, found: FoundSetups, begin: int, recognizer: MLPatternRecognizer) -> TrainingSet:
    moment = int(found.index.as_unit("ns").asi8[begin])
    return known.take(known_before(known.known_at, moment, nanoseconds(recognizer.embargo)))


def _importance(
    twin: MLPatternRecognizer, known: TrainingSet, found: FoundSetups, begin: int, end: int
) -> dict[str, float]:
    """Return the importance of features on a window's setups; asked for the last one only, as it takes long."""
    if end < len(found.bars):
        return {}
    times = found.index.as_unit("ns").asi8
    tested = known.take(known.times >= times[begin])
    return permutation(twin, tested.X, tested.y)


def _window(found: FoundSetups, train: TrainingSet, begin: int, end: int, n_approved: int) -> Window:
    first, last = np.searchsorted(found.rows, [begin, end])
    index = found.index
    return Window(
        known_to=pd.Timestamp(int(train.known_at.max()), tz="UTC").to_pydatetime(),
        since=index[begin].to_pydatetime(),
        until=index[end - 1].to_pydatetime(),
        n_train=len(train),
        n_setups=int(last - first),
        n_approved=n_approved,
    )


def _report(
    found: FoundSetups,
    probability: Floats,
    recognizer: MLPatternRecognizer,
    known: TrainingSet,
    importance: dict[str, float],
    n_windows: int,
) -> TrainingReport:
    labels = found.labels["label"].to_numpy(dtype=np.float64)
    told = np.isfinite(probability) & np.isfinite(labels)
    p, y, r = probability[told], labels[told].astype(np.int64), found.r[told]
    return TrainingReport(
        **figures(p, y, r, threshold=recognizer.threshold),
        n_setups=len(known),
        n_folds=n_windows,
        importance=importance,
        n_configurations=recognizer.n_configurations,
        n_left_out={"outcome still open": known.n_unknown, "feature not finite": known.n_not_finite},
    )
