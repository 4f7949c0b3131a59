"""Fit planned models to one symbol's bars. No Django here: a worker process needs none."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loguru import logger

from market.errors import BarsError
from ops.errors import DeskError, ExitCode
from strategies.default_plan import PlannedModel
from strategies.errors import ParameterError, StrategyError
from strategies.estimators import build
from strategies.out_of_sample import HeldOut, at_full_weight, twin_performance

if TYPE_CHECKING:
    import pandas as pd

    from market.bars import BarArrays, Floats
    from strategies.estimators.base import BaseStrategy, Indicators

HOURS_A_DAY = 24
# A mistake in one strategy's code: the other strategies are fitted all the same, and the log has the traceback.
MISTAKES = (ValueError, ArithmeticError, LookupError, TypeError)


class FitError(StrategyError):
    """A fit whose outcome cannot be traded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """One fitted model, not stored yet.

    Attributes
    ----------
    fitted : mapping of str to float or None
        What fitting learned, by attribute name.
    metrics : mapping
        In-sample, at full weight (``strat_weight`` 1), see ``in_sample``; and ``out_of_sample``, a ``Performance`` as
        data, or None where nothing was held out or history is too short for it.
    seconds : float
        Of fitting and measuring, real time.
    """

    planned: PlannedModel
    estimator: BaseStrategy
    fitted: Mapping[str, float | None]
    metrics: Mapping[str, Any]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One model that could not be fitted, and why."""

    planned: PlannedModel
    error: str
    exit_code: ExitCode


def build_planned(planned: PlannedModel) -> BaseStrategy:
    """Return the planned strategy, not fitted, its parameters checked.

    Raises
    ------
    UnknownStrategyError, ParameterError
        The message names what is wrong and what is allowed.
    """
    from strategies.estimators.parameters import check_parameters

    if not isinstance(planned.params, Mapping):
        raise ParameterError(f'params must be an object like {{"vol_window": 720}}, was {planned.params!r}')
    if "strat_weight" in planned.params:
        raise ParameterError("strat_weight is a field of the plan, not one of params")
    strategy = build(planned.strategy, **planned.params, strat_weight=planned.strat_weight)
    check_parameters(type(strategy).__name__, strategy.allowed, strategy.get_params())
    return strategy


def fit_symbols(
    plan: tuple[PlannedModel, ...],
    frames: Iterator[tuple[str, pd.DataFrame]],
    *,
    jobs: int,
    held_out: HeldOut | None = None,
) -> Iterator[tuple[str, list[Fit | Failure]]]:
    """Yield each symbol with its fits, in the order of ``frames``; with ``jobs`` above 1, in that many processes.

    Serial reads one frame at a time and is fast enough for a portfolio: processes take seconds to start. The
    processes are joblib's, so that ``joblib.parallel_config(backend="dask")`` around the call moves them elsewhere.
    """
    if jobs == 1:
        for symbol, bars in frames:
            yield symbol, fit_plan(plan, bars, held_out)
        return
    from joblib import Parallel, delayed

    # Read here and now: joblib pulls later tasks from its own threads, which have no database.
    ready = list(frames)
    fits = Parallel(n_jobs=jobs, return_as="generator")(delayed(fit_plan)(plan, bars, held_out) for _, bars in ready)
    for (symbol, _), outcomes in zip(ready, fits, strict=True):
        yield symbol, outcomes


def fit_plan(
    plan: tuple[PlannedModel, ...], bars: pd.DataFrame, held_out: HeldOut | None = None
) -> list[Fit | Failure]:
    """Fit every planned model to one symbol's bars; a model that fails does not keep the others from fitting."""
    from market.bars import bar_arrays

    try:
        arrays = bar_arrays(bars)  # checked once, and what strategies derive from it is shared
    except BarsError as error:
        return [_failure(planned, error) for planned in plan]
    return [_fit_one(planned, arrays, held_out) for planned in plan]


def _fit_one(planned: PlannedModel, bars: BarArrays, held_out: HeldOut | None) -> Fit | Failure:
    started = time.perf_counter()
    try:
        estimator = build_planned(planned)
        indicators = estimator.indicators(bars)
        estimator.calibrate(indicators)
        fitted = fitted_values(estimator)
        metrics = in_sample(estimator, indicators) | {"out_of_sample": _out_of_sample(estimator, indicators, held_out)}
    except (DeskError, StrategyError) as error:
        return _failure(planned, error)
    except MISTAKES as error:
        logger.opt(exception=error).bind(strategy=planned.strategy, variant=planned.variant).error("fit broke")
        return _failure(planned, FitError(f"{type(error).__name__}: {error}"))
    seconds = time.perf_counter() - started
    return Fit(planned=planned, estimator=estimator, fitted=fitted, metrics=metrics, seconds=seconds)


def fitted_values(estimator: BaseStrategy) -> dict[str, float | None]:
    """Return what fitting learned.

    Raises
    ------
    FitError
        A value is NaN or infinite: positions would be.
    """
    learned = {name: value for name, value in vars(estimator).items() if name.endswith("_") and name[0] != "_"}
    for name, value in learned.items():
        if value is not None and not math.isfinite(value):
            raise FitError(f"{type(estimator).__name__}: fitting gave {name} = {value}")
    return {name: None if value is None else float(value) for name, value in learned.items()}


def in_sample(estimator: BaseStrategy, indicators: Indicators) -> dict[str, Any]:
    """Return how the fitted model would have done on the bars it was fitted on, which flatters it.

    At full weight, without costs, over the bars after its warm-up: ``pnl_volatility`` (fraction of capital a year of
    365 days), ``sharpe`` (the same year; None where the pnl never moves) and ``turnover`` (fraction of capital a day).
    """
    import numpy as np

    from strategies import blocks

    positions: Floats = at_full_weight(estimator).positions(indicators)[estimator.warm_up :]
    pnl = positions[:-1] * indicators.returns[estimator.warm_up + 1 :]
    deviation = float(np.std(pnl, ddof=1))
    sharpe = float(np.mean(pnl)) / deviation * blocks.ANNUAL_ROOT if deviation > 0 else None
    turnover = float(np.mean(np.abs(np.diff(positions)))) * HOURS_A_DAY
    return {"pnl_volatility": deviation * blocks.ANNUAL_ROOT, "sharpe": sharpe, "turnover": turnover}


def _out_of_sample(estimator: BaseStrategy, indicators: Indicators, held_out: HeldOut | None) -> dict[str, Any] | None:
    performance = twin_performance(estimator, indicators, held_out) if held_out else None
    return performance.as_data() if performance else None


def _failure(planned: PlannedModel, error: Exception) -> Failure:
    return Failure(planned=planned, error=str(error), exit_code=exit_code_of(error))


def exit_code_of(error: Exception) -> ExitCode:
    """Return how a command that failed of nothing but this error ends."""
    return ExitCode(getattr(error, "exit_code", ExitCode.FAILED))
