"""Trained filters in the registry of fitted models: one slot a symbol and interval, versions like any model's."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from mlfilter.configuration import TAKER_COLUMNS, rules
from mlfilter.ground import Ground, ground_of
from mlfilter.models import BotSettings, BotSymbol, Outcome, current_settings
from mlfilter.outside import columns_of
from strategies import registry
from strategies.models import FittedModel

if TYPE_CHECKING:
    import pandas as pd

    from mlfilter.proposals import Terms
    from mlfilter.recognizers.recognizer import MLPatternRecognizer

FAMILY = "setup_filter"  # FittedModel.strategy
FROM_FEATURES = "features"  # where a filter's columns come from


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedFilter:
    """A version opened, with today's rules; the recognizer is the caller's own."""

    model: FittedModel
    recognizer: MLPatternRecognizer


def sources(model: FittedModel) -> dict[str, str]:
    """Return the features that this code computes: a file that was trained on others is not opened."""
    from mlfilter.features import OUTSIDE_COLUMNS, get_feature_list
    from mlfilter.recognizers.trainingset import DIRECTION

    names = [*get_feature_list([*TAKER_COLUMNS, *OUTSIDE_COLUMNS]), DIRECTION]
    return dict.fromkeys(names, FROM_FEATURES)


def in_slot(symbol: str, interval: str) -> Any:
    """Return all versions of a registered symbol's filter, as a queryset."""
    return FittedModel.objects.in_slot(symbol=symbol, strategy=FAMILY, variant=interval).select_related("symbol")


def active_filter(symbol: str, interval: str) -> FittedModel | None:
    """Return the version that decides for a registered symbol."""
    found: FittedModel | None = in_slot(symbol, interval).active().first()
    return found


def shadow_filters(symbol: str, interval: str) -> list[FittedModel]:
    """Return the versions that score and decide nothing."""
    return list(in_slot(symbol, interval).filter(status=FittedModel.Status.SHADOW))


def load(model: FittedModel, *, settings: BotSettings | None = None) -> LoadedFilter:
    """Return a version opened after its file was proved ours; it decides by the rules of today's settings.

    Raises
    ------
    ModelFileError
    """
    opened = cast("MLPatternRecognizer", registry.load(model).estimator)
    recognizer = copy.copy(opened)  # the opened one is shared within the process
    recognizer.set_params(**rules(settings or current_settings()))
    return LoadedFilter(model=model, recognizer=recognizer)


def active_recognizer(symbol: BotSymbol) -> MLPatternRecognizer | None:
    """Return what decides for a symbol of the bot, real trades since its training included; None where nothing does.

    Raises
    ------
    UnknownSymbolError, ModelFileError
    """
    from mlfilter.history import klines_symbol

    model = active_filter(klines_symbol(symbol.data_symbol).name, symbol.interval)
    if model is None:
        return None
    loaded = load(model)
    add_outcomes(loaded, symbol.data_symbol)
    return loaded.recognizer


def add_outcomes(loaded: LoadedFilter, data_symbol: str) -> int:
    """Let the real trades that ended after the training be among the similar ones; return how many there were."""
    from mlfilter.outcomes import as_outcome

    model, added = loaded.model, 0
    rows = Outcome.objects.real().filter(
        setup__data_symbol__in=[data_symbol, model.symbol.name, model.symbol.binance_symbol],
        setup__interval=model.variant,
        known_at__gt=model.fit_to,
    )
    for row in rows.select_related("setup").order_by("known_at", "pk"):
        ordered = {name: row.setup.features.get(name) for name in loaded.recognizer.feature_names_}
        if None not in ordered.values():
            loaded.recognizer.add_trade_outcome(ordered, as_outcome(row))
            added += 1
    return added


def bars_for(recognizer: MLPatternRecognizer, bars: pd.DataFrame) -> pd.DataFrame:
    """Return bars with the columns that a recognizer was trained on: without the takers' where it knows of none.

    What it was trained on and the bars lack is not made up: its features are missing, and it refuses them.
    """
    from mlfilter.features import get_feature_list

    with_taker = set(get_feature_list(TAKER_COLUMNS)) - set(get_feature_list())
    if with_taker & set(recognizer.feature_names_):
        return bars
    return bars[[name for name in bars.columns if name not in TAKER_COLUMNS]]


def ground_for(
    recognizer: MLPatternRecognizer, symbol: str, bars: pd.DataFrame, terms: Terms, *, since: datetime | None = None
) -> Ground:
    """Return bars with what a recognizer was trained on beside them, today's settings aside; see ``ground_of``."""
    fed = replace(terms, outside=columns_of(recognizer.feature_names_))
    return ground_of(symbol, bars_for(recognizer, bars), fed, since=since)
