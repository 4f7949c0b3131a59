"""Boosted trees on binned features: for minute bars, whose setups are many."""

from __future__ import annotations

from functools import cache
from typing import Any, Self

from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]  # ships no types


class OneThreadBoosting(HistGradientBoostingClassifier):
    """Histogram boosting on one thread.

    A few thousand setups are done before more threads are awake, and threads that wait for each other on a busy
    machine took a hundred times as long.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        with _controller().limit(limits=1, user_api="openmp"):
            super().fit(X, y, sample_weight=sample_weight)
        return self

    def predict_proba(self, X: Any) -> Any:
        with _controller().limit(limits=1, user_api="openmp"):
            return super().predict_proba(X)

    def decision_function(self, X: Any) -> Any:
        with _controller().limit(limits=1, user_api="openmp"):
            return super().decision_function(X)


def build(random_state: int, **params: Any) -> OneThreadBoosting:
    """Return the classifier, not fitted; ``params`` replace our defaults.

    It does not stop early: the part of the setups that it would hold out for that is drawn at random, and overlaps in
    time with the others.
    """
    defaults = {
        "max_iter": 150,
        "learning_rate": 0.05,
        "max_leaf_nodes": 8,
        "min_samples_leaf": 20,
        "l2_regularization": 1.0,
        "early_stopping": False,
    }
    return OneThreadBoosting(random_state=random_state, **(defaults | params))


@cache
def _controller() -> ThreadpoolController:
    """Return the controller of the loaded libraries' threads: looking for those takes milliseconds."""
    return ThreadpoolController()
