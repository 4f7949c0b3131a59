"""An hour's volumes shared out among its minutes, so that they add up and stay possible.

A minute's average price lies inside the minute, takers never buy more than was traded, and what they bought leans with
the minute's return. The shares are tilted towards dear or cheap minutes until the average price is the hour's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.hourbars import Floats, HourBars, Ints

NEWTON_STEPS = 12
STEEPEST = 30.0  # bound of the tilt, in units of 1 / the minutes' price range
LEAN = 0.9  # how much of its room the takers' share uses


@dataclass(frozen=True, eq=False, kw_only=True)
class MinuteFlow:
    """The minutes' volumes, each of shape (n, 60); a minute's sum over the hour is the hour bar's own."""

    volume: Floats
    quote_volume: Floats
    trades: Ints
    taker_base: Floats
    taker_quote: Floats


def minute_flow(
    bars: HourBars, rows: slice, price: NDArray[np.float64], change: Ints, noise: NDArray[np.float64]
) -> MinuteFlow:
    """Share out the volumes of some hours.

    Parameters
    ----------
    price : float64 (n, 60)
        The minutes' typical prices, points.
    change : int64 (n, 60)
        Close less open of the minutes, points.
    noise : float64 (n, 120)
        Uniform on [0, 1).
    """
    volume, quote = bars.volume[rows][:, None], bars.quote_volume[rows][:, None]
    minutes = price.shape[1]
    average = _ratio(quote, volume, otherwise=price.mean(axis=1, keepdims=True)) * 10.0**bars.digits
    shares = _tilted(0.3 + noise[:, :minutes], price, average)
    base = volume * shares
    taker = base * _taker_shares(_ratio(bars.taker_base[rows][:, None], volume, otherwise=0.0), shares, change)
    quotes = _scaled(base * price, quote)
    steps = np.floor(np.cumsum(shares, axis=1) * bars.trades[rows][:, None] + 0.5).astype(np.int64)
    return MinuteFlow(
        volume=base,
        quote_volume=quotes,
        trades=np.diff(steps, axis=1, prepend=0),
        taker_base=taker,
        taker_quote=np.minimum(_scaled(taker * price, bars.taker_quote[rows][:, None]), quotes),
    )


def _tilted(weights: Floats, price: Floats, average: Floats) -> Floats:
    """Return shares that add up to 1 and whose mean price is the average, as near as the minutes allow."""
    low, span = price.min(axis=1, keepdims=True), np.ptp(price, axis=1, keepdims=True)
    z = (price - low) / np.where(span > 0, span, 1.0)
    target = np.clip((average - low) / np.where(span > 0, span, 1.0), 0.02, 0.98)
    tilt = np.zeros_like(low)
    for _ in range(NEWTON_STEPS):
        shares = _shares(weights, tilt * (z - target))
        mean = (shares * z).sum(axis=1, keepdims=True)
        spread = (shares * (z - mean) ** 2).sum(axis=1, keepdims=True)
        step = (target - mean) / np.maximum(spread, 1e-3)
        tilt = np.clip(tilt + np.clip(step, -4.0, 4.0), -STEEPEST, STEEPEST)
    return _shares(weights, tilt * (z - target))


def _shares(weights: Floats, exponent: Floats) -> Floats:
    tilted = weights * np.exp(exponent)
    return np.asarray(tilted / tilted.sum(axis=1, keepdims=True))


def _taker_shares(share: Floats, shares: Floats, change: Ints) -> Floats:
    """Return each minute's takers' share, in [0, 1], leaning with its return around the hour's share."""
    lean = np.sign(change) - (shares * np.sign(change)).sum(axis=1, keepdims=True)
    room = LEAN * np.minimum(share, 1.0 - share) / np.maximum(np.abs(lean).max(axis=1, keepdims=True), 1e-12)
    return np.asarray(np.clip(share + np.minimum(room, 1.0) * lean, 0.0, 1.0))


def _scaled(parts: Floats, total: Floats) -> Floats:
    """Return the parts, scaled to add up to the total."""
    return np.asarray(parts * _ratio(total, parts.sum(axis=1, keepdims=True), otherwise=0.0))


def _ratio(a: Floats, b: Floats, *, otherwise: Floats | float) -> Floats:
    """Return a / b, or something else where b is 0."""
    return np.where(b > 0, a / np.where(b > 0, b, 1.0), otherwise)
