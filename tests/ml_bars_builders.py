"""Bars and wishes for tests of the ML filter: random, real, and written by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from tests.bars_builders import make_bars

ETH_15M = "klines_15m/ETHUSDT_15m_2023-10_2026-04.parquet"
OHLCV = ["open", "high", "low", "close", "volume"]
TAKER = "taker_buy_base_vol"


def short_bars(seed: int = 0, n: int = 300, *, minutes: int = 30, volatility: float = 0.006) -> pd.DataFrame:
    """Return ``n`` bars of some minutes with volume and taker volume, from a random walk."""
    bars = make_bars(seed, n, volatility=volatility)[[*OHLCV, TAKER]]
    return bars.set_axis(pd.date_range("2024-01-01", periods=n, freq=f"{minutes}min", tz="UTC", name="open_time"))


def read_klines(folder: Path, name: str = ETH_15M, *, last: int | None = None) -> pd.DataFrame:
    """Return the last bars of a file of Binance's, with the taker volume where it has one."""
    klines = pd.read_parquet(folder / name).rename(columns={"taker_buy_base_volume": TAKER})
    times = pd.to_datetime(klines["open_time"], unit="ms", utc=True).rename("open_time")
    columns = [name for name in (*OHLCV, TAKER) if name in klines]
    bars = klines[columns].set_index(times)
    return bars if last is None else bars.iloc[-last:]


def outside_of(bars: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Return all outside columns on the index of bars, unknown for the first ten."""
    rng = np.random.default_rng(seed)
    columns = {
        "funding_rate": 1e-4 * rng.standard_normal(len(bars)),
        "book_imbalance": rng.uniform(-1, 1, len(bars)),
        "fear_greed": rng.integers(0, 101, len(bars)).astype(float),
    }
    frame = pd.DataFrame(columns, index=bars.index)
    frame.iloc[:10] = np.nan
    return frame


def wild_bars(seed: int, n: int = 120, *, size: float = 0.01, gaps: float = 0.01) -> pd.DataFrame:
    """Return prices whose opens jump away from the close before, so that stops and targets are jumped over."""
    rng = np.random.default_rng(seed)
    opening = np.round(100.0 * np.exp(np.cumsum(size * rng.standard_normal(n))), 1)
    close = np.round(opening * np.exp(size * rng.standard_normal(n)), 1)
    opening[1:] = np.round(np.where(rng.random(n - 1) < gaps, opening[1:], close[:-1]), 1)
    high = np.round(np.maximum(opening, close) * (1 + size * rng.random(n)), 1)
    low = np.round(np.minimum(opening, close) * (1 - size * rng.random(n)), 1)
    columns = {
        "open": opening,
        "high": np.maximum(high, np.maximum(opening, close)),
        "low": np.minimum(low, np.minimum(opening, close)),
        "close": close,
    }
    return pd.DataFrame(columns, index=pd.date_range("2024-01-01", periods=n, freq="15min", tz="UTC", name="open_time"))


def wishes(n: int, seed: int = 0, *, share: float = 0.3) -> np.ndarray:
    """Return 1, -1 or, mostly, 0 for each bar."""
    rng = np.random.default_rng(seed + 1000)
    return np.where(rng.random(n) < share, rng.choice([-1, 1], n), 0).astype(np.int8)
