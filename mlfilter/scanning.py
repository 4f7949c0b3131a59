"""Look for setups on the newest closed bar, judge them, and keep what was seen and decided."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Any

from market.jobs import ask_for_outside
from market.symbols import get_symbol
from mlfilter.configuration import terms_of
from mlfilter.errors import FilterDataError
from mlfilter.history import bar_length, klines_symbol, read_bars, stored_time
from mlfilter.judging import Judge, Scene, decide, open_judge, shadow_scores
from mlfilter.models import BotSettings, BotSymbol, Setup, current_settings
from ops.live import announce

if TYPE_CHECKING:
    import pandas as pd

    from market.models import Symbol

CONTEXT = ("atr_pct", "vol_ratio", "adx_14", "ema_gap", "rel_volume_20")  # volatility, trend, volume


def scan(symbol: BotSymbol, *, now: datetime, settings: BotSettings | None = None) -> tuple[Setup, ...]:
    """Store and judge the setups of the newest closed bar, and return them; scanned again, the first answer stands.

    What cannot be judged is stored, too, and not approved: the reason says why. What filters read beside the bars is
    asked for, to be there for the next bar: another process brings it, so that nothing that is outside holds this up.

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
    if terms.outside or judge.uses_outside():
        ask_for_outside()
    for row in _judged(symbol, Scene(registered, bars, terms, since=bar_at), judge, settings, since=bar_at):
        # Whoever scans the same bar at the same moment stores it once.
        _, created = Setup.objects.get_or_create(**_identity(row), defaults=_rest(row))
        if created:
            announce("setups", {"symbol": row.symbol, "bar_at": row.bar_at.isoformat(), "approved": row.approved})
    return tuple(mine.all())


def preview(
    symbol: BotSymbol, *, since: datetime, until: datetime | None = None, settings: BotSettings | None = None
) -> tuple[Setup, ...]:
    """Return the setups of all bars in a range as today's filter judges them; nothing is stored.

    The range ends with the newest closed bar by default. A filter that was trained on some of these bars knows what
    became of them: ``setup_backtest`` does not.

    Raises
    ------
    FilterDataError, UnknownSymbolError
    """
    from mlfilter.features import warmup_bars

    settings = settings or current_settings()
    terms, registered = terms_of(settings, symbol.interval), klines_symbol(symbol.data_symbol)
    warm_up = warmup_bars(symbol.interval) * bar_length(symbol.interval)
    with stored_time(registered, symbol.interval):
        bars = read_bars(registered, symbol.interval, since=since - warm_up, until=until)
    judge = open_judge(symbol, registered, settings)
    return tuple(_judged(symbol, Scene(registered, bars, terms, since=since), judge, settings, since=since))


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


def _judged(symbol: BotSymbol, scene: Scene, judge: Judge, settings: BotSettings, *, since: datetime) -> list[Setup]:
    """Return the setups of the bars from ``since`` on as rows that are not stored."""
    import pandas as pd

    found = scene.found(judge.decider)
    places = (found.index[found.rows] >= pd.Timestamp(since)).nonzero()[0]
    return [_row(symbol, scene, int(place), judge, settings) for place in places]


def _row(symbol: BotSymbol, scene: Scene, place: int, judge: Judge, settings: BotSettings) -> Setup:
    from mlfilter.setups import Barriers, Direction, make_setup
    from mlfilter.signals import SIGNALS

    found = scene.found(judge.decider)
    at = int(found.rows[place])
    direction = Direction.LONG if found.direction.iloc[at] > 0 else Direction.SHORT
    quality = decide(judge, scene, place, settings)
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
    kept = {str(name): _finite(value) for name, value in found.features.iloc[place].items()}
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
        shadows=shadow_scores(judge, scene, place),
    )


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
