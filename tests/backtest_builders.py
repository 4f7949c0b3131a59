"""Small backtests for tests: a fitted symbol or two on six hundred hours, and a run of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pandas as pd

from execution.backtest_requests import BacktestOptions
from execution.backtesting import run_backtest
from market.models import Bar, Kline, Symbol
from ops.audit import SYSTEM
from ops.progress import Silent
from strategies.fitting import fit_models
from strategies.models import Backtest
from tests.bars_builders import make_bars
from tests.fits_builders import make_symbol, plan_row, store_bars

N_BARS = 600  # from 2024-01-01
FIT_UNTIL = datetime(2024, 1, 15, tzinfo=UTC)
BEGIN, END = datetime(2024, 1, 10, tzinfo=UTC), datetime(2024, 1, 20, tzinfo=UTC)
FREE = {"spread": 0.0, "slippage": 0.0, "commission": 0.0, "swap_long": 0.0, "swap_short": 0.0}


def fit_small(*names: str) -> None:
    """Store bars of these symbols and fit a plan of two models to them, up to the middle of January."""
    for seed, name in enumerate(names or ("BTCUSD",)):
        make_symbol(name, n_bars=N_BARS, seed=seed)
    plan_row(strat_weight=0.5)
    plan_row("wed_thu", {"vol_window": 14, "min_values": 30}, strat_weight=0.9)
    assert not fit_models(until=FIT_UNTIL).failed


def rewrite(name: str, since: datetime, *, seed: int = 100) -> None:
    """Replace a symbol's bars from ``since`` on by other ones; only the first's open stays, which is known then."""
    symbol = Symbol.objects.get(name=name)
    since_ms = int(since.timestamp() * 1000)
    opened = Bar.objects.get(symbol=name, open_ms=since_ms).open
    Bar.objects.filter(symbol=name, open_ms__gte=since_ms).delete()
    Kline.objects.filter(symbol=symbol.binance_symbol, open_ms__gte=since_ms).delete()
    other = make_bars(seed, N_BARS)
    other = other[other.index >= since].copy()
    first = other.index[0]
    other.loc[first, "open"] = opened
    other.loc[first, "high"] = max(opened, other.loc[first, "high"])
    other.loc[first, "low"] = min(opened, other.loc[first, "low"])
    store_bars(symbol, other)


def options(**changes: Any) -> BacktestOptions:
    """Return what a small backtest is asked."""
    known: dict[str, Any] = {"begin": BEGIN, "end": END, "capital": 100_000.0, "sizing_capital": 100_000.0}
    values = known | changes
    values |= {name: values[name].isoformat() for name in ("begin", "end")}
    return BacktestOptions(**values)


def backtested(**changes: Any) -> Backtest:
    """Run a small backtest and return its row."""
    return run_backtest(options(**changes), actor=SYSTEM, progress=Silent())


def hours(count: int, start: str = "2024-01-01") -> pd.DatetimeIndex:
    """Return so many hours in UTC."""
    return pd.date_range(start, periods=count, freq="h", tz="UTC")
