"""Turn a classifier's scores into probabilities that mean what they say.

Balanced weights and boosting both bend probabilities, so a threshold on raw scores means nothing. Platt's sigmoid has
two numbers, which a few hundred setups can tell; an isotonic curve wants thousands.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from market.bars import Floats, Ints

EDGE = 1e-6  # of a raw probability: the logarithm of nothing is not a number
BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Sigmoid:
    """``p = 1 / (1 + exp(-(slope * logit(score) + intercept)))``.

    A slope of 0 is the answer where higher scores did not succeed more often: every setup then gets the base rate.
    """

    slope: float
    intercept: float

    def __call__(self, scores: Floats) -> Floats:
        """Return the probabilities of raw scores, both in [0, 1]."""
        return np.asarray(1.0 / (1.0 + np.exp(-(self.slope * _logit(scores) + self.intercept))))


def calibrate(scores: Floats, y: Ints) -> Sigmoid:
    """Return the sigmoid that fits outcomes to raw scores.

    The targets are Platt's (1999, equation 4), a little inside of 0 and 1: with few setups, or with one outcome only,
    no probability becomes certain.

    Parameters
    ----------
    scores : ndarray of shape (n_setups,), float64
        Of setups that the classifier did not see.
    y : ndarray of shape (n_setups,), int64
    """
    n_won, n_lost = int(y.sum()), int(len(y) - y.sum())
    target = np.where(y == 1, (n_won + 1) / (n_won + 2), 1 / (n_lost + 2))
    x = np.tile(_logit(scores), 2)[:, None]
    classes, weights = np.repeat([1, 0], len(y)), np.concatenate([target, 1.0 - target])
    fitted = LogisticRegression(C=1e6, max_iter=1000).fit(x, classes, sample_weight=weights)
    slope = float(fitted.coef_[0, 0])
    if slope > 0.0:
        return Sigmoid(slope=slope, intercept=float(fitted.intercept_[0]))
    base = float(target.mean())
    return Sigmoid(slope=0.0, intercept=float(np.log(base / (1.0 - base))))


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """Setups of about the same probability: its mean, the share that succeeded, and how many they are."""

    probability: float
    success_rate: float
    n: int


def calibration_curve(p: Floats, y: Ints, *, n_bins: int = BINS) -> tuple[CurvePoint, ...]:
    """Return the curve over bins of equal width; empty ones are left out."""
    bins = np.minimum((p * n_bins).astype(np.int64), n_bins - 1)
    return tuple(
        CurvePoint(
            probability=float(p[bins == b].mean()), success_rate=float(y[bins == b].mean()), n=int((bins == b).sum())
        )
        for b in np.unique(bins)
    )


def calibration_error(p: Floats, y: Ints, *, n_bins: int = BINS) -> float:
    """Return the mean distance of the curve from the diagonal, each setup counted once; NaN without setups."""
    if not len(p):
        return float("nan")
    curve = calibration_curve(p, y, n_bins=n_bins)
    return sum(abs(point.probability - point.success_rate) * point.n for point in curve) / len(p)


def curve_data(curve: tuple[CurvePoint, ...]) -> list[dict[str, Any]]:
    """Return the curve as JSON has it."""
    return [asdict(point) for point in curve]


def _logit(scores: Floats) -> Floats:
    p = np.clip(scores, EDGE, 1.0 - EDGE)
    return np.asarray(np.log(p / (1.0 - p)))
