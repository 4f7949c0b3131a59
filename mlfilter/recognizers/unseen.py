"""Try a recognizer on setups that it has not seen: walk forward, pool the folds, and report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import clone
from sklearn.inspection import permutation_importance

from market.bars import Floats, Ints
from mlfilter.errors import FilterDataError
from mlfilter.recognizers.folds import nanoseconds, walk_forward
from mlfilter.recognizers.report import TrainingReport, figures
from mlfilter.recognizers.trainingset import TrainingSet

if TYPE_CHECKING:
    from mlfilter.recognizers.recognizer import MLPatternRecognizer

SHUFFLES = 5  # of each feature, for its importance


def report_unseen(recognizer: MLPatternRecognizer, known: TrainingSet) -> TrainingReport:
    """Return what clones of a recognizer, each trained on the past of its fold only, said of what followed.

    Raises
    ------
    FilterDataError
        For fewer setups than folds.
    """
    embargo = nanoseconds(recognizer.embargo)
    seen: list[tuple[Floats, Ints, Floats]] = []
    importance: dict[str, float] = {}
    for train, test in walk_forward(known.times, known.known_at, n_folds=recognizer.n_folds, embargo=embargo):
        try:
            twin = clone(recognizer).fit_known(known.take(train))
        except FilterDataError:
            continue  # the first folds of a short history; the report says how many were left
        seen.append((twin.probabilities(known.X[test]), known.y[test], known.r[test]))
        if test[-1] == len(known) - 1:  # the last fold alone: it takes as long as all trainings
            importance = permutation(twin, known.X[test], known.y[test])
    p, y, r = (np.concatenate(parts) for parts in zip(*seen, strict=True)) if seen else _nothing()
    return TrainingReport(
        **figures(p, y, r, threshold=recognizer.threshold),
        n_setups=len(known),
        n_folds=len(seen),
        importance=importance,
        n_configurations=recognizer.n_configurations,
        n_left_out={"outcome still open": known.n_unknown, "feature not finite": known.n_not_finite},
    )


def permutation(recognizer: MLPatternRecognizer, X: Floats, y: Ints) -> dict[str, float]:
    """Return by how much the AUC on setups falls when each feature is shuffled, largest first; empty without both."""
    if not 0 < int(y.sum()) < len(y):
        return {}
    found = permutation_importance(
        recognizer.pipeline_, X, y, scoring="roc_auc", n_repeats=SHUFFLES, random_state=recognizer.random_state
    )
    pairs = zip(recognizer.feature_names_, map(float, found.importances_mean), strict=True)
    return dict(sorted(pairs, key=lambda pair: -pair[1]))


def _nothing() -> tuple[Floats, Ints, Floats]:
    return np.empty(0), np.empty(0, np.int64), np.empty(0)
