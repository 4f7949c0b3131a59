"""What trades amount to, in the words of a trader."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from market.bars import Floats
from strategies.research import ratios
from strategies.research.drawdowns import under_water
from strategies.research.metrics import json_number

YEAR = pd.Timedelta(days=365)  # these markets do not close


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupMetrics:
    """The figures of a backtest. Closed trades only where trades are counted; NaN where a figure is undefined."""

    n_trades: int
    win_rate: float  # share of trades that earned something, all costs paid
    average_win: float  # account currency
    average_loss: float  # account currency, negative
    profit_factor: float  # won over lost; NaN without a loss
    expectancy: float  # account currency a trade
    expectancy_r: float  # in units of what the stop was to lose
    total_return: float  # fraction of the capital, what is open at the last close included
    sharpe: float  # a year of 365 days, of returns a bar
    max_drawdown: float  # 0 or negative, of equity at the closes
    exposure: float  # share of bars over which a position was held
    fees: float  # account currency
    slippage: float  # account currency, half spreads included

    def as_data(self) -> dict[str, Any]:
        """Return all of it for JSON: None where a figure is undefined."""
        return {name: json_number(value) for name, value in asdict(self).items()}


def measure_trades(trades: pd.DataFrame, equity: pd.Series, *, capital: float) -> SetupMetrics:
    """Return the metrics of a backtest's trades, one that is open at the end included, and of its equity."""
    closed = trades[trades["exit_bar"] >= 0]
    pnl = closed["pnl"].to_numpy(dtype=np.float64)
    worth = equity.to_numpy(dtype=np.float64)
    return SetupMetrics(
        n_trades=len(closed),
        win_rate=ratios.mean((pnl > 0.0).astype(np.float64)),
        average_win=ratios.mean(pnl[pnl > 0.0]),
        average_loss=ratios.mean(pnl[pnl <= 0.0]),
        profit_factor=ratios.profit_factor(pnl),
        expectancy=ratios.mean(pnl),
        expectancy_r=ratios.mean(closed["r"].to_numpy(dtype=np.float64)),
        total_return=float(worth[-1] / capital - 1.0) if worth.size else 0.0,
        sharpe=ratios.sharpe(_bar_returns(worth, capital), bars_per_year=_bars_a_year(pd.DatetimeIndex(equity.index))),
        max_drawdown=float(under_water(worth, capital).min(initial=0.0)),
        exposure=_bars_held(trades, worth.size) / worth.size if worth.size else np.nan,
        fees=float(trades["fees"].sum()),
        slippage=float(trades["slippage"].sum()),
    )


def _bar_returns(worth: Floats, capital: float) -> Floats:
    before = np.concatenate([[capital], worth[:-1]])
    return np.asarray(worth / before - 1.0)


def _bars_a_year(index: pd.DatetimeIndex) -> float:
    """Return how many bars of the usual length a year has; gaps do not count. NaN for less than two bars."""
    if len(index) < 2:
        return np.nan
    return float(YEAR / pd.Timedelta(np.median(np.diff(index.as_unit("ns").asi8)), unit="ns"))


def _bars_held(trades: pd.DataFrame, n_bars: int) -> int:
    """Return over how many bars a position was held: one that times out is closed at its last bar's open."""
    last = trades["exit_bar"].where(trades["exit_bar"] >= 0, n_bars)
    ends_inside = trades["exit_reason"].isin(["stop", "target"])
    return int((last - trades["entry_bar"] + ends_inside.astype(np.int64)).sum())
