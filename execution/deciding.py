"""What one symbol's position should be: models, sum, clip, lots. Nothing here sends anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from execution.brokers.base import Broker
from execution.errors import SymbolSkippedError
from execution.models import Decision, PortfolioWeight, RebalanceSettings
from execution.planning.orders import AccountSnapshot, Quote, SymbolSpec
from execution.planning.portfolio import (
    CapitalRule,
    ModelPosition,
    PortfolioTarget,
    SizingCapital,
    capital_per_asset,
    combine,
    effective_capital,
    equal_weights,
)
from execution.planning.sizing import Sizing, SizingRules, contract_value, size_target
from execution.safety.reads import conversion_rate
from market.models import Symbol
from market.reading import joined_bars
from strategies import registry
from strategies.errors import StrategyError
from strategies.manifests import ModelFileError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What all symbols of one session have in common."""

    settings: RebalanceSettings
    snapshot: AccountSnapshot
    capital: SizingCapital
    weights: dict[str, Decimal]
    bar_at: datetime  # open time of the bar that everything has to be based on


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the models of a symbol want together."""

    bar_at: datetime
    portfolio: PortfolioTarget
    missing: tuple[str, ...]  # planned models without an active version: they count as 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A symbol's target and every number on the way to it."""

    symbol: str
    wish: Wish
    sizing: Sizing
    spec: SymbolSpec
    quote: Quote
    rate: Decimal


def take_moment(snapshot: AccountSnapshot, symbols: Sequence[Symbol], bar_at: datetime) -> Moment:
    """Return settings, capital and weights as they are now."""
    settings = RebalanceSettings.load()
    capital = effective_capital(CapitalRule(settings.size_by), fixed=settings.sizing_capital, account=snapshot)
    weights = portfolio_weights([symbol.name for symbol in symbols])
    return Moment(settings=settings, snapshot=snapshot, capital=capital, weights=weights, bar_at=bar_at)


def portfolio_weights(names: Sequence[str]) -> dict[str, Decimal]:
    """Return each symbol's share: what a person set, else 1 / n of all that are traded."""
    traded = Symbol.objects.traded().values_list("name", flat=True)
    weights = equal_weights([*traded, *names])
    weights |= dict(PortfolioWeight.objects.values_list("symbol__name", "weight"))
    return {name: weights[name] for name in names}


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
    sizing = size_target(
        wish.portfolio.clipped_pct,
        spec=spec,
        contract_value=contract_value(spec, quote.mid, rate),
        capital_per_asset=capital_per_asset(moment.capital.amount, moment.weights[symbol.name]),
        rules=SizingRules(
            max_position_pct=moment.settings.max_position_pct, lot_precision=moment.settings.lot_precision
        ),
    )
    return Decided(symbol=symbol.name, wish=wish, sizing=sizing, spec=spec, quote=quote, rate=rate)


def ask_models(symbol: Symbol, moment: Moment) -> Wish:
    """Return what the active models want on the newest closed bar."""
    from market.bars import bar_arrays

    bars = bar_arrays(fresh_bars(symbol, moment))
    try:
        models = registry.active(symbol.name)
        positions = [
            ModelPosition(
                strategy=model.strategy,
                variant=model.variant,
                version=str(model.version),
                position_pct=model.estimator.one_step_predict(bars),
            )
            for model in models
        ]
    except (StrategyError, ModelFileError) as error:
        raise SymbolSkippedError(f"a model failed: {error}") from error
    if not positions:
        raise SymbolSkippedError(f"no active model: run `manage.py fit_models --symbol {symbol}`")
    return Wish(
        bar_at=moment.bar_at,
        portfolio=combine(positions, float(moment.settings.max_position_pct)),
        missing=registry.missing_models(symbol.name),
    )


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
