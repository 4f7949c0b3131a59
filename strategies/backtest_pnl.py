"""Who earned what in a stored backtest, and what else an analysis has to know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ops.errors import DeskError
from strategies.backtest_ledgers import closes_of, fast_ledger, lot_values_of, replay_ledger
from strategies.backtest_models import model_positions
from strategies.backtesting.positions import stored_bars
from strategies.backtesting.requests import BacktestRequest
from strategies.models import Backtest

if TYPE_CHECKING:
    import pandas as pd

    from strategies.backtest_ledgers import Frames, ModelPositions
    from strategies.research.analysis import Facts
    from strategies.research.lots import SymbolTerms
    from strategies.research.pnl import PnlLedger

ASKED = ("history_hours", "refit_hours", "is_windowed", "fixed", "early_hour")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class BacktestPnl:
    """The ledger of a stored backtest, which adds up to the change of its equity in whole cents.

    Attributes
    ----------
    ledger : PnlLedger
    closes : DataFrame of shape (n_bars, n_symbols)
        By the time at which each bar closed, from the one before the first slot on.
    lot_values : dict of str to float
        What a lot gains when its price rises by 1.
    unexplained : float
        What no price explained, see ``strategies.research.booked``; shared all the same.
    """

    row: Backtest
    ledger: PnlLedger
    closes: pd.DataFrame
    lot_values: dict[str, float]
    unexplained: float
    warnings: tuple[str, ...]

    @property
    def weights(self) -> pd.DataFrame:
        """What was held of each symbol, fractions of the equity."""
        from strategies.research.holdings import weights_at

        return weights_at(self.row.fills(), self.closes, self.lot_values, self.row.equity())

    @property
    def facts(self) -> Facts:
        """What an analysis is made of."""
        from strategies.research.analysis import Facts
        from strategies.research.holdings import positions_and_returns

        equity = self.row.equity()
        start = float(equity.iloc[0])
        held, returned = positions_and_returns(self.row.fills(), self.closes, self.lot_values, start)
        return Facts(ledger=self.ledger, positions=held, returns=returned, earned=equity.diff().iloc[1:] / start)


def pnl_of(row: Backtest) -> BacktestPnl:
    """Return the ledger of a stored backtest.

    Raises
    ------
    DataMissingError, UnknownSymbolError
        Its bars are not stored any more, or are not those that it was run on.
    """
    request = request_of(row)
    bars = stored_bars(request)
    models, warning = _models(row, request, bars)
    warnings, unexplained = [warning], 0.0
    if row.engine == Backtest.Engine.FAST:
        ledger, warning = fast_ledger(row, request, bars, models)
        warnings.append(warning)
    else:
        ledger, unexplained = replay_ledger(row, request, bars, models)
        if models is not None:
            warnings.append("shared among models by what they say on all of history, not on each session's window")
    return BacktestPnl(
        row=row,
        ledger=ledger,
        closes=closes_of(bars, request),
        lot_values=lot_values_of(request),
        unexplained=unexplained,
        warnings=tuple(filter(None, warnings)),
    )


def request_of(row: Backtest) -> BacktestRequest:
    """Return what a stored backtest was asked."""
    config = row.config
    return BacktestRequest(
        symbols=tuple(row.symbols),
        begin=row.begin_at,
        end=row.end_at,
        source=row.source,
        start=float(row.equity().iloc[0]),
        terms={symbol: _terms(own) for symbol, own in config.get("terms", {}).items()},
        **{name: config[name] for name in ASKED if name in config},
    )


def _terms(config: Mapping[str, Any]) -> SymbolTerms:
    from strategies.research.costs import Costs
    from strategies.research.lots import LotRules, SymbolTerms

    return SymbolTerms(lots=LotRules(**config["lots"]), costs=Costs(**config["costs"]), weight=config["weight"])


def _models(row: Backtest, request: BacktestRequest, bars: Frames) -> tuple[ModelPositions | None, str]:
    """Return what each model wanted, or None and why that is not known."""
    if request.is_windowed:
        return None, "not shared among models: they were asked slot by slot, which would take as long again"
    try:
        return model_positions(row.config, request, bars), ""
    except DeskError as error:
        return None, f"not shared among models: {error}"
