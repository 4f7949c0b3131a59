"""Whether the active filter still means what it says: its probabilities against what became of the setups.

Both kinds of outcomes count, those of trades and those computed for setups that were rejected or missed: the question
is whether a setup succeeds, not whether it was traded.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from mlfilter.filters import FAMILY
from mlfilter.models import BotSettings, Outcome, Setup, current_settings
from ops.alerts import Trouble, hold_alerts
from strategies.models import FittedModel

DAYS = 30
FEWEST = 30  # outcomes below which nothing is said: the error of a rate is then above a tenth
MOST_STRANGE = 0.1  # share of setups unlike anything seen; 0.01 of those of the training are
ALERTS = "setup-filter:"
# A person's exit, or the kill switch's, says nothing about a setup.
ENDED = (Outcome.ExitReason.STOP, Outcome.ExitReason.TARGET, Outcome.ExitReason.TIMEOUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a version did live.

    Attributes
    ----------
    n_setups, n_outcomes : int
        Setups that it judged, and those of which the outcome is known.
    success_rate, mean_confidence, calibration_error : float or None
        Of those with an outcome; None without any.
    strange_share : float or None
        Of all that it judged: unlike anything seen.
    """

    n_setups: int
    n_outcomes: int
    success_rate: float | None
    mean_confidence: float | None
    calibration_error: float | None
    strange_share: float | None

    def as_data(self) -> dict[str, Any]:
        return asdict(self)


def measure(model: FittedModel, *, now: datetime, days: int = DAYS) -> Health:
    """Return how a version did on the setups that it judged in the last days."""
    import numpy as np

    from mlfilter.recognizers.calibration import calibration_error
    from mlfilter.recognizers.recognizer import OUT_OF_DISTRIBUTION

    judged = Setup.objects.filter(model=model, confidence__isnull=False, bar_at__gte=now - timedelta(days=days))
    reasons = list(judged.values_list("reasons", flat=True))
    known = judged.exclude(outcome=None).values_list("confidence", "outcome__exit_reason", "outcome__r")
    rows = [(confidence, _succeeded(model, reason, r)) for confidence, reason, r in known if reason in ENDED]
    p = np.array([confidence for confidence, _ in rows], dtype=np.float64)
    y = np.array([success for _, success in rows], dtype=np.int64)
    strange = sum(any(reason.startswith(OUT_OF_DISTRIBUTION) for reason in said) for said in reasons)
    return Health(
        n_setups=len(reasons),
        n_outcomes=len(rows),
        success_rate=float(y.mean()) if len(rows) else None,
        mean_confidence=float(p.mean()) if len(rows) else None,
        calibration_error=calibration_error(p, y) if len(rows) else None,
        strange_share=strange / len(reasons) if reasons else None,
    )


def watch(*, now: datetime, settings: BotSettings | None = None) -> list[Trouble]:
    """Alert of active filters that are off, once per crossing, and close the alerts of those that are not."""
    settings = settings or current_settings()
    active = FittedModel.objects.active().filter(strategy=FAMILY).select_related("symbol")
    troubles = [trouble for model in active for trouble in _troubles(model, measure(model, now=now), settings)]
    hold_alerts(ALERTS, troubles)
    return troubles


def _troubles(model: FittedModel, health: Health, settings: BotSettings) -> list[Trouble]:
    found = []
    name, interval = model.symbol.name, model.variant
    error, strange = health.calibration_error, health.strange_share
    if health.n_outcomes >= FEWEST and error is not None and error > settings.max_calibration_error:
        detail = (
            f"of {health.n_outcomes} setups in {DAYS} days {health.success_rate:.0%} succeeded, it expected "
            f"{health.mean_confidence:.0%}; its probabilities are {error:.3f} off, at most "
            f"{settings.max_calibration_error:g} is allowed. Train again: "
            f"manage.py setup_train --symbol {name}"
        )
        found.append(
            Trouble(f"setup-filter:calibration:{name}:{interval}", f"{model} is not calibrated any more", detail)
        )
    if health.n_setups >= FEWEST and strange is not None and strange > MOST_STRANGE:
        detail = f"{strange:.0%} of {health.n_setups} setups in {DAYS} days are unlike anything that it was trained on"
        found.append(
            Trouble(
                f"setup-filter:drift:{name}:{interval}", f"{model} sees another market than it was trained on", detail
            )
        )
    return found


def _succeeded(model: FittedModel, reason: str, r: float) -> bool:
    """Return whether a setup succeeded by the label that the version was trained on."""
    terms = model.params["terms"]
    if terms["label"] == "triple_barrier":
        return reason == Outcome.ExitReason.TARGET
    return bool(r * terms["barriers"]["stop_pct"] > terms["success_threshold"])
