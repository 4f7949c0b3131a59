"""Bars for tests: synthetic ones from a seed, and real ones from a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

ETH_FULL = "klines_1h_full/ETHUSDT_1h_full_2024-05_2026-04.parquet"


def make_bars(seed: int = 0, n: int = 300, *, start: str = "2024-01-01", volatility: float = 0.006) -> pd.DataFrame:
    """Return ``n`` hourly bars of a random walk with volume that comes in waves; the same seed gives the same bars."""
    rng = np.random.default_rng(seed)
    pace = np.exp(0.5 * np.sin(np.arange(n) / 37.0) + 0.3 * rng.standard_normal(n))
    close = 3000.0 * np.exp(np.cumsum(volatility * pace * rng.standard_normal(n)))
    opening = np.concatenate([[3000.0], close[:-1]]) * np.exp(1e-4 * rng.standard_normal(n))
    reach = np.abs(rng.standard_normal((2, n))) * volatility / 2
    volume = 1000.0 * pace * np.exp(0.5 * rng.standard_normal(n))
    columns = {
        "open": opening,
        "high": np.maximum(opening, close) * np.exp(reach[0]),
        "low": np.minimum(opening, close) * np.exp(-reach[1]),
        "close": close,
        "tick_volume": np.round(volume / 3),
        "volume": volume,
        "taker_buy_base_vol": volume * rng.uniform(0.3, 0.7, n),
    }
    return pd.DataFrame(columns, index=pd.date_range(start, periods=n, freq="h", tz="UTC", name="open_time"))


def read_bars(folder: Path, name: str = ETH_FULL) -> pd.DataFrame:
    """Return a file of Binance klines as bars; base volume stands for the tick volume that the file lacks."""
    klines = pd.read_parquet(folder / name)
    bars = klines[["open", "high", "low", "close", "volume"]].assign(
        tick_volume=klines["volume"], taker_buy_base_vol=klines["taker_buy_base_volume"]
    )
    return bars.set_index(pd.to_datetime(klines["open_time"], unit="ms", utc=True).rename("open_time"))
