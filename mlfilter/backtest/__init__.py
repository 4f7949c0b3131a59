"""The event backtest of setups: entries, stops, targets and timeouts bar by bar, with the filter and without it."""

from __future__ import annotations

from mlfilter.backtest.metrics import SetupMetrics
from mlfilter.backtest.run import BacktestResult, Comparison, compare, run_backtest
from mlfilter.backtest.settings import BacktestSettings

__all__ = ["BacktestResult", "BacktestSettings", "Comparison", "SetupMetrics", "compare", "run_backtest"]
