"""Trade setups on past bars, with the filter and without it.

Scores are computed for all bars before the loop, by whoever asks: the backtest is given, bar by bar, what is wanted and
whether the filter approves. It never asks a model, and so it cannot show one the future.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from market.bars import Floats
from market.errors import BarsError
from mlfilter.backtest import kernels
from mlfilter.backtest.metrics import SetupMetrics, measure_trades
from mlfilter.backtest.plans import PerBar, Wanted, make_plan, price_arrays
from mlfilter.backtest.settings import BacktestSettings
from mlfilter.setups import Direction, ExitReason

Approvals = pd.Series | npt.NDArray[np.bool_]
REASONS = ("open", ExitReason.STOP.value, ExitReason.TARGET.value, ExitReason.TIMEOUT.value)
DIRECTIONS = {1: Direction.LONG.value, -1: Direction.SHORT.value}


@dataclass(frozen=True, slots=True, eq=False)
class BacktestResult:
    """What an account made of setups.

    Attributes
    ----------
    trades : DataFrame of shape (n_trades, 15)
        ``signal_bar entry_bar exit_bar`` (rows), ``bar_at entry_at exit_at`` (when those bars opened), ``direction``,
        ``entry_price exit_price quantity exit_reason pnl r fees slippage``. Closed trades only, in their order.
        ``slippage`` has the spread in it; ``pnl`` is after both.
    equity : Series of shape (n_bars,)
        Account currency at each bar's close, what is open at that close.
    open_trade : Series or None
        The trade that is open at the end, without an exit; its ``pnl`` is at the last close, its entry paid.
    metrics : SetupMetrics
    """

    trades: pd.DataFrame
    equity: pd.Series
    open_trade: pd.Series | None
    metrics: SetupMetrics


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """The same setups with the filter and without it, on accounts of their own."""

    filtered: BacktestResult
    unfiltered: BacktestResult
    n_setups: int
    n_approved: int


def run_backtest(
    bars: pd.DataFrame,
    direction: Wanted,
    *,
    approved: Approvals | None = None,
    settings: BacktestSettings | None = None,
    stop_pct: PerBar | None = None,
    target_pct: PerBar | None = None,
) -> BacktestResult:
    """Trade one symbol's setups, one position at a time.

    Parameters
    ----------
    bars : DataFrame with columns open, high, low, close
        Closed bars, index of open times, aware UTC, strictly increasing.
    direction : Series or array of shape (n_bars,)
        What the bar's signals propose at its close: 1 long, -1 short, 0 nothing.
    approved : Series or array of bool of shape (n_bars,), optional
        Whether the filter lets it through. Without it everything is traded.
    settings : BacktestSettings, optional
    stop_pct, target_pct : float, Series or array of shape (n_bars,), optional
        In place of those of the settings: ATR multiples, for instance. NaN: no trade.

    Raises
    ------
    BarsError, ValueError
        If bars are none, or what is wanted is not one a bar or outside what it may be.
    """
    settings = settings or BacktestSettings()
    prices, index = price_arrays(bars)
    barriers = settings.barriers
    plan = make_plan(
        index,
        direction,
        barriers.stop_pct if stop_pct is None else stop_pct,
        barriers.target_pct if target_pct is None else target_pct,
    )
    plan = plan._replace(sign=np.where(_flags(index, approved), plan.sign, 0).astype(np.int8))
    equity, rows = np.empty(len(index)), np.zeros((int(np.count_nonzero(plan.sign)), kernels.TRADE))
    count = kernels.run(prices, plan, settings.terms(), equity, rows)
    return _result(index, rows[:count], equity, settings)


def compare(
    bars: pd.DataFrame, direction: Wanted, approved: Approvals, *, settings: BacktestSettings | None = None
) -> Comparison:
    """Return what the same setups come to with the filter's approvals and without them."""
    filtered = run_backtest(bars, direction, approved=approved, settings=settings)
    unfiltered = run_backtest(bars, direction, settings=settings)
    wanted = np.asarray(direction) != 0
    n_approved = int(np.count_nonzero(wanted & _flags(pd.DatetimeIndex(bars.index), approved)))
    return Comparison(filtered, unfiltered, int(np.count_nonzero(wanted)), n_approved)


def _flags(index: pd.DatetimeIndex, approved: Approvals | None) -> npt.NDArray[np.bool_]:
    """Return the approvals one a bar. Only True is one: what is not a bool could be a score."""
    if approved is None:
        return np.ones(len(index), dtype=np.bool_)
    if isinstance(approved, pd.Series) and not approved.index.equals(index):
        raise BarsError("approved must be on the index of the bars")
    flags = np.asarray(approved)
    if flags.shape != (len(index),) or flags.dtype != np.bool_:
        raise BarsError(
            f"approved must be a bool for each of {len(index)} bars, was {flags.dtype} of shape {flags.shape}"
        )
    return flags


def _result(index: pd.DatetimeIndex, rows: Floats, equity: Floats, settings: BacktestSettings) -> BacktestResult:
    table = _trades(index, rows)
    is_open = bool(len(rows)) and rows[-1, kernels.REASON] == kernels.OPEN
    closed = table.iloc[:-1] if is_open else table
    curve = pd.Series(equity, index=index, name="equity")
    metrics = measure_trades(table, curve, capital=settings.capital)
    return BacktestResult(closed, curve, table.iloc[-1] if is_open else None, metrics)


def _trades(index: pd.DatetimeIndex, rows: Floats) -> pd.DataFrame:
    whole = rows[:, [kernels.SIGNAL_BAR, kernels.ENTRY_BAR, kernels.EXIT_BAR]].astype(np.int64)
    signal, entry, leave = whole.T
    return pd.DataFrame(
        {
            "signal_bar": signal,
            "entry_bar": entry,
            "exit_bar": leave,
            "bar_at": index[signal],
            "entry_at": index[entry],
            "exit_at": index[leave].where(leave >= 0),
            "direction": [DIRECTIONS[int(sign)] for sign in rows[:, kernels.SIGN]],
            "entry_price": rows[:, kernels.ENTRY],
            "exit_price": rows[:, kernels.EXIT],
            "quantity": rows[:, kernels.QUANTITY],
            "exit_reason": [REASONS[int(reason)] for reason in rows[:, kernels.REASON]],
            "pnl": rows[:, kernels.PNL],
            "r": rows[:, kernels.PNL] / rows[:, kernels.RISKED],
            "fees": rows[:, kernels.FEES],
            "slippage": rows[:, kernels.SPREAD] + rows[:, kernels.SLIPPAGE],
        }
    )
