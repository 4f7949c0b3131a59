"""A line through the features: what the trees have to beat."""

from __future__ import annotations

from typing import Any

from sklearn.linear_model import LogisticRegression


def build(random_state: int, **params: Any) -> LogisticRegression:
    """Return the classifier, not fitted; ``params`` replace our defaults."""
    return LogisticRegression(random_state=random_state, **({"C": 0.05, "max_iter": 1000} | params))
