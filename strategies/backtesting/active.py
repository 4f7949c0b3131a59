"""Positions of the models that trade now, and how far those differ from what a session would have heard from them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ops.progress import Progress
from strategies import registry
from strategies.backtesting.positions import NoModelError, Wishes, deciding_hours, naming, total_positions
from strategies.backtesting.requests import BacktestRequest
from strategies.backtesting.windowed import measure_window_drift, sample_of, windowed_positions

if TYPE_CHECKING:
    import pandas as pd

    from strategies.estimators.base import BaseStrategy

    Frames = Mapping[str, pd.DataFrame]

Models = Mapping[str, Sequence[registry.LoadedModel]]
AT_A_TIME = 24  # slots between two looks at whether to go on


def of_active(request: BacktestRequest, bars: Frames, progress: Progress) -> Wishes:
    """Ask the active models on all of history and, on some slots or on all, on a session's window.

    Raises
    ------
    NoModelError, ModelFileError, StrategyError
    """
    models = {name: active_models(name) for name in bars}
    hours = {name: deciding_hours(frame, request.begin, request.end) for name, frame in bars.items()}
    asked = hours if request.is_windowed else {name: sample_of(own) for name, own in hours.items()}
    progress.start(sum(map(_n_parts, asked.values())), "asking the active models")
    positions, drift = {}, []
    for name, frame in bars.items():
        fitted = [model.estimator for model in models[name]]
        with naming(name, frame):
            whole = total_positions(fitted, frame)[hours[name]]
            windowed = _windowed(fitted, frame, asked[name], request.history_hours, progress)
        positions[name] = windowed if request.is_windowed else whole
        drift.append(asdict(measure_window_drift(name, windowed, whole[asked[name]])))
    return Wishes(
        positions=positions,
        made_by={"models": described(models)},
        fitted_to=max(model.manifest.fit_to for own in models.values() for model in own),
        drift=drift,
        warnings=_warming_up(request, bars, models),
    )


def active_models(symbol: str) -> tuple[registry.LoadedModel, ...]:
    """Return the models that trade a symbol; raise ``NoModelError`` where there are none."""
    models = registry.active(symbol)
    if not models:
        raise NoModelError(f"{symbol} has no active model: run `manage.py fit_models --symbol {symbol}`")
    return models


def described(models: Models) -> list[dict[str, Any]]:
    """Return which versions models are."""
    names = ("symbol", "strategy", "variant", "version")
    return [{name: getattr(model, name) for name in names} for own in models.values() for model in own]


def _windowed(
    models: Sequence[BaseStrategy], bars: pd.DataFrame, hours: pd.DatetimeIndex, window: int, progress: Progress
) -> pd.Series:
    """Return windowed positions, telling of them a day at a time: a year takes minutes."""
    import pandas as pd

    parts = []
    for first in range(0, len(hours), AT_A_TIME):
        part = hours[first : first + AT_A_TIME]
        parts.append(windowed_positions(models, bars, part, window))
        progress.advance(f"windows to {part[-1]:%Y-%m-%d %H:%M}")
    joined: pd.Series = pd.concat(parts)
    return joined


def _n_parts(hours: pd.DatetimeIndex) -> int:
    return math.ceil(len(hours) / AT_A_TIME)


def _warming_up(request: BacktestRequest, bars: Frames, models: Models) -> tuple[str, ...]:
    """Say where history before the beginning is too short: a session would sit out, a backtest holds nothing."""
    warnings = []
    for name, frame in bars.items():
        before = int((frame.index < request.begin).sum())
        wanted = max(model.estimator.min_bars for model in models[name])
        if before < wanted:
            warnings.append(f"{name} has {before} bars before the beginning, its models want {wanted}")
    return tuple(warnings)
