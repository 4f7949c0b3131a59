"""Hour bars made from a seed: bursts of volatility, fat tails, correlated symbols, quiet weekends.

A bar depends on the draws before it only, and each symbol draws from streams of its own, keyed by (seed, name). So a
longer horizon or another symbol changes no bar of the past; the shared factor has its own stream too. The recursions
are sums over powers of the lag (doubling), in which entry ``t`` reads entries ``0 .. t`` in a fixed order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple
from zlib import crc32

import numpy as np

from simulator.hourbars import HOUR_MS, Floats, HourBars, Ints

START_MS = 1_640_995_200_000  # 2022-01-01
END_MS = 1_956_528_000_000  # 2032-01-01
HOURS_A_WEEK = 168
FAT = 5  # degrees of freedom of the returns
MIN_TRADES = 60  # an hour: one a minute, so that every minute of an open market has a bar
PULL_HALF_LIFE = 24 * 400  # hours; a weak pull towards the starting price keeps ten years of prices plausible


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticSpec:
    """A symbol's character: ``volatility`` is of an hour's log return, ``beta`` its part of the shared factor."""

    price: float
    volatility: float
    beta: float
    hourly_quote_volume: float
    trade_size: float  # quote currency


SPECS = {
    "BTCUSD": SyntheticSpec(price=46_000, volatility=0.0052, beta=0.90, hourly_quote_volume=6e7, trade_size=800),
    "ETHUSD": SyntheticSpec(price=3_000, volatility=0.0068, beta=0.85, hourly_quote_volume=4e7, trade_size=700),
    "BNBUSD": SyntheticSpec(price=510, volatility=0.0062, beta=0.75, hourly_quote_volume=8e6, trade_size=500),
    "SOLUSD": SyntheticSpec(price=170, volatility=0.0090, beta=0.75, hourly_quote_volume=1.2e7, trade_size=450),
    "ADAUSD": SyntheticSpec(price=1.3, volatility=0.0085, beta=0.78, hourly_quote_volume=5e6, trade_size=350),
}


class _Week(NamedTuple):
    """What the hour of the week does: weekends are quiet, afternoons (UTC) are busy; hour 0 is Thursday 00:00."""

    volatility: Floats
    activity: Floats


def synthetic_bars(
    names: Iterable[str], *, digits: dict[str, int], seed: int, end_ms: int = END_MS
) -> dict[str, HourBars]:
    """Return the hour bars of each symbol from 2022-01-01 to ``end_ms``.

    Raises
    ------
    ValueError
        If a symbol has no synthetic character, or the horizon is empty.
    """
    n = (end_ms - START_MS) // HOUR_MS
    if n < 1:
        raise ValueError(f"a synthetic market ends after {START_MS}, was to end at {end_ms}")
    names = list(names)
    unknown = sorted(set(names) - set(SPECS))
    if unknown:
        raise ValueError(f"no synthetic market for {', '.join(unknown)}; known: {', '.join(SPECS)}")
    open_ms = START_MS + HOUR_MS * np.arange(n, dtype=np.int64)
    week = _week(open_ms)
    calm = _bursts(seed, "market", n)
    factor = _fat(seed, "market", n)
    return {name: _bars(name, digits[name], seed, open_ms, week, calm, factor) for name in names}


def _bars(
    name: str, digits: int, seed: int, open_ms: Ints, week: _Week, market_bursts: Floats, factor: Floats
) -> HourBars:
    spec, n = SPECS[name], len(open_ms)
    bursts = np.exp(0.8 * market_bursts + 0.2 * _bursts(seed, name, n))
    sigma = spec.volatility * bursts * week.volatility
    shocks = spec.beta * factor + np.sqrt(1 - spec.beta**2) * _fat(seed, name, n)
    returns = np.clip(sigma * shocks, -0.25, 0.25)
    log_close = np.log(spec.price) + _decaying_sum(returns, 0.5 ** (1 / PULL_HALF_LIFE))
    log_open = np.concatenate([[np.log(spec.price)], log_close[:-1]])
    o, h, low, c = _ohlc(log_open, log_close, sigma, digits, _rng(seed, name, "range"))
    typical = (o + h + low + c) / (4 * 10.0**digits)
    flow = _rng(seed, name, "flow")
    turnover = spec.hourly_quote_volume * week.activity * bursts**1.2 * (0.6 + 0.4 * np.abs(shocks))
    turnover *= np.exp(0.35 * flow.standard_normal(n))
    drift = _decaying_sum(_rng(seed, name, "drift").standard_normal(n), 0.9) * np.sqrt(1 - 0.9**2)
    share = np.clip(0.495 + 0.06 * np.tanh(shocks) + 0.02 * drift, 0.05, 0.95)
    volume = np.round(turnover / typical, 5)
    taker = np.round(volume * share, 5)
    return HourBars(
        digits=digits,
        open_ms=open_ms,
        open=o,
        high=h,
        low=low,
        close=c,
        volume=volume,
        quote_volume=volume * typical,
        trades=np.maximum(MIN_TRADES, np.rint(turnover / spec.trade_size)).astype(np.int64),
        taker_base=taker,
        taker_quote=taker * typical,
    )


def _ohlc(log_open: Floats, log_close: Floats, sigma: Floats, digits: int, rng: np.random.Generator) -> list[Ints]:
    """Return open, high, low, close in points; the extremes are those of a Brownian bridge between the ends.

    The chance that a bridge from 0 to ``r`` exceeds ``m`` is ``exp(-2 m (m - r) / sigma^2)``, which is turned around.
    """
    draws = rng.random((len(log_open), 2))  # row by row, so that a longer horizon keeps the earlier ones
    reach = -2.0 * (0.6 * sigma) ** 2 * np.log1p(-draws[:, 0])
    depth = -2.0 * (0.6 * sigma) ** 2 * np.log1p(-draws[:, 1])
    move = log_close - log_open
    log_high = log_open + (move + np.sqrt(move**2 + reach)) / 2
    log_low = log_open + (move - np.sqrt(move**2 + depth)) / 2
    o, h, low, c = (
        np.maximum(1, np.rint(np.exp(x) * 10.0**digits)).astype(np.int64)
        for x in (log_open, log_high, log_low, log_close)
    )
    return [o, np.maximum(h, np.maximum(o, c)), np.minimum(low, np.minimum(o, c)), c]


def _rng(seed: int, name: str, stream: str) -> np.random.Generator:
    return np.random.default_rng([seed, crc32(name.encode()), crc32(stream.encode())])


def _fat(seed: int, name: str, n: int) -> Floats:
    """Return Student's t draws of unit variance, beyond nine of which a market would have been halted."""
    draws = _rng(seed, name, "shock").standard_t(FAT, n) * np.sqrt((FAT - 2) / FAT)
    return np.asarray(np.clip(draws, -9.0, 9.0))


