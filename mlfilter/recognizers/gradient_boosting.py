"""Boosted trees: small steps on random halves of the setups and few features at each split, as the signal is faint."""

from __future__ import annotations

from typing import Any

from sklearn.ensemble import GradientBoostingClassifier


def build(random_state: int, **params: Any) -> GradientBoostingClassifier:
    """Return the classifier, not fitted; ``params`` replace our defaults."""
    defaults = {
        "n_estimators": 150,
        "learning_rate": 0.05,
        "max_depth": 3,
        "subsample": 0.5,
        "max_features": "sqrt",
        "min_samples_leaf": 20,
    }
    return GradientBoostingClassifier(random_state=random_state, **(defaults | params))
