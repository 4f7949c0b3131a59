"""The building blocks that strategies share: volatility, tilts, decay, and the scale to a target volatility.

Arrays have one float64 entry a bar; entry ``t`` depends on bars ``0..t`` only. Volatilities are fractions a year.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from market.bars import PRICE_COLUMNS, BarArrays, Floats
from strategies.kernels.ewm import ema_spread, ewm_std
from strategies.kernels.positions import decayed, finite_std, pnl_ema
from strategies.kernels.rolling import rolling_mean
from strategies.kernels.volatility import exp_minus, rogers_satchell

ANNUAL_BARS = 24 * 365
ANNUAL_ROOT = math.sqrt(ANNUAL_BARS)  # volatility of an hour -> of a year
VOLATILITY_FLOOR = 0.01  # a year [chosen]: a market at rest must not become an unbounded position
RANGE_SHARE = 0.4  # [chosen]: ranges say as much in 40 % of the bars
SCALE_OF_MEDIAN = 1.5  # the tilt's scale is this multiple of the median volatility
SCORE_LIMIT = 2.0  # scores are clipped to -2..2
DECAY_SPAN = 24 * 90  # bars


class DecayLine(NamedTuple):
    """``base + slope * clip(z, low, high)`` of the z-score of a strategy's own recent pnl."""

    base: float
    slope: float
    low: float
    high: float


DECAY_MODES = {
    # The source's formula to the letter: 0.5 after the best stretch, 1 after the worst.
    "contrarian": DecayLine(base=0.75, slope=-0.125, low=-SCORE_LIMIT, high=SCORE_LIMIT),
    # The source's prose [chosen]: 1, and down to 0.75 after the worst stretch.
    "protective": DecayLine(base=1.0, slope=0.125, low=-SCORE_LIMIT, high=0.0),
}


def returns(bars: BarArrays) -> Floats:
    """Return ``close_t / close_{t-1} - 1``, NaN on the first bar."""

    def compute() -> Floats:
        close = bars["close"]
        out = np.full(close.size, np.nan)
        np.divide(close[1:], close[:-1], out=out[1:])
        out[1:] -= 1.0
        return out

    return bars.derive("returns", compute)


def range_window(vol_window: int) -> int:
    """Return how many bars the range volatility of ``vol_window`` looks at [chosen: 40 %]."""
    return max(2, round(RANGE_SHARE * vol_window))


def volatility(bars: BarArrays, vol_window: int) -> Floats:
    """Return the annual volatility, floored at 1 % [chosen], NaN while warming up.

    Rogers and Satchell's over ``range_window(vol_window)`` bars; without open, high and low the exponentially weighted
    deviation of returns with span ``vol_window``.
    """

    def compute() -> Floats:
        if not all(column in bars.columns for column in PRICE_COLUMNS):
            return np.maximum(ANNUAL_ROOT * ewm_std(returns(bars), vol_window), VOLATILITY_FLOOR)
        variance = bars.derive("range variance", lambda: rogers_satchell(*(bars[name] for name in PRICE_COLUMNS)))
        v = rolling_mean(variance, range_window(vol_window))
        np.sqrt(np.maximum(v, 0.0, out=v), out=v)
        v *= ANNUAL_ROOT
        return np.maximum(v, VOLATILITY_FLOOR, out=v)

    return bars.derive(("volatility", vol_window), compute)


def volatility_warm_up(vol_window: int) -> int:
    """Return the number of first bars without a range volatility."""
    return range_window(vol_window) - 1


def trend_level(bars: BarArrays, fast: int, slow: int, span: int) -> Floats:
    """Return ``d / ewm_std(d, span)`` of ``d = ema(close, fast) - ema(close, slow)``, not clipped."""

    def compute() -> Floats:
        return standardize(ema_spread(bars["close"], fast, slow), span)

    return bars.derive(("trend", fast, slow, span), compute)


def standardize(x: Floats, span: int) -> Floats:
    """Return ``x / ewm_std(x, span)``: in its own deviations, from 0 and not from its mean; NaN where both are 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return x / ewm_std(x, span)


def trend_warm_up(slow: int, span: int) -> int:
    """Return the number of first bars without a trend level."""
    return slow + span - 2


def clip_score(x: Floats) -> Floats:
    """Return ``x`` clipped to -2..2; NaN stays NaN."""
    return np.clip(x, -SCORE_LIMIT, SCORE_LIMIT)


def difference(x: Floats, lag: int) -> Floats:
    """Return ``x_t - x_{t-lag}``, NaN on the first ``lag`` bars."""
    out = np.full(x.size, np.nan)
    np.subtract(x[lag:], x[:-lag], out=out[lag:])
    return out


def ratio_or_zero(numerator: Floats, denominator: Floats) -> Floats:
    """Return the ratio, 0 where the denominator is exactly 0; NaN stays NaN."""
    return np.divide(numerator, denominator, out=np.zeros(numerator.size), where=denominator != 0.0)


def delay(x: Floats, lag: int) -> Floats:
    """Return ``x_{t-lag}``, NaN on the first ``lag`` bars."""
    out = np.full(x.size, np.nan)
    out[lag:] = x[:-lag]
    return out


def vol_tilt(v: Floats, *, cdf_median: float, weibull_c: float) -> Floats:
    """Return ``1 - WeibullCDF(v)``: near 1 in a calm market, near 0 in a wild one."""
    scale = SCALE_OF_MEDIAN * cdf_median
    return exp_minus((v / scale) ** weibull_c)


def blended(tilt: Floats | float, alpha: float) -> Floats | float:
    """Return ``(1 - alpha) + alpha * tilt``: ``alpha`` is how much of the tilt is taken."""
    return (1.0 - alpha) + alpha * tilt


def recent_pnl(exposure: Floats, bar_returns: Floats) -> Floats:
    """Return the 90-day exponentially weighted mean of what ``exposure`` earned a bar; never NaN."""
    return pnl_ema(exposure, bar_returns, DECAY_SPAN)


def apply_decay(exposure: Floats, bar_returns: Floats, *, defactor: float, mode: str) -> tuple[Floats, Floats]:
    """Return ``exposure`` times the factor for how well it has recently done, and that factor; see ``DECAY_MODES``."""
    return decayed(exposure, bar_returns, DECAY_SPAN, defactor, DECAY_MODES[mode])


def pnl(exposure: Floats, bar_returns: Floats) -> Floats:
    """Return ``exposure_{t-1} * r_t``, NaN on the first bar and while warming up."""
    out = np.full(exposure.size, np.nan)
    np.multiply(exposure[:-1], bar_returns[1:], out=out[1:])
    return out


def deviation(x: Floats, *, where: Floats) -> float:
    """Return the standard deviation (``ddof=1``) of ``x`` where it and ``where`` have values; NaN for fewer than 2."""
    return finite_std(x, where)


def median(x: Floats) -> float:
    """Return the median of what is not NaN: at least one value."""
    known = x[~np.isnan(x)]
    middle = known.size // 2
    known.partition(middle)
    upper = known[middle]
    return float(upper if known.size % 2 else (known[:middle].max() + upper) / 2)