def _bursts(seed: int, name: str, n: int) -> Floats:
    """Return the log of a volatility that has good and bad days inside good and bad months."""
    rng_fast, rng_slow = _rng(seed, name, "fast"), _rng(seed, name, "slow")
    fast, slow = 0.5 ** (1 / 10), 0.5 ** (1 / (24 * 25))
    days = 0.40 * np.sqrt(1 - fast**2) * _decaying_sum(rng_fast.standard_normal(n), fast)
    months = 0.30 * np.sqrt(1 - slow**2) * _decaying_sum(rng_slow.standard_normal(n), slow)
    return np.asarray(days + months - 0.125)  # minus half the variance, so that the mean size stays


def _decaying_sum(x: Floats, decay: float) -> Floats:
    """Return ``y[t] = x[t] + decay * y[t - 1]`` in log2(n) passes."""
    y, lag = x.copy(), 1
    while lag < len(y):
        y[lag:] += decay**lag * y[:-lag]
        lag *= 2
    return y


def _week(open_ms: Ints) -> _Week:
    hour_of_week = (open_ms // HOUR_MS) % HOURS_A_WEEK
    weekday, hour = (hour_of_week // 24 + 3) % 7, hour_of_week % 24
    weekend = weekday >= 5
    daily = 1.0 + 0.3 * np.cos((hour - 15) * (2 * np.pi / 24))
    weekly = np.where(weekday == 0, 1.05, np.where(weekend, 0.72, 1.0))
    return _Week(volatility=daily * weekly, activity=daily * np.where(weekend, 0.65, 1.0))
