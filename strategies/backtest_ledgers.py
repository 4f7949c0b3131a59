"""The ledger of a stored backtest: its fills once more on the stored bars, as the engine that made them counts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from market.errors import DataMissingError
from strategies.backtesting.fast import timeline_of
from strategies.backtesting.requests import HOUR, BacktestRequest
from strategies.models import Backtest

if TYPE_CHECKING:
    import pandas as pd

    from strategies.research.backtest import BacktestResult
    from strategies.research.courses import Deal
    from strategies.research.fills import Fills
    from strategies.research.pnl import ModelName, PnlLedger
    from strategies.research.timeline import Timeline

    Frames = Mapping[str, pd.DataFrame]
    ModelPositions = Mapping[str, Mapping[ModelName, pd.Series]]

CENT = 0.01
JUST_AFTER = timedelta(milliseconds=1)  # a replay's deals bear the very moment at which its equity is read


def fast_ledger(
    row: Backtest, request: BacktestRequest, bars: Frames, models: ModelPositions | None
) -> tuple[PnlLedger, str]:
    """Return the ledger of a run of the fast engine, and a warning where models do not explain its positions.

    Raises
    ------
    DataMissingError
        Its fills do not earn on the stored bars what they earned then.
    """
    from strategies.research.booked import in_whole_cents
    from strategies.research.ledgers import ledger_of
    from strategies.research.pnl import PnlError

    timeline, warning = timeline_of(request, bars), ""
    result = _result(row, request, timeline)
    try:
        ledger = ledger_of(result, _on(timeline, models))
    except PnlError as error:
        ledger, warning = ledger_of(result), f"not shared among models: {error}"
    net = net_of(row)
    _require_same(ledger, net, row)
    return in_whole_cents(ledger, net), warning


def replay_ledger(
    row: Backtest, request: BacktestRequest, bars: Frames, models: ModelPositions | None
) -> tuple[PnlLedger, float]:
    """Return the ledger of a replay, and what no price explained."""
    from strategies.research.booked import booked_ledger
    from strategies.research.courses import AccountPeriod

    equity = row.equity()
    account = AccountPeriod(
        begin=equity.index[0].to_pydatetime(),
        end=equity.index[-1].to_pydatetime() + JUST_AFTER,
        net=net_of(row),
        deals=[_deal(fill) for fill in row.fills().to_dict("records")],
        closes=closes_of(bars, request),
        lot_values=lot_values_of(request),
    )
    return booked_ledger(account, None if models is None else _wishes(models))


def net_of(row: Backtest) -> Decimal:
    """Return how the equity changed, in whole cents."""
    equity = row.equity()
    return Decimal(repr(round(float(equity.iloc[-1]) - float(equity.iloc[0]), 2)))


def closes_of(bars: Frames, request: BacktestRequest) -> pd.DataFrame:
    """Return the prices by the time at which each bar closed, from the one before the first slot on."""
    import pandas as pd

    table = pd.DataFrame({name: frame["close"].set_axis(frame.index + HOUR) for name, frame in bars.items()})
    return table[table.index >= request.begin]


def lot_values_of(request: BacktestRequest) -> dict[str, float]:
    """Return what a lot of each symbol gains when its price rises by 1."""
    return {name: float(request.terms_of(name).lots.contract_size) for name in request.symbols}


def _result(row: Backtest, request: BacktestRequest, timeline: Timeline) -> BacktestResult:
    """Return the stored fills as the result that they came from."""
    from strategies.research.backtest import BacktestResult
    from strategies.research.costs import CostTotals
    from strategies.research.inputs import terms_of

    table = row.fills()
    size = table["symbol"].map(lot_values_of(request))
    terms = terms_of(timeline, {name: request.terms_of(name) for name in timeline.symbols})
    return BacktestResult(
        timeline=timeline,
        terms=tuple(terms),
        capital=request.capital,
        equity=row.equity().to_numpy(),
        gross=float(row.metrics["gross"]),
        costs=CostTotals(**row.costs),
        traded=float((table["lots"].abs() * table["price"] * size).sum()),
        fills=_fills(table, timeline),
    )


def _fills(table: pd.DataFrame, timeline: Timeline) -> Fills:
    import numpy as np
    import pandas as pd

    from strategies.research.courses import LOT_PLACES
    from strategies.research.fills import Fills

    slot, at = pd.DatetimeIndex(table["slot"]), pd.DatetimeIndex(table["at"])
    is_early = np.asarray(slot > at)
    after = table.groupby("symbol")["lots"].cumsum().round(LOT_PLACES)
    return Fills(
        bar=timeline.index.get_indexer(at.floor("h")).astype(np.int64),
        symbol=table["symbol"].map(timeline.symbols.index).to_numpy(dtype=np.int64),
        is_early=is_early,
        before=(after - table["lots"]).round(LOT_PLACES).to_numpy(dtype=np.float64),
        after=after.to_numpy(dtype=np.float64),
        **{name: table[name].to_numpy(dtype=np.float64) for name in ("price", "spread", "slippage", "commission")},
    )


def _on(timeline: Timeline, models: ModelPositions | None) -> Any:
    """Return models' positions as arrays of a timeline's bars."""
    if models is None:
        return None
    return {
        symbol: {name: wish.reindex(timeline.index).fillna(0.0).to_numpy() for name, wish in own.items()}
        for symbol, own in models.items()
    }


def _require_same(ledger: PnlLedger, net: Decimal, row: Backtest) -> None:
    """Refuse a ledger of other bars than the backtest's."""
    signed = (values if name == "gross" else -values for name, values in ledger.amounts.items())
    found = math.fsum(math.fsum(values.tolist()) for values in signed)
    if abs(found - float(net)) >= CENT:
        raise DataMissingError(
            f"the stored bars are not those of backtest #{row.pk}: its fills earn {found:.2f} on them and earned "
            f"{net:.2f}; run it again"
        )


def _deal(fill: Mapping[Any, Any]) -> Deal:
    from strategies.research.courses import Deal

    names = ("symbol", "lots", "price", "swap", "commission")
    return Deal(at=fill["at"].to_pydatetime(), **{name: fill[name] for name in names})


def _wishes(models: ModelPositions) -> dict[str, list[Any]]:
    """Return what models wanted from the close of each bar on."""
    import pandas as pd

    from strategies.research.booked import Wish

    wishes = {}
    for symbol, own in models.items():
        table = pd.DataFrame({str(i): wish for i, wish in enumerate(own.values())}).fillna(0.0)
        times = (pd.DatetimeIndex(table.index) + HOUR).to_pydatetime()
        rows = table.to_numpy().tolist()
        wishes[symbol] = [Wish(at, dict(zip(own, row, strict=True))) for at, row in zip(times, rows, strict=True)]
    return wishes
