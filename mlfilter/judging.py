"""Who judges the setups of a symbol, what each of them is shown, and what it says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from loguru import logger

from mlfilter.errors import FilterError
from mlfilter.filters import LoadedFilter, active_filter, add_outcomes, ground_for, load, shadow_filters
from mlfilter.ground import Ground, ground_of
from mlfilter.models import BotSettings, BotSymbol
from mlfilter.outside import columns_of
from strategies.manifests import ModelFileError

if TYPE_CHECKING:
    import pandas as pd

    from market.models import Symbol
    from mlfilter.proposals import FoundSetups, Terms
    from mlfilter.recognizers.recognizer import TradeQuality

NO_FILTER = "no filter is active: train one with `manage.py setup_train` and promote it with `manage.py model_promote`"
# What a mistake in a shadow's code raises: it is often new, and decides nothing.
MISTAKES = (ValueError, ArithmeticError, LookupError, TypeError, AttributeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """What judges the setups of one symbol: the version that decides, if there is one, and those that only watch."""

    decider: LoadedFilter | None
    why_none: str
    shadows: tuple[LoadedFilter | int, ...]  # an id: its file cannot be opened

    def uses_outside(self) -> bool:
        """Return whether any of them was trained on more than the bars."""
        loaded = [each for each in (self.decider, *self.shadows) if isinstance(each, LoadedFilter)]
        return any(columns_of(each.recognizer.feature_names_) for each in loaded)


class Scene:
    """The bars of a scan with what each filter was trained on; setups are found once for each list of features.

    Parameters
    ----------
    symbol : Symbol
        Whose bars they are.
    since : datetime
        The first bar whose setups are wanted; earlier ones warm features up.
    """

    def __init__(self, symbol: Symbol, bars: pd.DataFrame, terms: Terms, *, since: datetime) -> None:
        self._name, self._bars, self._terms, self._since = symbol.binance_symbol, bars, terms, since
        self._grounds: dict[tuple[str, ...], Ground] = {}
        self._found: dict[tuple[str, ...], FoundSetups] = {}

    def ground(self, loaded: LoadedFilter | None) -> Ground:
        """Return what a filter reads; without one, what the settings say."""
        key = _features_of(loaded)
        if key not in self._grounds:
            self._grounds[key] = (
                ground_of(self._name, self._bars, self._terms, since=self._since)
                if loaded is None
                else ground_for(loaded.recognizer, self._name, self._bars, self._terms, since=self._since)
            )
        return self._grounds[key]

    def found(self, loaded: LoadedFilter | None) -> FoundSetups:
        """Return the setups with the features of a filter."""
        key = _features_of(loaded)
        if key not in self._found:
            self._found[key] = self.ground(loaded).find()
        return self._found[key]


def open_judge(symbol: BotSymbol, registered: Symbol, settings: BotSettings) -> Judge:
    """Return who judges a symbol's setups; a filter that cannot be opened decides nothing."""
    decider, why_none = None, NO_FILTER
    model = active_filter(registered.name, symbol.interval)
    if model is not None:
        try:
            decider = load(model, settings=settings)
            add_outcomes(decider, symbol.data_symbol)
        except (ModelFileError, FilterError) as error:
            decider, why_none = None, f"the active filter cannot be used: {error}"
    shadows = tuple(_opened(model, settings) for model in shadow_filters(registered.name, symbol.interval))
    return Judge(decider=decider, why_none=why_none, shadows=shadows)


def decide(judge: Judge, scene: Scene, place: int, settings: BotSettings) -> TradeQuality:
    """Return the decision on a setup; without a filter, with one for other features, or blindly, it is no."""
    decider, reasons = judge.decider, [judge.why_none]
    if decider is not None:
        found = scene.found(decider)
        bar_at = found.index[found.rows[place]].to_pydatetime()
        reasons = [f"features: {why}" for why in scene.ground(decider).outside.missing_at(bar_at)]
        if not reasons:
            try:
                return decider.recognizer.predict_trade_quality(found.features.iloc[place])
            except FilterError as error:
                reasons = [f"the active filter cannot judge it: {error}"]
    limit = settings.confidence_threshold
    return {"confidence": None, "threshold": limit, "approved": False, "reasons": reasons, "similar": []}


def shadow_scores(judge: Judge, scene: Scene, place: int) -> dict[str, float | None]:
    """Return what each shadow would have said; one that fails says nothing, and stops nobody."""
    scores: dict[str, float | None] = {}
    for shadow in judge.shadows:
        if isinstance(shadow, int):
            scores[str(shadow)] = None
            continue
        try:
            features = scene.found(shadow).features.iloc[place]
            scores[str(shadow.model.pk)] = shadow.recognizer.predict_trade_quality(features)["confidence"]
        except (FilterError, *MISTAKES) as error:
            logger.bind(model=str(shadow.model)).warning("shadow filter failed: {}", error)
            scores[str(shadow.model.pk)] = None
    return scores


def _opened(model: Any, settings: BotSettings) -> LoadedFilter | int:
    try:
        return load(model, settings=settings)
    except ModelFileError as error:
        logger.bind(model=str(model)).warning("shadow filter not opened: {}", error)
        return int(model.pk)


def _features_of(loaded: LoadedFilter | None) -> tuple[str, ...]:
    return () if loaded is None else tuple(loaded.recognizer.feature_names_)
