"""A result to write a tear sheet about, worked out of a short random equity curve."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from strategies.research.booked import in_whole_cents
from strategies.research.costs import COST_KINDS
from strategies.research.metrics import measure
from strategies.research.pnl import AMOUNTS, DIMENSIONS, ModelName, PnlLedger, decompose
from strategies.research.tearsheet import Subject

N_HOURS = 24 * 40
SYMBOLS = ("BTCUSD", "ETHUSD")


def make_equity(n: int = N_HOURS, *, seed: int = 0) -> pd.Series:
    """Return an equity of whole cents that begins with 10,000."""
    moves = np.round(20 * np.random.default_rng(seed).standard_normal(n), 2)
    index = pd.date_range("2025-01-10", periods=n + 1, freq="h", tz="UTC", name="at")
    return pd.Series(np.round(10_000 + np.concatenate([[0.0], np.cumsum(moves)]), 2), index=index, name="equity")


def make_ledger(equity: pd.Series, *, seed: int = 1) -> PnlLedger:
    """Return a ledger whose rows add up to an equity, with costs of every kind but funding."""
    rng, n = np.random.default_rng(seed), len(equity) - 1
    paid = {name: np.round(rng.exponential(0.3, n), 4) for name in COST_KINDS} | {"funding": np.zeros(n)}
    gross = equity.diff().iloc[1:].to_numpy() + sum(paid.values())
    trend = rng.uniform(0.2, 1.4, n)
    ledger = PnlLedger(
        at=pd.DatetimeIndex(equity.index[:-1]),
        symbols=SYMBOLS,
        symbol=rng.integers(0, 2, n),
        side=rng.choice([1, -1], n),
        amounts={name: {"gross": gross, **paid}[name] for name in AMOUNTS},
        shares={ModelName("trend", "fast=1"): trend, ModelName("rev", "default"): 1 - trend},
    )
    return in_whole_cents(ledger, Decimal(str(round(equity.iloc[-1] - equity.iloc[0], 2))))


def make_subject(**changes: Any) -> Subject:
    """Return a subject with a ledger and nothing that takes time to simulate."""
    equity = changes.pop("equity", None)
    equity = make_equity() if equity is None else equity
    returns = equity.pct_change().iloc[1:]
    half = len(returns) // 2
    ledger = make_ledger(equity)
    facts: dict[str, Any] = {
        "name": "Backtest #7",
        "subtitle": "BTCUSD, ETHUSD",
        "mode": "demo",
        "currency": "USD",
        "equity": equity,
        "metrics": measure(returns).as_data() | {"trades": 3, "fills": 1234},
        "samples": {
            "split_at": equity.index[half].isoformat(),
            "in_sample": measure(returns.iloc[:half]).as_data(),
            "out_of_sample": measure(returns.iloc[half:]).as_data(),
        },
        "costs": {name: float(ledger.amounts[name].sum()) for name in COST_KINDS},
        "n_trials": 3,
        "luck": 0.25,
        "config": {"engine": "fast", "terms": {"BTCUSD": {"fee": 0.1}}, "models": [{"strategy": "trend"}]},
        "config_hash": "0f" * 32,
        "decompositions": tuple(decompose(ledger, by) for by in DIMENSIONS),
    }
    return Subject(**facts | changes)
