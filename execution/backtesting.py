"""Backtests by either engine: on bars in one compiled pass, or by the session's own code in a sandbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from execution.backtest_requests import BacktestOptions
from execution.models import LimitRow, PortfolioWeight, RebalanceSettings
from execution.services import account_row
from execution.sessions.sandbox import ReplayTerms, replay_in_sandbox
from market.models import Symbol
from ops import clock
from ops.audit import Actor
from ops.progress import Progress
from strategies.backtesting.active import active_models, described
from strategies.backtesting.fast import Simulated, run_fast
from strategies.backtesting.keeping import keep
from strategies.backtesting.positions import stored_bars
from strategies.backtesting.requests import COMMISSION, HOUR, SPREAD, SWAP_LONG, SWAP_SHORT, BacktestRequest
from strategies.backtesting.requests import BacktestRequestError as RequestError
from strategies.models import Backtest
from strategies.provenance import bars_hash

if TYPE_CHECKING:
    import pandas as pd

Engine = Callable[[BacktestRequest, Progress], Simulated]

BEFORE_FIRST = timedelta(minutes=1)  # when a replayed account is opened
SLOT_FORMAT = "%Y-%m-%dT%H"
SIDES = {"buy": 1.0, "sell": -1.0}
SETTINGS = (
    "size_by",
    "sizing_capital",
    "max_position_pct",
    "lot_precision",
    "drift_band_lots",
    "weighting",
    "vol_target",
)


def run_backtest(options: BacktestOptions, *, actor: Actor, progress: Progress) -> Backtest:
    """Run a backtest and keep what it found.

    Raises
    ------
    BacktestRequestError, MarketError, StrategyError, ModelFileError, ExecutionError
        Each says what was wrong and what is allowed.
    CancelledError
        Somebody asked for a stop; nothing is kept.
    """
    started = clock.mono()
    request = options.request()
    simulated = ENGINES[options.engine](request, progress)
    return keep(simulated, request, actor=actor, seconds=clock.mono() - started)


def describe_backtest(options: BacktestOptions) -> dict[str, Any]:
    """Return what ``run_backtest`` would run, and write nothing. Raises as it does where something is missing."""
    request = options.request()
    bars = stored_bars(request)
    if request.source == Backtest.Source.ACTIVE:
        models = described({name: active_models(name) for name in request.symbols})
    else:
        models = []
    return {
        "engine": str(options.engine),
        "request": request.as_config(),
        "slots": request.n_slots,
        "bars": {name: len(frame) for name, frame in bars.items()},
        "models": models,
    }


def run_replay(request: BacktestRequest, progress: Progress) -> Simulated:
    """Run every slot's session in a sandbox, with the portfolio, the settings and the models that trade now.

    Raises
    ------
    MarketError, ModelFileError, ExecutionError
    """
    bars = stored_bars(request)
    models = {name: active_models(name) for name in request.symbols}
    terms = replay_terms(request)
    symbols = list(Symbol.objects.filter(name__in=request.symbols))
    replayed = replay_in_sandbox(terms, symbols, progress=progress)
    fills = replayed_fills(replayed["fills"])
    return Simulated(
        engine=Backtest.Engine.REPLAY,
        config=_config(request, terms, bars) | {"models": described(models)},
        equity=_equity(replayed["equity"], request.start),
        closes=_closes(bars),
        fills=fills,
        costs={name: -float(fills[name].sum()) for name in ("commission", "swap")},
        fitted_to=max(model.manifest.fit_to for own in models.values() for model in own),
        extra={"verdicts": replayed["verdicts"]},
    )


def replay_terms(request: BacktestRequest) -> ReplayTerms:
    """Return the replay's terms: its broker takes the assumed costs, multiplied.

    Raises
    ------
    BacktestRequestError
        Swaps that are not the same multiple of the assumed ones.
    """
    costs = request.terms_of(request.symbols[0]).costs
    swap = costs.swap_long / SWAP_LONG
    if abs(swap - costs.swap_short / SWAP_SHORT) > 1e-9 or swap < 0:
        wanted = f"in the proportion of {SWAP_LONG} and {SWAP_SHORT}"
        raise RequestError(f"the replay takes swaps {wanted}, were {costs.swap_long} and {costs.swap_short}")
    account = account_row()
    return ReplayTerms(
        begin=request.begin,
        end=request.end,
        margin_mode=account.margin_mode if account else "hedging",
        balance=request.start,
        spread=costs.spread_fraction / SPREAD,
        commission=costs.commission_rate / COMMISSION,
        swap=swap,
    )


def _config(request: BacktestRequest, terms: ReplayTerms, bars: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """Return what a replay depends on: the rows of the live session, and the kind of account."""
    settings = RebalanceSettings.current()
    account = asdict(terms) | {"begin": terms.begin.isoformat(), "end": terms.end.isoformat()}
    weights = PortfolioWeight.objects.filter(symbol__name__in=request.symbols)
    return {
        "engine": str(Backtest.Engine.REPLAY),
        "symbols": list(request.symbols),
        "history_hours": request.history_hours,
        "account": account,
        "settings": {name: str(getattr(settings, name)) for name in SETTINGS},
        "limits": {name: str(value) for name, value in LimitRow.objects.values_list("name", "value")},
        "weights": {name: str(weight) for name, weight in weights.values_list("symbol__name", "weight")},
        "bars": {name: bars_hash(frame) for name, frame in bars.items()},
    }


def _equity(points: Sequence[Mapping[str, Any]], start: float) -> pd.Series:
    """Return the equity after each slot, beginning with the start shortly before the first."""
    import pandas as pd

    times = pd.to_datetime([point["at"] for point in points], utc=True, format="ISO8601")
    index = pd.DatetimeIndex([times[0] - BEFORE_FIRST, *times], name="at")
    return pd.Series([start, *(float(point["equity"]) for point in points)], index=index, name="equity")


def _closes(bars: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({name: frame["close"].set_axis(frame.index + HOUR) for name, frame in bars.items()}).ffill()


def replayed_fills(fills: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the deals of a replay as a backtest keeps its fills; money that was paid is negative, as at the broker."""
    import pandas as pd

    columns = ["at", "slot", "symbol", "side", "volume", "price", "commission", "swap", "profit"]
    table = pd.DataFrame(list(fills), columns=columns)
    numbers = table[["volume", "price", "commission", "swap", "profit"]].astype("float64")
    lots = table["side"].map(SIDES).astype("float64") * numbers["volume"]
    # A deal that no slot asked for has none: a loss limit closes between two.
    slots = pd.to_datetime(table["slot"], format=SLOT_FORMAT, utc=True, errors="coerce")
    times = pd.to_datetime(table["at"], utc=True, format="ISO8601")
    moments = {"at": times, "slot": slots, "symbol": table["symbol"], "lots": lots, "price": numbers["price"]}
    return pd.DataFrame(moments | {name: numbers[name] for name in ("commission", "swap", "profit")})


ENGINES: dict[str, Engine] = {Backtest.Engine.FAST: run_fast, Backtest.Engine.REPLAY: run_replay}
