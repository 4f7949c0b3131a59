"""What each model of a stored backtest wanted, asked once more: the same versions, or the plan fitted again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from strategies import registry
from strategies.backtesting.positions import deciding_hours
from strategies.backtesting.requests import HOUR, BacktestRequest
from strategies.default_plan import PlannedModel
from strategies.errors import StrategyError
from strategies.fits import Fit, fit_plan
from strategies.models import FittedModel

if TYPE_CHECKING:
    import pandas as pd

    from strategies.research.pnl import ModelName


class ModelGoneError(StrategyError):
    """A version that a backtest asked and that is not there any more."""


def model_positions(
    config: Mapping[str, Any], request: BacktestRequest, bars: Mapping[str, pd.DataFrame]
) -> dict[str, dict[ModelName, pd.Series]]:
    """Return each model's positions, by symbol, at the bars that decide the backtest's slots.

    Parameters
    ----------
    config : mapping
        Of the stored backtest: the versions of its ``models``, or its ``plan``.
    bars : mapping of str to DataFrame
        From ``stored_bars(request)``.

    Raises
    ------
    ModelGoneError, ModelFileError, StrategyError
    """
    if "models" in config:
        return {symbol: _of_versions(config["models"], symbol, request, frame) for symbol, frame in bars.items()}
    plan = tuple(PlannedModel(**planned, enabled=True) for planned in config["plan"])
    return {symbol: _of_plan(plan, request, frame) for symbol, frame in bars.items()}


def _of_versions(
    models: list[dict[str, Any]], symbol: str, request: BacktestRequest, bars: pd.DataFrame
) -> dict[ModelName, pd.Series]:
    from market.bars import bar_arrays
    from strategies.research.pnl import ModelName

    seen, hours = bar_arrays(bars), deciding_hours(bars, request.begin, request.end)
    return {
        ModelName(named["strategy"], named["variant"]): _version(named).estimator.predict(seen)[hours]
        for named in models
        if named["symbol"] == symbol
    }


def _version(named: Mapping[str, Any]) -> registry.LoadedModel:
    wanted = {name: named[name] for name in ("strategy", "variant", "version")}
    row = FittedModel.objects.select_related("symbol").filter(symbol__name=named["symbol"], **wanted).first()
    if row is None:
        words = f"{named['symbol']} {named['strategy']} {named['variant']} v{named['version']}"
        raise ModelGoneError(f"{words} is not in the registry any more")
    return registry.load(row)


def _of_plan(
    plan: tuple[PlannedModel, ...], request: BacktestRequest, bars: pd.DataFrame
) -> dict[ModelName, pd.Series]:
    """Fit the plan at every refit of the backtest, as it did; a model that could not be fitted then held nothing."""
    import pandas as pd

    parts: dict[ModelName, list[pd.Series]] = {}
    for n in range(math.ceil(request.n_slots / request.refit_hours)):
        begin = request.begin + HOUR * request.refit_hours * n
        end = min(begin + HOUR * request.refit_hours, request.end)
        hours = deciding_hours(bars, begin, end)
        if len(hours):
            for name, positions in _until(begin, hours, plan, request, bars).items():
                parts.setdefault(name, []).append(positions)
    index = deciding_hours(bars, request.begin, request.end)
    return {name: pd.concat(own).reindex(index).fillna(0.0) for name, own in parts.items()}


def _until(
    begin: Any, hours: pd.DatetimeIndex, plan: tuple[PlannedModel, ...], request: BacktestRequest, bars: pd.DataFrame
) -> dict[ModelName, pd.Series]:
    from market.bars import bar_arrays
    from strategies.research.pnl import ModelName

    window = request.history_hours
    outcomes = fit_plan(plan, bars[bars.index < begin].tail(window))
    seen = bar_arrays(bars.loc[: hours[-1]].tail(window + request.refit_hours))
    return {
        ModelName(fit.planned.strategy, fit.planned.variant): fit.estimator.predict(seen)[hours]
        for fit in outcomes
        if isinstance(fit, Fit)
    }
