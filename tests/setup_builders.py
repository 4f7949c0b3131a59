"""A store with 15-minute klines, a bot that watches them, and a filter that is quick to train."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from market.models import FundingRate, Kline, Symbol
from mlfilter.models import BotSettings, BotSymbol, Setup
from mlfilter.training import TrainedFilter, targets, train
from tests.ml_bars_builders import short_bars

N_BARS = 1500
LAST_CLOSE = datetime(2024, 1, 1, tzinfo=UTC) + N_BARS * timedelta(minutes=15)
BAR = timedelta(minutes=15)
SETTLEMENT_MS = 8 * 3_600_000
# A wide gate for signals, so that few bars have many setups.
EASY = {"long_rsi": 45.0, "long_bb_position": 0.4, "long_zscore": -0.5}
EASY |= {"short_rsi": 55.0, "short_bb_position": 0.6, "short_zscore": 0.5}


def quarter_hours(seed: int = 0, n: int = N_BARS) -> pd.DataFrame:
    """Return bars of 15 minutes from 2024-01-01 on."""
    return short_bars(seed, n, minutes=15, volatility=0.004)


def store_klines(bars: pd.DataFrame, name: str = "ETHUSDT", *, taker: bool = False) -> None:
    """Put bars into the store as the exchange's."""
    opened = pd.DatetimeIndex(bars.index).as_unit("ms").asi8
    Kline.objects.bulk_create(
        Kline(
            symbol=name,
            interval="15m",
            open_ms=int(open_ms),
            taker_buy_base_volume=row["taker_buy_base_vol"] if taker else None,
            **{column: row[column] for column in ("open", "high", "low", "close", "volume")},
        )
        for open_ms, row in zip(opened, bars.to_dict("records"), strict=True)
    )


def store_funding(*, since: datetime | None = None, until: datetime = LAST_CLOSE, seed: int = 5) -> list[FundingRate]:
    """Store settlements of ETHUSDT as a history: every eight hours, from before the first bar or ``since`` on."""
    first = int((since or LAST_CLOSE - (N_BARS + 100) * BAR).timestamp() * 1000) // SETTLEMENT_MS + 1
    last = int(until.timestamp() * 1000) // SETTLEMENT_MS
    rates = 1e-4 * np.random.default_rng(seed).standard_normal(last - first + 1)
    return FundingRate.objects.bulk_create(
        FundingRate(symbol="ETHUSDT", at_ms=(first + i) * SETTLEMENT_MS, rate=float(rate))
        for i, rate in enumerate(rates)
    )


def make_bot(seed: int = 0, *, n: int = N_BARS, **changed: Any) -> BotSymbol:
    """Return the bot's one symbol, its klines stored and its settings small."""
    Symbol.objects.create(name="ETHUSD", binance_symbol="ETHUSDT")
    make_settings(**changed)
    store_klines(quarter_hours(seed, n))
    return BotSymbol.objects.create(name="ETHUSDT", broker="binance_spot", data_symbol="ETHUSDT")


def make_settings(**changed: Any) -> BotSettings:
    usual = {
        "recognizer": "logistic_regression",
        "signal_thresholds": EASY,
        "horizon": 8,
        "stop_pct": 0.01,
        "target_pct": 0.01,
        "confidence_threshold": 0.3,
        "min_similar_win_rate": 0.0,
        "unseen_days": 5,
        "min_unseen_trades": 1,
        "fee": 0.0,
        "half_spread": 0.0,
        "slippage": 0.0,
    }
    return BotSettings.objects.create(**(usual | changed))


def train_one(**changed: Any) -> TrainedFilter:
    return train(targets()[0], **changed)


def store_setup(symbol: BotSymbol, bar_at: datetime, **changed: Any) -> Setup:
    """Store a long setup at a bar's time: entry 100, stop 99, target 101."""
    usual = {"direction": "long", "entry": 100.0, "stop": 99.0, "target": 101.0, "threshold": 0.5}
    names = {name: getattr(symbol, name) for name in ("broker", "data_symbol", "interval")}
    return Setup.objects.create(symbol=symbol.name, bar_at=bar_at, **(names | usual | changed))


def flat_bars(n: int = 30, price: float = 100.0) -> pd.DataFrame:
    """Return bars that do not move."""
    index = pd.date_range("2024-01-01", periods=n, freq="15min", tz="UTC")
    columns = dict.fromkeys(("open", "high", "low", "close"), np.full(n, price))
    return pd.DataFrame(columns | {"volume": np.ones(n), "taker_buy_base_vol": np.ones(n)}, index=index)
