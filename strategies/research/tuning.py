"""Search the parameters of a strategy, keep every trial, and say how likely the best of them is luck."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV

from market.bars import BarArrays, Floats, bar_arrays
from strategies.errors import ParameterError
from strategies.estimators.base import BaseStrategy
from strategies.research.deflated import POWERS, Moments, deflated_sharpe, luck_of, power_sums
from strategies.research.errors import SplitError
from strategies.research.metrics import json_number
from strategies.research.onbars import OnBars, rows_and_returns
from strategies.research.scorers import Scorer, SharpeAfterCosts, information_coefficient
from strategies.research.splitters import Split, Splitter

Space = Mapping[str, Any] | Sequence[Mapping[str, Any]]

PREFIX = "strategy__"  # of the strategy's parameters, as parameters of OnBars
SCORE = "score"
SUMS = tuple(f"power_{power}" for power in range(POWERS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One set of parameters, and how it did on bars that it was not fitted on."""

    params: Mapping[str, Any]  # the strategy's own names
    scores: tuple[float, ...]  # one a fold
    mean: float  # of the scores
    std: float  # of the scores, ddof=0
    sharpe: float  # a year, after costs, of the tested bars of all folds together; 0 if it never held anything

    def as_data(self) -> dict[str, Any]:
        """Return the trial for JSON."""
        return {
            "params": dict(self.params),
            "scores": [json_number(score) for score in self.scores],
            "mean": json_number(self.mean),
            "std": json_number(self.std),
            "sharpe": json_number(self.sharpe),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """A search: all of its trials, the best by mean score, and what is left of it after the number of trials."""

    trials: tuple[Trial, ...]  # in the order tried
    best: Trial
    n_trials: int  # these and the earlier ones
    n_bars: int  # different bars that were tested
    lucky_sharpe: float  # a year: what the best of so many trials shows without skill
    deflated_sharpe: float  # probability that the best trial's true Sharpe ratio is above 0; NaN if it never traded

    @property
    def best_params(self) -> Mapping[str, Any]:
        return self.best.params

    @property
    def luck(self) -> float:
        """The probability that the best trial is luck."""
        return 1.0 - self.deflated_sharpe

    def as_data(self) -> dict[str, Any]:
        """Return the search for JSON, None where a figure is undefined."""
        return {
            "trials": [trial.as_data() for trial in self.trials],
            "best": self.best.as_data(),
            "n_trials": self.n_trials,
            "n_bars": self.n_bars,
            "lucky_sharpe": json_number(self.lucky_sharpe),
            "deflated_sharpe": json_number(self.deflated_sharpe),
            "luck": json_number(self.luck),
        }


def tune_strategy(
    strategy: BaseStrategy,
    bars: BarArrays | pd.DataFrame,
    space: Space,
    *,
    splitter: Splitter,
    scorer: Scorer = information_coefficient,
    sharpe: SharpeAfterCosts | None = None,
    earlier_sharpes: Sequence[float] = (),
    n_iter: int | None = None,
    n_jobs: int | None = None,
    random_state: int = 0,
) -> Tuning:
    """Cross-validate sets of parameters and return every trial, scored on bars it was not fitted on.

    A trial that cannot be fitted ends the search with its error: narrow the space, or take longer training blocks.
    Where the jobs run is the caller's to say, with ``joblib.parallel_config``.

    Parameters
    ----------
    strategy : BaseStrategy
        Parameters that are not searched; not changed.
    bars : BarArrays or DataFrame of shape (n_bars, n_columns)
    space : mapping, or sequence of mappings, of parameter name to values
        A grid: lists. With ``n_iter``: lists, or distributions of scipy.
    splitter : Splitter
        See ``research.splitters``; the embargo must be at least 1.
    scorer : Scorer, default=information_coefficient
        What the best has most of, averaged over folds.
    sharpe : SharpeAfterCosts, optional
        Costs and bars a year of the Sharpe ratios.
    earlier_sharpes : sequence of float, optional
        Annual Sharpe ratios (``Trial.sharpe``) of trials made on these bars before: they were chances to be lucky, too.
    n_iter : int, optional
        Draw so many sets at random; by default every combination is tried.
    n_jobs : int, optional
        As in scikit-learn.
    random_state : int, default=0
        Seed of the draws.

    Raises
    ------
    ParameterError
        If the strategy has no parameter of that name, or it may not have a value that is tried.
    SplitError
        If the splitter cannot cut so many bars, or trains on the bar right after one that it tests.
    InsufficientHistoryError, MissingColumnError, MissingHoursError, BarsError
        As ``BaseStrategy.fit``.
    """
    arrays = bars if isinstance(bars, BarArrays) else bar_arrays(bars)
    rows, ahead = rows_and_returns(arrays)
    splits = _separate_splits(splitter.split(rows))
    sharpe = sharpe or SharpeAfterCosts()
    options = {
        "scoring": _Scored(scorer, sharpe),
        "cv": splits,
        "refit": False,
        "n_jobs": n_jobs,
        "error_score": "raise",
    }
    on_bars, named = OnBars(strategy, arrays), _prefixed(strategy, space)
    if n_iter is None:
        search = GridSearchCV(on_bars, named, **options)
    else:
        search = RandomizedSearchCV(on_bars, named, n_iter=n_iter, random_state=random_state, **options)
    results = search.fit(rows.to_numpy(), ahead.to_numpy()).cv_results_
    n_bars = np.unique(np.concatenate([test for _, test in splits])).size
    return _tuning(_Tested(results, len(splits), n_bars), sharpe.bars_per_year, earlier_sharpes)


@dataclass(frozen=True, slots=True)
class _Scored:
    """What is asked of every fold: the score, and the sums from which Sharpe ratios of all folds are made."""

    scorer: Scorer
    sharpe: SharpeAfterCosts

    def __call__(self, estimator: OnBars, X: object, y: npt.ArrayLike) -> dict[str, float]:
        sums = power_sums(self.sharpe.returns(estimator, X, y))
        return {SCORE: self.scorer(estimator, X, y)} | dict(zip(SUMS, sums.tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class _Tested:
    """scikit-learn's table of a search, read by trial."""

    results: Mapping[str, Any]
    n_splits: int
    n_bars: int

    def by_fold(self, name: str) -> Floats:
        """Return an array of shape (n_trials, n_splits)."""
        return np.column_stack([self.results[f"split{fold}_test_{name}"] for fold in range(self.n_splits)])

    def params(self) -> list[dict[str, Any]]:
        return [
            {name.removeprefix(PREFIX): _plain(value) for name, value in params.items()}
            for params in self.results["params"]
        ]

    def moments(self) -> list[Moments]:
        """Return the moments of every trial's returns, all folds together.

        A bar that several folds tested is in the sums as often, but is one observation.
        """
        sums = np.stack([self.by_fold(name).sum(axis=1) for name in SUMS], axis=1)
        return [Moments.of_sums(of_trial).counting(self.n_bars) for of_trial in sums]


def _tuning(tested: _Tested, bars_per_year: float, earlier: Sequence[float]) -> Tuning:
    moments = tested.moments()
    annual = math.sqrt(bars_per_year)
    trials = tuple(
        Trial(
            params=params,
            scores=tuple(scores.tolist()),
            mean=float(scores.mean()),
            std=float(scores.std()),
            sharpe=of_trial.sharpe * annual,
        )
        for params, scores, of_trial in zip(tested.params(), tested.by_fold(SCORE), moments, strict=True)
    )
    best = int(np.argmax([trial.mean for trial in trials]))
    sharpes = [trial.sharpe / annual for trial in trials] + [sharpe / annual for sharpe in earlier]
    return Tuning(
        trials=trials,
        best=trials[best],
        n_trials=len(sharpes),
        n_bars=tested.n_bars,
        lucky_sharpe=luck_of(sharpes) * annual,
        deflated_sharpe=deflated_sharpe(moments[best], sharpes),
    )


def _separate_splits(splits: Iterable[Split]) -> list[Split]:
    """Return the splits; raise where a bar is trained on whose return is what the bar before it is tested by."""
    checked = []
    for fold, (train, test) in enumerate(splits):
        shared = np.intersect1d(train, np.concatenate([test, test + 1]))
        if shared.size:
            raise SplitError(
                f"fold {fold} trains on row {shared[0]}, and row {shared[0] - 1} or {shared[0]} is tested by a return "
                f"that fitting on it reads: the embargo of a splitter must be at least 1"
            )
        checked.append((train, test))
    return checked


def _prefixed(strategy: BaseStrategy, space: Space) -> list[dict[str, Any]]:
    """Return the space in the names of ``OnBars``."""
    spaces = [space] if isinstance(space, Mapping) else list(space)
    for name in (name for one in spaces for name in one):
        if name not in strategy.allowed:
            known = ", ".join(strategy.allowed)
            raise ParameterError(f"{type(strategy).__name__} has no parameter {name!r}; known: {known}")
    return [{PREFIX + name: values for name, values in one.items()} for one in spaces]


def _plain(value: Any) -> Any:
    """Return Python's own number for one of NumPy's."""
    return value.item() if isinstance(value, np.generic) else value
