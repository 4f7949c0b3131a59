"""What one symbol's position should be: models, sum, clip, lots. Nothing here sends anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from loguru import logger

from execution.brokers.base import Broker
from execution.errors import RiskRefusedError, SymbolSkippedError
from execution.models import Decision, RebalanceSettings
from execution.planning.orders import AccountSnapshot, Quote, SymbolSpec
from execution.planning.portfolio import (
    CapitalRule,
    ModelPosition,
    PortfolioTarget,
    SizingCapital,
    capital_per_asset,
    combine,
    effective_capital,
)
from execution.planning.sizing import Sizing, SizingRules, contract_value, size_target
from execution.safety.reads import conversion_rate
from execution.weighting import Weighting, fixed_weights, weigh
from market.models import Symbol
from market.reading import joined_bars
from ops.errors import ExitCode
from strategies import registry
from strategies.errors import StrategyError
from strategies.manifests import ModelFileError

if TYPE_CHECKING:
    import pandas as pd

    from market.bars import BarArrays

# What a mistake in a strategy's code raises, NaN for an answer included.
MISTAKES = (ValueError, ArithmeticError, LookupError, TypeError, AttributeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What all symbols of one session have in common."""

    settings: RebalanceSettings
    snapshot: AccountSnapshot
    capital: SizingCapital  # scaled by the volatility target
    weighting: Weighting
    bar_at: datetime  # open time of the bar that everything has to be based on


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the models of a symbol want together."""

    bar_at: datetime
    portfolio: PortfolioTarget
    missing: tuple[str, ...]  # planned models without an active version: they count as 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedSizing(Sizing):
    """A sizing, and how the symbol's capital came about."""

    weight: Decimal  # fraction of the sizing capital
    capital_scale: Decimal  # by the volatility target; 1 while it is off


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A symbol's target and every number on the way to it."""

    symbol: str
    wish: Wish
    sizing: WeightedSizing
    spec: SymbolSpec
    quote: Quote
    rate: Decimal


def take_moment(snapshot: AccountSnapshot, symbols: Sequence[Symbol], bar_at: datetime) -> Moment:
    """Return settings, capital and weights as they are now.

    Raises
    ------
    RiskRefusedError
        There is no capital, or no equity, to size positions from.
    """
    settings = RebalanceSettings.current()
    try:
        capital = effective_capital(CapitalRule(settings.size_by), fixed=settings.sizing_capital, account=snapshot)
    except ValueError as error:
        raise RiskRefusedError(f"positions cannot be sized: {error}", codes=["sizing:capital"]) from error
    weighting = portfolio_weights([symbol.name for symbol in symbols], settings=settings, bar_at=bar_at)
    capital = _scaled(capital, weighting, snapshot.equity)
    return Moment(settings=settings, snapshot=snapshot, capital=capital, weighting=weighting, bar_at=bar_at)


def portfolio_weights(names: Sequence[str], *, settings: RebalanceSettings, bar_at: datetime) -> Weighting:
    """Return each symbol's share of all that are traded, by the chosen method, and the scale of the capital."""
    return weigh(fixed_weights(names), settings=settings, bar_at=bar_at)


def _scaled(capital: SizingCapital, weighting: Weighting, equity: Decimal) -> SizingCapital:
    """Return the capital by the volatility target, never more than the equity, with all there is to warn of."""
    asked = capital.amount * weighting.scale
    warnings = [capital.warning, *weighting.warnings]
    if asked > equity:
        warnings.append(f"the volatility target asks for a capital of {asked:.2f}, above the equity of {equity}")
    return replace(capital, amount=min(asked, equity), warning="; ".join(filter(None, warnings)))


def decide(symbol: Symbol, moment: Moment, broker: Broker) -> Decided:
    """Return what the symbol's position should be, step by step as ``execution.md`` says.

    Raises
    ------
    SymbolSkippedError
        Bars or models are not fit to decide on; the message names what and why.
    BrokerUnavailableError
        Price or contract could not be read.
    """
    wish = ask_models(symbol, moment)
    spec, quote = broker.spec(symbol.name), broker.quote(symbol.name)
    rate = conversion_rate(broker, spec, moment.snapshot)
    weight = moment.weighting.weights[symbol.name]
    sizing = size_target(
        wish.portfolio.clipped_pct,
        spec=spec,
        contract_value=contract_value(spec, quote.mid, rate),
        capital_per_asset=capital_per_asset(moment.capital.amount, weight),
        rules=SizingRules(
            max_position_pct=moment.settings.max_position_pct, lot_precision=moment.settings.lot_precision
        ),
    )
    sized = WeightedSizing(**asdict(sizing), weight=weight, capital_scale=moment.weighting.scale)
    return Decided(symbol=symbol.name, wish=wish, sizing=sized, spec=spec, quote=quote, rate=rate)


def ask_models(symbol: Symbol, moment: Moment) -> Wish:
    """Return what the active models want on the newest closed bar."""
    from market.bars import bar_arrays

    bars = bar_arrays(fresh_bars(symbol, moment))
    try:
        positions = [_position(model, bars) for model in registry.active(symbol.name)]
    except (StrategyError, ModelFileError) as error:
        raise SymbolSkippedError(f"a model failed: {error}", error.exit_code) from error
    if not positions:
        raise SymbolSkippedError(f"no active model: run `manage.py fit_models --symbol {symbol}`")
    return Wish(
        bar_at=moment.bar_at,
        portfolio=combine(positions, float(moment.settings.max_position_pct)),
        missing=registry.missing_models(symbol.name),
    )


def _position(model: registry.LoadedModel, bars: BarArrays) -> ModelPosition:
    """Ask one model; a mistake in its code keeps its symbol from trading, and no other."""
    try:
        return ModelPosition(
            strategy=model.strategy,
            variant=model.variant,
            version=str(model.version),
            position_pct=model.estimator.one_step_predict(bars),
        )
    except StrategyError:
        raise
    except MISTAKES as error:
        logger.opt(exception=error).bind(symbol=model.symbol, model=model.name).error("a model broke")
        words = f"a model failed: {model.name} v{model.version}: {type(error).__name__}: {error}"
        raise SymbolSkippedError(words, ExitCode.FAILED) from error


def fresh_bars(symbol: Symbol, moment: Moment) -> pd.DataFrame:
    """Return the bars that end with the one that the slot acts on."""
    bars = joined_bars(symbol.name, limit=moment.settings.max_history_hours)
    bars = bars[bars.index <= moment.bar_at]
    newest = bars.index[-1].to_pydatetime() if len(bars) else None
    if newest != moment.bar_at:
        has = f"{newest:%Y-%m-%d %H:%M}" if newest else "none"
        raise SymbolSkippedError(f"the bar of {moment.bar_at:%Y-%m-%d %H:%M} is missing, the newest is {has}")
    return bars


def skipped_in_a_row(symbol: str) -> int:
    """Return how many of the newest decisions of a symbol were skipped, one after the other."""
    count = 0
    for verdict in Decision.objects.filter(symbol=symbol).values_list("verdict", flat=True)[:100]:
        if verdict != "skipped":
            break
        count += 1
    return count
