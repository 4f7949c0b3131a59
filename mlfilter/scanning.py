"""Look for setups on the newest closed bar, judge them, and keep what was seen and decided."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from loguru import logger

from market.symbols import get_symbol
from mlfilter.configuration import terms_of
from mlfilter.errors import FilterDataError, FilterError
from mlfilter.filters import LoadedFilter, active_filter, add_outcomes, bars_for, load, shadow_filters
from mlfilter.history import bar_length, klines_symbol, read_bars
from mlfilter.models import BotSettings, BotSymbol, Setup, current_settings
from ops.live import announce
from strategies.manifests import ModelFileError

if TYPE_CHECKING:
    import pandas as pd

    from market.models import Symbol
    from mlfilter.proposals import FoundSetups, Terms
    from mlfilter.recognizers.recognizer import TradeQuality

CONTEXT = ("atr_pct", "vol_ratio", "adx_14", "ema_gap", "rel_volume_20")  # volatility, trend, volume
NO_FILTER = "no filter is active: train one with `manage.py setup_train` and promote it with `manage.py model_promote`"
# What a mistake in a shadow's code raises: it is often new, and decides nothing.
MISTAKES = (ValueError, ArithmeticError, LookupError, TypeError, AttributeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """What judges the setups of one symbol: the version that decides, if there is one, and those that only watch."""

    decider: LoadedFilter | None
    why_none: str
    shadows: tuple[LoadedFilter | int, ...]  # an id: its file cannot be opened


def scan(symbol: BotSymbol, *, now: datetime, settings: BotSettings | None = None) -> tuple[Setup, ...]:
    """Store and judge the setups of the newest closed bar, and return them; scanned again, the first answer stands.

    What cannot be judged is stored, too, and not approved: the reason says why.

    Raises
    ------
    FilterDataError
        The newest closed bar is not stored, or nothing is.
    UnknownSymbolError
    """
    settings = settings or current_settings()
    terms, registered = terms_of(settings, symbol.interval), klines_symbol(symbol.data_symbol)
    bars = _recent_bars(registered, symbol, now)
    bar_at = bars.index[-1].to_pydatetime()
    mine = Setup.objects.filter(
        broker=symbol.broker, symbol=symbol.name, interval=symbol.interval, bar_at=bar_at
    ).select_related("model")
    if mine.exists():
        return tuple(mine)
    judge = open_judge(symbol, registered, settings)
    for row in _judged(symbol, bars, terms, judge, settings, since=bar_at):
        # Whoever scans the same bar at the same moment stores it once.
        _, created = Setup.objects.get_or_create(**_identity(row), defaults=_rest(row))
        if created:
            announce("setups", {"symbol": row.symbol, "bar_at": row.bar_at.isoformat(), "approved": row.approved})
    return tuple(mine.all())


def preview(
    symbol: BotSymbol, *, since: datetime, until: datetime, settings: BotSettings | None = None
) -> tuple[Setup, ...]:
    """Return the setups of all bars in a range as today's filter judges them; nothing is stored.

    A filter that was trained on some of these bars knows what became of them: ``setup_backtest`` does not.

    Raises
    ------
    FilterDataError, UnknownSymbolError
    """
    from mlfilter.features import warmup_bars

    settings = settings or current_settings()
    terms, registered = terms_of(settings, symbol.interval), klines_symbol(symbol.data_symbol)
    warm_up = warmup_bars(symbol.interval) * bar_length(symbol.interval)
    bars = read_bars(registered, symbol.interval, since=since - warm_up, until=until)
    judge = open_judge(symbol, registered, settings)
    return tuple(_judged(symbol, bars, terms, judge, settings, since=since))


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


def _opened(model: Any, settings: BotSettings) -> LoadedFilter | int:
    try:
        return load(model, settings=settings)
    except ModelFileError as error:
        logger.bind(model=str(model)).warning("shadow filter not opened: {}", error)
        return int(model.pk)


def _recent_bars(registered: Symbol, symbol: BotSymbol, now: datetime) -> pd.DataFrame:
    """Return as many bars as features need, the last of which is the newest that is closed by ``now``."""
    from mlfilter.features import warmup_bars

    length = bar_length(symbol.interval)
    bars = read_bars(registered, symbol.interval, limit=warmup_bars(symbol.interval) + 1, until=now)
    newest = bars.index[-1].to_pydatetime()
    if newest + 2 * length <= now:
        raise FilterDataError(
            f"{symbol} is stale: its newest stored bar opened at {newest:%Y-%m-%d %H:%M}, it is {now:%Y-%m-%d %H:%M}"
        )
    return bars


def _judged(
    symbol: BotSymbol, bars: pd.DataFrame, terms: Terms, judge: Judge, settings: BotSettings, *, since: datetime
) -> list[Setup]:
    """Return the setups of the bars from ``since`` on as rows that are not stored; earlier ones warm features up."""
    from mlfilter.proposals import find_setups

    feeds: dict[tuple[str, ...], FoundSetups] = {}

    def found_for(loaded: LoadedFilter | None) -> FoundSetups:
        fed = bars if loaded is None else bars_for(loaded.recognizer, bars)
        key = tuple(map(str, fed.columns))
        if key not in feeds:
            feeds[key] = find_setups(fed, terms)
        return feeds[key]

    found = found_for(judge.decider)
    places = [i for i, row in enumerate(found.rows) if found.index[row] >= since]
    return [_row(symbol, found, i, judge, settings, found_for) for i in places]


def _row(
    symbol: BotSymbol, found: FoundSetups, place: int, judge: Judge, settings: BotSettings, found_for: Any
) -> Setup:
    from mlfilter.setups import Barriers, Direction, make_setup
    from mlfilter.signals import SIGNALS

    at = int(found.rows[place])
    features = {str(name): float(value) for name, value in found.features.iloc[place].items()}
    direction = Direction.LONG if found.direction.iloc[at] > 0 else Direction.SHORT
    quality = _quality(judge, features, settings)
    proposed = make_setup(
        symbol.name,
        found.index[at].to_pydatetime(),
        direction=direction,
        entry=float(found.bars["close"].iloc[at]),
        barriers=Barriers(stop_pct=settings.stop_pct, target_pct=settings.target_pct, horizon=settings.horizon),
        threshold=quality["threshold"],
        confidence=quality["confidence"],
        approved=quality["approved"],
        reasons=tuple(quality["reasons"]),
    )
    kept = {str(name): _finite(value) for name, value in features.items()}
    return Setup(
        symbol=symbol.name,
        broker=symbol.broker,
        data_symbol=symbol.data_symbol,
        interval=symbol.interval,
        bar_at=proposed.bar_at,
        direction=str(direction),
        entry=float(proposed.entry),
        stop=float(proposed.stop),
        target=float(proposed.target),
        signals={name: kept[name] for name in SIGNALS[settings.signal_family].needs},
        context={name: kept[name] for name in CONTEXT if name in kept},
        features=kept,
        confidence=proposed.confidence,
        threshold=proposed.threshold,
        similar=quality["similar"],
        approved=proposed.approved,
        reasons=list(proposed.reasons),
        model=judge.decider.model if judge.decider else None,
        shadows=_shadow_scores(judge, place, found_for),
    )


def _quality(judge: Judge, features: Mapping[str, float], settings: BotSettings) -> TradeQuality:
    """Return the decision; without a filter, or one for other features, it is no."""
    limit = settings.confidence_threshold
    why = judge.why_none
    if judge.decider is not None:
        try:
            return judge.decider.recognizer.predict_trade_quality(features)
        except FilterError as error:
            why = f"the active filter cannot judge it: {error}"
    return {"confidence": None, "threshold": limit, "approved": False, "reasons": [why], "similar": []}


def _shadow_scores(judge: Judge, place: int, found_for: Any) -> dict[str, float | None]:
    """Return what each shadow would have said; one that fails says nothing, and stops nobody."""
    scores: dict[str, float | None] = {}
    for shadow in judge.shadows:
        if isinstance(shadow, int):
            scores[str(shadow)] = None
            continue
        try:
            features = found_for(shadow).features.iloc[place]
            scores[str(shadow.model.pk)] = shadow.recognizer.predict_trade_quality(features)["confidence"]
        except (FilterError, *MISTAKES) as error:
            logger.bind(model=str(shadow.model)).warning("shadow filter failed: {}", error)
            scores[str(shadow.model.pk)] = None
    return scores


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


IDENTITY = ("broker", "symbol", "interval", "bar_at", "direction")


def _identity(row: Setup) -> dict[str, Any]:
    return {name: getattr(row, name) for name in IDENTITY}


def _rest(row: Setup) -> dict[str, Any]:
    fields = [field.name for field in Setup._meta.concrete_fields if field.name not in (*IDENTITY, "id", "created_at")]
    return {name: getattr(row, name) for name in fields}


def watched_symbol(name: str, settings: BotSettings | None = None) -> BotSymbol:
    """Return the bot's symbol of this name, or one that is not stored for a registered symbol the bot lacks.

    Raises
    ------
    UnknownSymbolError
    """
    mine = BotSymbol.objects.filter(name=name).first() or BotSymbol.objects.filter(data_symbol=name).first()
    if mine is not None:
        return mine
    registered = get_symbol(name)
    interval = (settings or current_settings()).interval
    return BotSymbol(name=registered.name, broker="none", data_symbol=registered.name, interval=interval)
