"""What share of the sizing capital each symbol gets, and how much of that capital is used: from rows and stored bars.

A symbol that a person gave no share keeps none, and is no part of any estimate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from loguru import logger

from execution.models import PortfolioWeight, RebalanceSettings
from execution.models.portfolio import FIXED_WEIGHTS
from execution.planning.portfolio import equal_weights
from execution.planning.rounding import decimal_from_float, round_down_to_step
from execution.sessions.slots import HOUR, floor_hour
from market.models import Symbol
from market.reading import read_mtbars
from market.symbols import chosen_symbols
from ops import clock
from strategies.errors import InsufficientHistoryError, StrategyError

if TYPE_CHECKING:
    import pandas as pd

Weights = dict[str, Decimal]  # fractions of the sizing capital, by symbol

WEIGHT_STEP = Decimal("0.000001")
SCALE_STEP = Decimal("0.0001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighting:
    """The weights of a slot, and what the sizing capital is multiplied by."""

    method: str  # that the weights are of: "fixed" where the chosen one was not possible
    weights: Weights
    scale: Decimal = Decimal(1)  # by the volatility target
    warnings: tuple[str, ...] = ()  # what was asked for and not possible, and why


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The past that weights are estimated from."""

    returns: pd.DataFrame  # (lookback, n_symbols): of the symbols that have enough of it
    lacking: dict[str, str]  # why the others have not


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Every method's weights beside each other, and the one that a session would use."""

    bar_at: datetime
    settings: RebalanceSettings
    weights: dict[str, Weights]  # by method; one that is not possible is left out
    volatilities: dict[str, float]  # a year, by method: of holding every symbol at its weight
    used: Weighting
    warnings: tuple[str, ...]


def fixed_weights(names: Iterable[str] = ()) -> Weights:
    """Return the share of every traded symbol, and of ``names``: what a person set, else 1 / n."""
    traded = Symbol.objects.traded().values_list("name", flat=True)
    weights = equal_weights([*traded, *names])
    set_by_hand = dict(PortfolioWeight.objects.values_list("symbol__name", "weight"))
    return {name: set_by_hand.get(name, weight) for name, weight in weights.items()}


def weigh(given: Weights, *, settings: RebalanceSettings, bar_at: datetime) -> Weighting:
    """Return the weights and the scale that the settings ask for, as known when a bar closed.

    Parameters
    ----------
    given : dict of str to Decimal
        The fixed weights of the portfolio. They are used where the chosen method cannot be: all of them, with a
        warning that names the symbol.
    bar_at : datetime
        Open time of the newest bar that counts. Later bars are not read.
    """
    if settings.weighting == FIXED_WEIGHTS and settings.vol_target is None:
        return Weighting(method=FIXED_WEIGHTS, weights=given)
    weighting = _weigh(given, read_history(given, lookback=settings.lookback, bar_at=bar_at), settings)
    for warning in weighting.warnings:
        logger.warning("weights: {}", warning)
    return weighting


def read_history(names: Iterable[str], *, lookback: int, bar_at: datetime) -> History:
    """Return the returns of the last hours up to a bar, of the symbols that have enough of them."""
    import pandas as pd

    from strategies.research.allocation import window_returns

    columns, lacking = {}, {}
    for name in names:
        # One bar more than the window has: the close before it, where its first hour has no bar.
        closes = read_mtbars(name, limit=lookback + 2, until=bar_at + HOUR)["close"]
        try:
            columns[name] = window_returns(closes, until=bar_at, lookback=lookback)
        except StrategyError as error:
            lacking[name] = str(error)
    return History(returns=pd.DataFrame(columns), lacking=lacking)


def weights_by(method: str, given: Weights, history: History) -> Weights:
    """Return the weights that a method of ``ALLOCATIONS`` gives.

    Raises
    ------
    StrategyError
        If it cannot; the message names the symbol that is in the way.
    """
    from strategies.research.allocation import allocate

    if method == FIXED_WEIGHTS:
        return given
    shares = allocate(method, history.returns, _with_history(given, history))
    estimated = {str(name): decimal_from_float(share) for name, share in shares.items()}
    return dict.fromkeys(given, Decimal(0)) | _in_steps(estimated)


