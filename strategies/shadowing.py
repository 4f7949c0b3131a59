"""Shadows predict at every session and are never traded; what they and the traded models said is kept.

The session calls ``observe`` for each symbol when its orders are done. Nothing of it may stop or delay trading: a
shadow that fails is a row that says why, and a table that cannot be written is a warning.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError
from loguru import logger

from market.errors import MarketError
from market.services import joined_bars
from strategies import registry
from strategies.errors import StrategyError
from strategies.manifests import ModelFileError
from strategies.models import FittedModel, LivePrediction

if TYPE_CHECKING:
    import pandas as pd

    from market.bars import BarArrays

HISTORY_BARS = 8760
# What a mistake in a strategy's code raises, NaN for an answer included: a shadow is often new code.
MISTAKES = (ValueError, ArithmeticError, LookupError, TypeError, AttributeError)
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowPosition:
    """What one shadow wants: ``position`` in fractions of capital, or None with the ``error``."""

    model_id: int
    symbol: str
    name: str
    version: int
    position: float | None
    error: str = ""


def shadow_positions(symbol: str, bars: pd.DataFrame | BarArrays) -> tuple[ShadowPosition, ...]:
    """Return what the shadows of a symbol want after the last of ``bars``; one that fails does not stop the others."""
    return tuple(_ask(model, bars) for model in registry.shadows(symbol))


def _ask(model: FittedModel, bars: pd.DataFrame | BarArrays) -> ShadowPosition:
    position, error = None, ""
    try:
        position = _finite(registry.load(model).estimator.one_step_predict(bars))
    except (StrategyError, ModelFileError, MarketError) as failure:
        error = str(failure)
    except MISTAKES as failure:
        error = f"{type(failure).__name__}: {failure}"
        logger.opt(exception=failure).bind(model=str(model)).error("shadow broke")
    return ShadowPosition(
        model_id=model.pk,
        symbol=model.symbol.name,
        name=model.name,
        version=model.version,
        position=position,
        error=error,
    )


def _finite(position: float) -> float:
    if not math.isfinite(position):
        raise ValueError(f"its position is {position}")
    return position


def record_shadows(bar_at: datetime, positions: Sequence[ShadowPosition]) -> None:
    """Keep what shadows wanted on a bar; recorded twice, the first stays."""
    _keep(
        [
            LivePrediction(
                model_id=shadow.model_id, bar_at=bar_at, position=shadow.position, error=shadow.error, was_traded=False
            )
            for shadow in positions
        ]
    )


def record_traded(symbol: str, bar_at: datetime, positions: Sequence[Mapping[str, Any]]) -> None:
    """Keep what the traded models wanted on a bar, as a session reports it; recorded twice, the first stays.

    Parameters
    ----------
    positions : sequence of mapping
        With ``strategy``, ``variant``, ``version`` and ``position_pct``, a fraction of capital.
    """
    models = FittedModel.objects.filter(symbol__name=symbol).values_list("strategy", "variant", "version", "pk")
    ids = {(strategy, variant, str(version)): pk for strategy, variant, version, pk in models}
    said = [((row["strategy"], row["variant"], str(row["version"])), row["position_pct"]) for row in positions]
    _keep(
        [
            LivePrediction(model_id=ids[model], bar_at=bar_at, position=position, was_traded=True)
            for model, position in said
            if model in ids
        ]
    )


def observe(
    symbol: str, bar_at: datetime, *, traded: Sequence[Mapping[str, Any]] = (), limit: int = HISTORY_BARS
) -> tuple[ShadowPosition, ...]:
    """Keep what the traded models said on a bar, ask the shadows what they say, and keep that too.

    For the end of a session, when its orders are done. It raises nothing that can be foreseen: a symbol whose bar is
    missing has no shadows at that bar, as it has no decision.

    Parameters
    ----------
    traded : sequence of mapping
        As ``record_traded``; what the session acted on.
    limit : int, default=8760
        Bars that models see, as the session's do.
    """
    try:
        record_traded(symbol, bar_at, traded)
        positions = _on_stored_bars(symbol, bar_at, limit)
        record_shadows(bar_at, positions)
    except (MarketError, DatabaseError) as error:
        logger.bind(symbol=symbol).warning("shadows were not asked: {}", error)
        return ()
    return positions


def _on_stored_bars(symbol: str, bar_at: datetime, limit: int) -> tuple[ShadowPosition, ...]:
    from market.bars import bar_arrays

    if not registry.shadows(symbol):
        return ()
    bars = joined_bars(symbol, limit, bar_at + HOUR)
    return shadow_positions(symbol, bar_arrays(bars)) if bars.index[-1] == bar_at else ()


def _keep(predictions: list[LivePrediction]) -> None:
    if predictions:
        LivePrediction.objects.bulk_create(predictions, ignore_conflicts=True)
