"""Learn which setups work, say how likely one is to, and show what it looks like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from importlib import import_module
from typing import Any, Self, TypedDict

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

from market.bars import Flags, Floats, Ints
from mlfilter.errors import FeatureMismatchError, FilterDataError, FilterError
from mlfilter.ranges import require_fractions, require_whole
from mlfilter.recognizers import RECOGNIZERS
from mlfilter.recognizers.calibration import Sigmoid, calibrate
from mlfilter.recognizers.folds import fit_and_calibration, nanoseconds
from mlfilter.recognizers.trainingset import DIRECTION, TrainingSet, training_set
from mlfilter.recognizers.unseen import report_unseen
from mlfilter.setups import TradeOutcome
from mlfilter.similar import SimilarTrades, far_distance

OUT_OF_DISTRIBUTION = "out_of_distribution"


class TradeQuality(TypedDict):
    """What a recognizer says of one setup; ``confidence`` is None where it cannot say."""

    confidence: float | None
    threshold: float
    approved: bool
    reasons: list[str]
    similar: list[dict[str, Any]]


class MLPatternRecognizer(BaseEstimator):
    """A scaled, calibrated classifier of setups, with the past trades that it knows.

    Parameters
    ----------
    model : str, default="gradient_boosting"
        A key of ``RECOGNIZERS``.
    params : mapping, optional
        Of the classifier, in place of its defaults.
    threshold : float, default=0.65
        The least calibrated probability that is approved.
    embargo : timedelta, default=6 hours
        Between what is learned and what is predicted: the horizon, as time.
    n_folds : int, default=5
        Of the walk-forward test in ``report_``.
    calibration_fraction : float, default=0.25
        The newest share of the setups, which probabilities are calibrated on and trees never see.
    n_similar : int, default=10
    min_similar_win_rate : float, default=0.5
        Of the similar trades; below it a setup is rejected.
    min_outcomes : int, default=50
        With fewer past trades, their win rate rejects nothing.
    n_configurations : int, default=1
        How many were tried, this one included; for the report.
    random_state : int, default=0

    Attributes
    ----------
    feature_names_ : tuple of str
        In the order in which they are served.
    pipeline_, calibration_, similar_, report_
        What ``train`` made.
    """

    def __init__(
        self,
        model: str = "gradient_boosting",
        *,
        params: Mapping[str, Any] | None = None,
        threshold: float = 0.65,
        embargo: timedelta = timedelta(hours=6),
        n_folds: int = 5,
        calibration_fraction: float = 0.25,
        n_similar: int = 10,
        min_similar_win_rate: float = 0.5,
        min_outcomes: int = 50,
        n_configurations: int = 1,
        random_state: int = 0,
    ) -> None:
        self.model = model
        self.params = params
        self.threshold = threshold
        self.embargo = embargo
        self.n_folds = n_folds
        self.calibration_fraction = calibration_fraction
        self.n_similar = n_similar
        self.min_similar_win_rate = min_similar_win_rate
        self.min_outcomes = min_outcomes
        self.n_configurations = n_configurations
        self.random_state = random_state

    # --- learning ---------------------------------------------------------------------------------------------------

    def train(
        self,
        features: pd.DataFrame,
        labels: pd.Series | None = None,
        *,
        forward_returns: pd.Series | None = None,
        success_threshold: float = 0.0,
        known_at: pd.Series | pd.DatetimeIndex,
        r: Sequence[float] | pd.Series | Floats | None = None,
    ) -> Self:
        """Learn from setups, one row each, and report how that does on setups it had not seen.

        Parameters
        ----------
        features : DataFrame of shape (n_setups, n_features)
            Index: open times of the setups' bars, aware UTC, not decreasing. The last column is ``direction``.
        labels : Series of shape (n_setups,)
            1, 0, or NaN while the outcome is open. Either these or ``forward_returns`` are given.
        forward_returns : Series of shape (n_setups,)
            After costs, in the trade's direction; above ``success_threshold`` is a success.
        known_at : of shape (n_setups,)
            Open times of the bars at whose close the outcomes are known; NaT while they are not.
        r : of shape (n_setups,), optional
            What each made, in units of what the stop would have lost.

        Raises
        ------
        FilterDataError
            For too few setups, or setups of one outcome only.
        """
        self._check_params()
        known = training_set(features, _labels(labels, forward_returns, success_threshold), known_at=known_at, r=r)
        if not known.names or known.names[-1] != DIRECTION:
            raise FeatureMismatchError(f"the last feature must be {DIRECTION}, were {', '.join(known.names) or 'none'}")
        self.feature_names_ = known.names
        self.report_ = report_unseen(self, known)
        self._fit(known)
        return self

    def fit_known(self, known: TrainingSet) -> Self:
        """Learn from setups that were checked before, without a report: for the folds of a backtest."""
        self.feature_names_ = known.names
        self._fit(known)
        return self

    def _fit(self, known: TrainingSet) -> None:
        embargo = nanoseconds(self.embargo)
        fit, late = fit_and_calibration(
            known.times, known.known_at, fraction=self.calibration_fraction, embargo=embargo
        )
        y = known.y[fit]
        if not 0 < int(y.sum()) < len(y):
            raise FilterDataError(f"{len(y)} setups to fit on are all {'successes' if y.all() else 'failures'}")
        self.pipeline_ = make_pipeline(
            StandardScaler(), build_classifier(self.model, self.random_state, self.params or {})
        )
        weights = compute_sample_weight("balanced", y)
        self.pipeline_.fit(known.X[fit], y, **{f"{self.pipeline_.steps[-1][0]}__sample_weight": weights})
        self.calibration_: Sigmoid = calibrate(self._raw(known.X[late]), known.y[late])
        scaled = self.pipeline_[0].transform(known.X)
        sides = np.sign(known.X[:, -1]).astype(np.int64)
        self.similar_ = SimilarTrades(scaled, known.times, sides, known.y, known.r, far_distance(scaled))

    def _check_params(self) -> None:
        require_fractions(
            (0.0, 1.0),
            threshold=self.threshold,
            min_similar_win_rate=self.min_similar_win_rate,
            calibration_fraction=self.calibration_fraction,
        )
        require_whole((1, 100), n_folds=self.n_folds)
        require_whole((1, 1000), n_similar=self.n_similar)

    # --- judging ----------------------------------------------------------------------------------------------------

    def score(self, features: pd.DataFrame) -> Floats:
        """Return the calibrated probability of every setup, in one batch; NaN where a feature is not finite.

        Raises
        ------
        FeatureMismatchError
            If the columns are not, in their order, those that it was trained with.
        """
        X = self._checked(features)
        p = np.full(len(X), np.nan)
        fine = np.isfinite(X).all(axis=1)
        if fine.any():
            p[fine] = self.probabilities(X[fine])
        return p

    def approve(self, features: pd.DataFrame) -> tuple[Floats, Flags]:
        """Return probabilities and decisions of many setups, those of ``predict_trade_quality`` for each."""
        p = self.score(features)
        approved = np.full(len(p), False)
        approved[p >= self.threshold] = True  # NaN compares false
        X = self._checked(features)
        for at in np.flatnonzero(approved):
            approved[at] = not self._vetoes(*self.similar_.nearest(self._scaled(X[at]), self.n_similar))
        return p, approved

    def predict_trade_quality(
        self, features_row: Mapping[str, float] | pd.Series, *, threshold: float | None = None
    ) -> TradeQuality:
        """Return what to think of one setup.

        Parameters
        ----------
        features_row : mapping or Series
            The features by name, in the order of ``feature_names_``.
        threshold : float, optional
            In place of its own.

        Raises
        ------
        FeatureMismatchError
            As ``score``. A feature that is not finite is no error: the setup is not approved, and a reason says why.
        """
        row = self._row(features_row)
        limit = self.threshold if threshold is None else threshold
        missing = [name for name, value in zip(self.feature_names_, row, strict=True) if not np.isfinite(value)]
        if missing:
            reason = f"not judged: {', '.join(missing)} not finite"
            return TradeQuality(confidence=None, threshold=limit, approved=False, reasons=[reason], similar=[])
        scaled = self._scaled(row)
        p = float(self.calibration_(self.pipeline_[-1].predict_proba(scaled[None, :])[:, 1])[0])
        nearest = self.similar_.nearest(scaled, self.n_similar)
        vetoes, similar = self._vetoes(*nearest), self.similar_.as_data(*nearest)
        fine = p >= limit
        reasons = [f"confidence {p:.3f} is {'at least' if fine else 'below'} the threshold {limit:.2f}", *vetoes]
        return TradeQuality(
            confidence=p, threshold=limit, approved=fine and not vetoes, reasons=reasons, similar=similar
        )

    def find_similar_trades(
        self, features_row: Mapping[str, float] | pd.Series, n_similar: int = 10
    ) -> list[dict[str, Any]]:
        """Return the most similar past trades, nearest first; ties are broken by their order in time.

        Returns
        -------
        list of dict
            ``bar_at``, ``direction``, ``outcome`` (win or loss), ``r`` and ``distance`` in the scaled space.

        Raises
        ------
        FeatureMismatchError
        FilterError
            If a feature is not finite: nothing is near to it.
        """
        row = self._row(features_row)
        if not np.isfinite(row).all():
            raise FilterError("a setup with a feature that is not finite has no similar trades")
        return self.similar_.as_data(*self.similar_.nearest(self._scaled(row), n_similar))

    def add_trade_outcome(self, features_row: Mapping[str, float] | pd.Series, outcome: TradeOutcome) -> None:
        """Let a trade that ended be among the similar ones from now on; the classifier learns at the next training.

        Raises
        ------
        FeatureMismatchError
        FilterError
            As ``find_similar_trades``.
        """
        row = self._row(features_row)
        if not np.isfinite(row).all():
            raise FilterError("a trade with a feature that is not finite cannot be compared with others")
        at = int(pd.Timestamp(outcome.bar_at).as_unit("ns").value)
        self.similar_ = self.similar_.extended(
            self._scaled(row), at=at, side=outcome.direction.sign, won=outcome.is_win, r=outcome.r
        )

    def _vetoes(self, places: Ints, distances: Floats) -> list[str]:
        """Return why the nearest trades speak against a setup, if they do."""
        vetoes: list[str] = []
        if len(places) and distances[0] > self.similar_.far:
            vetoes.append(
                f"{OUT_OF_DISTRIBUTION}: unlike anything seen, the nearest past trade is {distances[0]:.2f} away, "
                f"99 % of those had one within {self.similar_.far:.2f}"
            )
        n_won = int(self.similar_.won[places].sum())
        if len(self.similar_) >= self.min_outcomes and n_won < self.min_similar_win_rate * len(places):
            vetoes.append(
                f"{n_won} of the {len(places)} most similar trades were won, "
                f"at least {self.min_similar_win_rate:.0%} are needed"
            )
        return vetoes

    def _checked(self, features: pd.DataFrame) -> Floats:
        self._check_names(tuple(map(str, features.columns)))
        return features.to_numpy(dtype=np.float64)

    def _row(self, features_row: Mapping[str, float] | pd.Series) -> Floats:
        self._check_names(tuple(map(str, features_row.keys())))
        values = [np.nan if value is None else value for _, value in features_row.items()]
        return np.array(values, dtype=np.float64)

    def _check_names(self, names: tuple[str, ...]) -> None:
        if names != self.feature_names_:
            raise FeatureMismatchError(_difference(names, self.feature_names_))

    def _scaled(self, row: Floats) -> Floats:
        scaler = self.pipeline_[0]  # whose own transform takes a quarter of a millisecond to check the row
        return np.asarray((row - scaler.mean_) / scaler.scale_)

    def _raw(self, X: Floats) -> Floats:
        return np.asarray(self.pipeline_.predict_proba(X)[:, 1])

    def probabilities(self, X: Floats) -> Floats:
        """Return the calibrated probabilities of finite rows, shape (n_setups,)."""
        return self.calibration_(self._raw(X))


def build_classifier(key: str, random_state: int, params: Mapping[str, Any]) -> Any:
    """Return a classifier of ``RECOGNIZERS``, not fitted.

    Raises
    ------
    FilterError
        No such key; the message has those that are known.
    """
    if key not in RECOGNIZERS:
        raise FilterError(f"no recognizer {key!r}; known: {', '.join(RECOGNIZERS)}")
    module, _, name = RECOGNIZERS[key].rpartition(".")
    return getattr(import_module(module), name)(random_state, **params)


def _labels(labels: pd.Series | None, returns: pd.Series | None, success_threshold: float) -> pd.Series:
    if labels is not None and returns is None:
        return labels
    if returns is not None and labels is None:
        return (returns > success_threshold).astype(np.float64).where(returns.notna())
    raise FilterError("train on labels or on forward_returns: exactly one of them")


def _difference(names: tuple[str, ...], trained: tuple[str, ...]) -> str:
    missing, unknown = [n for n in trained if n not in names], [n for n in names if n not in trained]
    found = [f"missing {', '.join(missing)}"] if missing else []
    found += [f"unknown {', '.join(unknown)}"] if unknown else []
    return f"these are not the features that it was trained with: {'; '.join(found) or 'their order differs'}"
