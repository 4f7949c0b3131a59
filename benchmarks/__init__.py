"""What our speed is measured against; a new benchmark is a function in a file here and one line.

Values are dotted paths, so that reading the list imports neither pandas nor numba nor statsmodels; what follows a
colon is the function's argument.
"""

from strategies.estimators import STRATEGIES

BENCHMARKS: dict[str, str] = {
    "rolling_ols": "benchmarks.regression.rolling_ols",
    "fit_predict": "benchmarks.fitting.all_strategies",
    **{f"fit_predict_{key}": f"benchmarks.fitting.one_strategy:{key}" for key in STRATEGIES},
    "rebalance": "benchmarks.rebalance.signals",
    "fit_plan": "benchmarks.rebalance.fit",
    "backtest_vectorbt": "benchmarks.backtests.vectorbt",
    "backtest_backtesting_py": "benchmarks.backtests.backtesting_py",
    "sweep": "benchmarks.sweeps.vectorbt",
    "block_bootstrap": "benchmarks.resampling.block_bootstrap",
    "upsert_bars": "benchmarks.storage.upsert_bars",
    "read_bars_warm": "benchmarks.storage.read_bars:warm",
    "read_bars_cold": "benchmarks.storage.read_bars:cold",
    "setup_backtest": "benchmarks.setups.backtest",
    "setup_prediction": "benchmarks.setups.prediction",
}
