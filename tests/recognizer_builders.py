"""Setups with a known rule behind their outcomes, and recognizers that are quick to train."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from mlfilter.recognizers.recognizer import MLPatternRecognizer

BAR = timedelta(minutes=15)
HORIZON = 4
QUICK = {"n_estimators": 20}


class Setups:
    """Setups two bars apart; the outcome follows ``edge`` with some chance, and is known ``HORIZON`` bars later.

    ``chance`` is by how much ``edge`` moves the logit of a success: 0 is pure luck.
    """

    def __init__(self, n: int = 600, *, seed: int = 0, chance: float = 3.0, base: float = 0.0) -> None:
        rng = np.random.default_rng(seed)
        index = pd.date_range("2025-01-01", periods=n, freq="30min", tz="UTC", name="open_at")
        edge, noise = rng.normal(size=n), rng.normal(size=n)
        side = rng.choice([-1.0, 1.0], size=n)
        self.features = pd.DataFrame({"edge": edge, "noise": noise, "direction": side}, index=index)
        won = rng.random(n) < 1.0 / (1.0 + np.exp(-(base + chance * edge)))
        self.labels = pd.Series(won.astype(float), index=index)
        self.known_at = index + HORIZON * BAR
        self.r = np.where(won, 4.0 / 3.0, -1.0)

    def train(self, model: str = "logistic_regression", **changed: Any) -> MLPatternRecognizer:
        return make_recognizer(model, **changed).train(self.features, self.labels, known_at=self.known_at, r=self.r)


def make_recognizer(model: str = "logistic_regression", **changed: Any) -> MLPatternRecognizer:
    """Return a recognizer, not trained, whose similar trades veto nothing unless a test wants it."""
    usual = {"embargo": HORIZON * BAR, "threshold": 0.6, "min_similar_win_rate": 0.0, "n_folds": 3}
    if model == "gradient_boosting":
        usual["params"] = QUICK
    if model == "hist_gradient_boosting":
        usual["params"] = {"max_iter": 20}
    return MLPatternRecognizer(model, **(usual | changed))
