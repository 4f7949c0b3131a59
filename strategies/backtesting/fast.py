"""The fast engine: stored bars and positions through one compiled pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings

from ops.progress import Progress
from strategies.backtesting.active import of_active
from strategies.backtesting.planned import of_plan
from strategies.backtesting.positions import Wishes, stored_bars
from strategies.backtesting.requests import HOUR, BacktestRequest
from strategies.models import Backtest
from strategies.provenance import bars_hash

if TYPE_CHECKING:
    import pandas as pd

    from strategies.research.backtest import BacktestResult
    from strategies.research.timeline import Timeline

    Frames = Mapping[str, pd.DataFrame]

AFTER_OPEN = timedelta(seconds=45)  # when a slot acts, with the session's own offset
AFTER_OPEN_EARLY = timedelta(minutes=55, seconds=45)  # the same of a slot before a break, in the hour before its own

SOURCES: dict[str, Callable[[BacktestRequest, Frames, Progress], Wishes]] = {
    Backtest.Source.ACTIVE: of_active,
    Backtest.Source.PLAN: of_plan,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """What an engine found, before it is a row.

    Attributes
    ----------
    config : dict
        Everything that it depends on, but the code.
    equity : Series
        Account currency, by the time at which it was that; the first is the start.
    closes : DataFrame
        What a coin of each symbol was worth at those times.
    fills : DataFrame
        ``at, slot, symbol, lots`` (signed), ``price``, and the costs that are known of each.
    costs : dict of str to float
        Paid, by kind.
    fitted_to : datetime or None
        Open time of the newest bar that anything was fitted on.
    """

    engine: str
    config: dict[str, Any]
    equity: pd.Series
    closes: pd.DataFrame
    fills: pd.DataFrame
    costs: dict[str, float]
    fitted_to: datetime | None
    extra: dict[str, Any] = field(default_factory=dict)
    drift: list[dict[str, Any]] = field(default_factory=list)
    warnings: tuple[str, ...] = ()


def run_fast(request: BacktestRequest, progress: Progress) -> Simulated:
    """Run the compiled engine on stored bars.

    Raises
    ------
    MarketError, StrategyError, ModelFileError
        Bars or models are missing, or do not fit together.
    """
    bars = stored_bars(request)
    wishes = SOURCES[request.source](request, bars, progress)
    timeline = timeline_of(request, bars)
    result = simulate(request, timeline, wishes.positions)
    hashes = {name: bars_hash(frame) for name, frame in bars.items()}
    return Simulated(
        engine=Backtest.Engine.FAST,
        config=request.as_config() | wishes.made_by | {"engine": str(Backtest.Engine.FAST), "bars": hashes},
        equity=equity_of(result, request),
        closes=_closes(timeline),
        fills=fills_table(result),
        costs=result.costs.as_data(),
        fitted_to=wishes.fitted_to,
        extra={"gross": result.gross, "net": result.net},
        drift=wishes.drift,
        warnings=wishes.warnings,
    )


def timeline_of(request: BacktestRequest, bars: Frames) -> Timeline:
    """Return the bars of the request's slots, and the one before them, as the engine takes them."""
    from strategies.research.timeline import TimelineRules, build_timeline

    rules = TimelineRules(early_hour=request.early_hour, server_zone=settings.MT5_TZ)
    return build_timeline({name: frame[frame.index >= request.begin - HOUR] for name, frame in bars.items()}, rules)


def simulate(request: BacktestRequest, timeline: Timeline, positions: Mapping[str, pd.Series]) -> BacktestResult:
    """Trade positions by the request's terms; the last bar decides no slot of it, and needs no position."""
    from strategies.research.backtest import backtest

    last = timeline.index[-1:]
    held = {name: own.reindex(own.index.union(last), fill_value=0.0) for name, own in positions.items()}
    terms = {name: request.terms_of(name) for name in timeline.symbols}
    return backtest(timeline, held, terms=terms, capital=request.capital)


def equity_of(result: BacktestResult, request: BacktestRequest) -> pd.Series:
    """Return the equity by the time at which each bar closed, beginning with the start."""
    import pandas as pd

    equity = result.equity_series()
    equity.index = equity.index + HOUR
    start = pd.Series([request.start], index=pd.DatetimeIndex([request.begin]))
    whole: pd.Series = pd.concat([start, equity[equity.index > request.begin]])
    return whole.rename("equity").rename_axis("at")


def _closes(timeline: Timeline) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(timeline.arrays.close.T, index=timeline.index + HOUR, columns=list(timeline.symbols))


def fills_table(result: BacktestResult) -> pd.DataFrame:
    """Return the fills with the hour that each one's slot belongs to and the moment at which it acts."""
    import pandas as pd

    fills = result.fills
    opened = result.index[fills.bar]
    columns = {
        "at": opened + AFTER_OPEN,
        "slot": opened,
        "symbol": [result.symbols[place] for place in fills.symbol],
        "lots": fills.lots,
        "price": fills.price,
        "spread": fills.spread,
        "slippage": fills.slippage,
        "commission": fills.commission,
    }
    table = pd.DataFrame(columns)
    table.loc[fills.is_early, "at"] = (opened + AFTER_OPEN_EARLY)[fills.is_early]
    table.loc[fills.is_early, "slot"] = (opened + HOUR)[fills.is_early]
    return table
