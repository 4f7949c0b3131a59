"""What a recognizer shows for itself on setups that it had not seen, beside taking every one of them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from market.bars import Floats, Ints
from mlfilter.recognizers.calibration import CurvePoint, calibration_curve, calibration_error

RARE = 0.05  # base rate below which successes are too rare
FEWEST = 10  # successes that are something to learn from


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """What became of the setups that somebody took.

    Attributes
    ----------
    precision, recall : float or None
        Share of those taken that succeeded; share of the successes that were taken. None where that divides by 0.
    mean_r : float or None
        Of those taken, costs included; None where none was or nobody said.
    """

    n: int
    precision: float | None
    recall: float | None
    mean_r: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingReport:
    """Figures on setups that the models had not seen, folds pooled.

    Attributes
    ----------
    auc, log_loss, brier, calibration_error : float or None
        None without both outcomes, or without setups.
    base_log_loss, base_brier : float or None
        The same figures of always saying the base rate.
    importance : dict of str to float
        Fall of the AUC when a feature is shuffled, on the last fold's unseen setups, largest first.
    n_configurations : int
        That were tried before and with this one: the more, the luckier the best one.
    words : tuple of str
        What a person should know, first what is wrong.
    """

    threshold: float
    n_setups: int
    n_unseen: int
    n_folds: int
    base_rate: float | None
    auc: float | None
    log_loss: float | None
    base_log_loss: float | None
    brier: float | None
    base_brier: float | None
    calibration_error: float | None
    highest: float | None
    filtered: Selected
    everything: Selected
    curve: tuple[CurvePoint, ...] = ()
    importance: dict[str, float] = field(default_factory=dict)
    n_configurations: int = 1
    n_left_out: dict[str, int] = field(default_factory=dict)
    words: tuple[str, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """Return the report as JSON has it."""
        return asdict(self) | {"curve": [asdict(point) for point in self.curve], "words": list(self.words)}


def figures(p: Floats, y: Ints, r: Floats, *, threshold: float) -> dict[str, Any]:
    """Return what a ``TrainingReport`` says of probabilities and outcomes, ``words`` among it."""
    base = float(y.mean()) if len(y) else None
    has_both = 0 < int(y.sum()) < len(y)
    constant = np.full(len(y), base if base is not None else np.nan)
    return {
        "threshold": threshold,
        "n_unseen": len(y),
        "base_rate": base,
        "auc": float(roc_auc_score(y, p)) if has_both else None,
        "log_loss": float(log_loss(y, p)) if has_both else None,
        "base_log_loss": float(log_loss(y, constant)) if has_both else None,
        "brier": float(brier_score_loss(y, p)) if has_both else None,
        "base_brier": float(brier_score_loss(y, constant)) if has_both else None,
        "calibration_error": calibration_error(p, y) if len(y) else None,
        "highest": float(p.max()) if len(p) else None,
        "filtered": selected(p >= threshold, y, r),
        "everything": selected(np.full(len(y), True), y, r),
        "curve": calibration_curve(p, y) if len(y) else (),
        "words": words(p, y, threshold=threshold),
    }


def selected(taken: np.ndarray[Any, np.dtype[np.bool_]], y: Ints, r: Floats) -> Selected:
    """Return what became of the setups that were taken."""
    n, n_won, n_successes = int(taken.sum()), int(y[taken].sum()), int(y.sum())
    made = r[taken]
    return Selected(
        n=n,
        precision=n_won / n if n else None,
        recall=n_won / n_successes if n_successes else None,
        mean_r=float(made.mean()) if n and not np.isnan(made).any() else None,
    )


def words(p: Floats, y: Ints, *, threshold: float) -> tuple[str, ...]:
    """Return what a person should know of these probabilities, in sentences; the first says how many are approved."""
    n, n_approved = len(p), int((p >= threshold).sum())
    if n == 0:
        return ("there are no unseen setups to say anything on",)
    said = [f"approves {n_approved} of {n} setups"]
    highest = float(p.max())
    if n_approved == 0:
        said[0] += (
            f": threshold {threshold:.2f} is above the highest calibrated probability {_below(highest, threshold)}"
        )
    elif n_approved == n:
        said[0] += f": threshold {threshold:.2f} is below the lowest calibrated probability, so it filters nothing"
    n_won = int(y.sum())
    if n_won < FEWEST or n_won / n < RARE:
        said.append(f"{n_won} of {n} setups succeeded (base rate {n_won / n:.3f}): too few to learn from")
    if 0 < n_won < n and float(log_loss(y, p)) >= float(log_loss(y, np.full(n, n_won / n))):
        said.append(f"its probabilities say less than the base rate {n_won / n:.2f} alone")
    return tuple(said)


def _below(value: float, limit: float) -> str:
    """Return the value with so many digits that it still reads as below the limit."""
    for digits in range(2, 7):
        text = f"{math.floor(value * 10**digits) / 10**digits:.{digits}f}"
        if float(text) < limit:
            return text
    return repr(value)