def _with_history(weights: Weights, history: History) -> pd.Series:
    """Return the weights above 0, or raise for the first symbol that has one and no history."""
    sharing = {name: weight for name, weight in weights.items() if weight}
    for name in sharing:
        if name in history.lacking:
            raise InsufficientHistoryError(f"{name}: {history.lacking[name]}")
    return _as_series(sharing)


def _in_steps(weights: Weights) -> Weights:
    """Return weights in whole steps that sum to exactly 1: rounded down, and what is left goes to the largest."""
    steps = {name: round_down_to_step(weight, WEIGHT_STEP) for name, weight in weights.items()}
    largest = max(steps, key=steps.__getitem__)
    steps[largest] += 1 - sum(steps.values())
    return steps


def _weigh(given: Weights, history: History, settings: RebalanceSettings) -> Weighting:
    method, warnings = settings.weighting, []
    try:
        weights = weights_by(method, given, history)
    except StrategyError as error:
        warnings.append(f"weights are the fixed ones, not {method}: {error}")
        method, weights = FIXED_WEIGHTS, given
    scale = Decimal(1)
    if settings.vol_target is not None:
        scale, why = _scale(weights, history, settings)
        warnings += why
    return Weighting(method=method, weights=weights, scale=scale, warnings=tuple(warnings))


def _scale(weights: Weights, history: History, settings: RebalanceSettings) -> tuple[Decimal, list[str]]:
    """Return the scale of the capital, rounded down, and warnings.

    A symbol without enough history counts as if its share were spread over the others: what it does is not known, and
    left out altogether it would let the others grow.
    """
    from strategies.research.allocation import annual_volatility, volatility_scale

    known = {name: weight for name, weight in weights.items() if weight and name not in history.lacking}
    warnings = [
        f"the volatility target is estimated without {name}: {why}"
        for name, why in history.lacking.items()
        if weights[name]
    ]
    spread = sum(weights.values()) / (sum(known.values()) or 1)
    try:
        volatility = annual_volatility(history.returns, _as_series(known) * float(spread))
        target, most = float(settings.vol_target or 0), float(settings.max_scale)
        scale = decimal_from_float(volatility_scale(volatility, target=target, max_scale=most))
    except StrategyError as error:
        return min(Decimal(1), settings.max_scale), [*warnings, f"the volatility target is not applied: {error}"]
    return round_down_to_step(scale, SCALE_STEP), warnings


def compare_weights() -> Comparison:
    """Return every method's weights of the traded symbols, as of the newest closed bar.

    Raises
    ------
    UnknownSymbolError
        If nothing is traded.
    """
    settings, bar_at = RebalanceSettings.current(), floor_hour(clock.market_now()) - HOUR
    given = fixed_weights(symbol.name for symbol in chosen_symbols())
    history = read_history(given, lookback=settings.lookback, bar_at=bar_at)
    weights, volatilities, warnings = _by_every_method(given, history)
    return Comparison(
        bar_at=bar_at,
        settings=settings,
        weights=weights,
        volatilities=volatilities,
        used=_weigh(given, history, settings),
        warnings=warnings,
    )


def _by_every_method(given: Weights, history: History) -> tuple[dict[str, Weights], dict[str, float], tuple[str, ...]]:
    """Return weights and volatility by method, and why some have none."""
    from strategies.research.allocation import ALLOCATIONS, annual_volatility

    weights: dict[str, Weights] = {}
    volatilities: dict[str, float] = {}
    warnings: list[str] = []
    for method in ALLOCATIONS:
        try:
            weights[method] = weights_by(method, given, history)
            volatilities[method] = annual_volatility(history.returns, _with_history(weights[method], history))
        except StrategyError as error:
            warnings.append(str(error))
    return weights, volatilities, tuple(dict.fromkeys(warnings))


def _as_series(weights: Mapping[str, Decimal]) -> pd.Series:
    import pandas as pd

    return pd.Series({name: float(weight) for name, weight in weights.items()}, dtype="float64")
