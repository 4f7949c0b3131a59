"""Bars to measure on: a real file where there is one, else the simulator's, which look alike."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

REAL_FILE = "klines_1h_full/ETHUSDT_1h_full_2024-05_2026-04.parquet"
N_BARS = 17_216  # of the real file, and of the synthetic stand-in
N_LONG = 100_000
YEAR = 8760
HOUR_MS = 3_600_000
SEED = 7


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """Hourly bars with Binance's volumes, and a word on where they come from."""

    frame: pd.DataFrame
    source: str

    def year(self, place: float = 1.0) -> pd.DataFrame:
        """Return 8,760 bars; ``place`` from 0 (the oldest) to 1 (the newest)."""
        first = round((len(self.frame) - YEAR) * place)
        return self.frame.iloc[first : first + YEAR]


@cache
def load_bars() -> Bars:
    """Return the bars of ``$TRADING_DATA`` if the file is there, else synthetic ones."""
    folder = os.environ.get("TRADING_DATA", "")
    path = Path(folder) / REAL_FILE
    if folder and path.is_file():
        return Bars(_from_klines(pd.read_parquet(path)), "real ETHUSDT hours")
    return Bars(_synthetic(), "synthetic ETHUSD hours")


@cache
def long_bars(n_bars: int = N_LONG) -> Bars:
    """Return more hours than any file of ours has: the simulator's."""
    return Bars(_synthetic(n_bars), "synthetic ETHUSD hours")


def _from_klines(klines: pd.DataFrame) -> pd.DataFrame:
    frame = klines[["open", "high", "low", "close", "volume"]].assign(
        tick_volume=klines["volume"].round(),  # which a file of klines lacks
        taker_buy_base_vol=klines["taker_buy_base_volume"],
    )
    return frame.set_index(pd.to_datetime(klines["open_time"], unit="ms", utc=True).rename("open_at"))


def _synthetic(n_bars: int = N_BARS) -> pd.DataFrame:
    from simulator.synthetic import START_MS, synthetic_bars

    end_ms = START_MS + n_bars * HOUR_MS
    bars = synthetic_bars(["ETHUSD"], digits={"ETHUSD": 2}, seed=SEED, end_ms=end_ms)["ETHUSD"]
    points = 10.0**bars.digits
    columns = {name: getattr(bars, name)[:n_bars] / points for name in ("open", "high", "low", "close")}
    columns |= {
        "tick_volume": bars.trades[:n_bars].astype(np.float64),
        "volume": bars.volume[:n_bars],
        "taker_buy_base_vol": bars.taker_base[:n_bars],
    }
    index = pd.DatetimeIndex(bars.open_ms[:n_bars].astype("datetime64[ms]"), tz="UTC", name="open_at")
    return pd.DataFrame(columns, index=index)
