"""The ten strategies as a careful user of pandas and statsmodels writes them: the peer of ours.

Vectorised, one expression a step, what fitting and predicting share computed once. Nothing of ``strategies`` is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from statsmodels.regression.rolling import RollingOLS, RollingWLS

Series: TypeAlias = Any  # of floats, on the bars' index; the stubs of pandas do not follow such arithmetic
Parameters = Mapping[str, Any]
YEAR_ROOT = float(np.sqrt(24 * 365))
TARGET_VOL = 0.2
DEFAULTS: dict[str, Any] = {
    "vol_window": 720,
    "fast_ema_window": 24,
    "slow_ema_multiplier": 4,
    "diff_multiplier": 1,
    "breakout_window": 168,
    "block_window": 120,
    "smooth_window": 24,
    "volume_window": 24,
    "reversal_window": 24,
    "reversal_threshold": 0.3,
    "volume_threshold": 0.3,
    "forward_window": 24,
    "regression_window": 2160,
    "weibull_c": 2.0,
    "alpha": 0.5,
}


class Seen(NamedTuple):
    """What a strategy sees before anything is fitted."""

    returns: Series
    v: Series
    score: Series
    strength: Series | float = 1.0


def ewm(x: Series, span: int) -> Any:
    return x.ewm(span=span, adjust=False, min_periods=span)


def ema(x: Series, span: int) -> Series:
    return ewm(x, span).mean()


def in_deviations(x: Series, span: int) -> Series:
    return x / ewm(x, span).std()


def limited(x: Series) -> Series:
    return x.clip(-2.0, 2.0)


def range_volatility(bars: pd.DataFrame, p: Parameters) -> Series:
    to_high, to_low = np.log(bars["high"] / bars["close"]), np.log(bars["low"] / bars["close"])
    variance = to_high * np.log(bars["high"] / bars["open"]) + to_low * np.log(bars["low"] / bars["open"])
    mean = variance.rolling(max(2, round(0.4 * p["vol_window"]))).mean().clip(lower=0.0)
    return (np.sqrt(mean) * YEAR_ROOT).clip(lower=0.01)


def trend(bars: pd.DataFrame, p: Parameters) -> Series:
    fast = p["fast_ema_window"]
    spread = ema(bars["close"], fast) - ema(bars["close"], fast * p["slow_ema_multiplier"])
    return in_deviations(spread, p["vol_window"])


def see_vol_scale(bars: pd.DataFrame, p: Parameters) -> Seen:
    return Seen(bars["close"].pct_change(), range_volatility(bars, p), pd.Series(1.0, bars.index))


def see_ema_vol(bars: pd.DataFrame, p: Parameters) -> Seen:
    return Seen(bars["close"].pct_change(), range_volatility(bars, p), limited(trend(bars, p)))


def see_accel_vol(bars: pd.DataFrame, p: Parameters) -> Seen:
    change = trend(bars, p).diff(p["fast_ema_window"] * p["diff_multiplier"])
    score = limited(in_deviations(change, p["vol_window"]))
    return Seen(bars["close"].pct_change(), range_volatility(bars, p), score)


def see_break_vol(bars: pd.DataFrame, p: Parameters) -> Seen:
    close = bars["close"]
    rolling = close.rolling(p["breakout_window"])
    top, bottom = rolling.max(), rolling.min()
    place = ((close - (top + bottom) / 2.0) / (top - bottom) * 2.0).where(top != bottom, 0.0)
    return Seen(close.pct_change(), range_volatility(bars, p), ema(place, p["smooth_window"]))


def see_block_vol(bars: pd.DataFrame, p: Parameters) -> Seen:
    window, close = p["block_window"], bars["close"]
    top, bottom = close.rolling(window).max(), close.rolling(window).min()
    climb = ((top.diff(window) + bottom.diff(window)) / 2.0 / (top - bottom)).where(top != bottom, 0.0)
    return Seen(close.pct_change(), range_volatility(bars, p), limited(ema(climb, p["smooth_window"])))


def see_buy_sell_vol(bars: pd.DataFrame, p: Parameters) -> Seen:
    window = p["volume_window"]
    share = ema(ema(bars["taker_buy_base_vol"], window) / ema(bars["volume"], window), p["smooth_window"])
    rolling = share.rolling(p["vol_window"])
    score = limited((share - rolling.mean()) / rolling.std())
    return Seen(bars["close"].pct_change(), range_volatility(bars, p), score)


def see_rev(bars: pd.DataFrame, p: Parameters) -> Seen:
    returns, v = bars["close"].pct_change(), range_volatility(bars, p)
    volume = ema(bars["volume"], p["reversal_window"])
    rolling = volume.rolling(p["vol_window"])
    least, most = rolling.min(), rolling.max()
    busy = ((volume - least) / (most - least)).where(most != least)
    moved = ema(returns, p["reversal_window"]) / (v / YEAR_ROOT)
    acts = (moved.abs() > p["reversal_threshold"]) & (busy > p["volume_threshold"])
    return Seen(returns, v, (-np.sign(moved)).where(acts, 0.0).where(busy.notna() & moved.notna()))


def see_wed_thu(bars: pd.DataFrame, p: Parameters) -> Seen:
    returns = bars["close"].pct_change()
    opens_next = pd.DatetimeIndex(bars.index) + pd.Timedelta(hours=1)
    v = pd.Series(np.nan, bars.index)
    for day in (2, 3):  # Wednesday, Thursday
        own = returns[pd.DatetimeIndex(bars.index).day_of_week == day]
        yearly = YEAR_ROOT * ewm(own, max(2, round(p["vol_window"] / 7))).std()
        carried = yearly.reindex(bars.index).ffill().clip(lower=0.01)
        v = v.where(opens_next.day_of_week != day, carried)
    score = np.select([opens_next.day_of_week == 2, opens_next.day_of_week == 3], [1.0, -1.0], 0.0)
    return Seen(returns, v, pd.Series(score, bars.index))


def see_orth_alpha(bars: pd.DataFrame, p: Parameters) -> Seen:
    return _regressed(bars, p, weighted=False)


def see_weighted_orth_alpha(bars: pd.DataFrame, p: Parameters) -> Seen:
    return _regressed(bars, p, weighted=True)


def _regressed(bars: pd.DataFrame, p: Parameters, *, weighted: bool) -> Seen:
    forward, window, close = p["forward_window"], p["regression_window"], bars["close"]
    v = range_volatility(bars, p)
    push = limited(in_deviations(ema(close, forward) - ema(close, 4 * forward), p["vol_window"]))
    past = v.shift(forward)
    rows = pd.DataFrame({"y": close.pct_change(forward) / past, "one": 1.0, "x": push.shift(forward), "v": past})
    rows = rows.dropna()
    design = rows[["one", "x"]]
    if weighted:
        model = RollingWLS(rows["y"], design, window=window, weights=1.0 / rows["v"] ** 2)
    else:
        model = RollingOLS(rows["y"], design, window=window)
    fitted = model.fit()
    constant = fitted.params["one"].reindex(bars.index)
    sure = (fitted.tvalues["one"].reindex(bars.index).abs() / 2.0).clip(upper=1.0)
    score = limited(in_deviations(constant, p["vol_window"]))
    return Seen(close.pct_change(), v, score, (1.0 - p["alpha"]) + p["alpha"] * sure)


SEE: dict[str, Callable[[pd.DataFrame, Parameters], Seen]] = {
    name.removeprefix("see_"): see for name, see in list(globals().items()) if name.startswith("see_")
}
TILTED_BY_VOLATILITY = frozenset({"ema_vol", "accel_vol", "break_vol", "block_vol", "buy_sell_vol"})
DECAYING = frozenset({"ema_vol", "accel_vol", "break_vol", "block_vol", "orth_alpha", "weighted_orth_alpha"})


@dataclass
class Peer:
    """One strategy: ``see`` its bars, ``fit`` what it saw, and take ``positions``."""

    key: str
    parameters: Parameters
    median_v: float = np.nan
    swing: float = np.nan
    scale: float = np.nan

    @classmethod
    def of(cls, key: str, **parameters: Any) -> Peer:
        return cls(key, DEFAULTS | parameters)

    def see(self, bars: pd.DataFrame) -> Seen:
        return SEE[self.key](bars, self.parameters)

    def fit(self, seen: Seen) -> Peer:
        if self.key in TILTED_BY_VOLATILITY:
            self.median_v = float(seen.v.median())
        exposure = self._exposure(seen)
        if self.key in DECAYING:
            self.swing = float(self._earned(exposure, seen.returns)[exposure.notna()].std())
        held = self._decayed(exposure, seen.returns)
        self.scale = TARGET_VOL / (YEAR_ROOT * float((held.shift(1) * seen.returns).std()))
        return self

    def positions(self, seen: Seen) -> Series:
        return (self._decayed(self._exposure(seen), seen.returns) * self.scale).fillna(0.0)

    def _exposure(self, seen: Seen) -> Series:
        exposure = TARGET_VOL / seen.v * seen.score * seen.strength
        if self.key in TILTED_BY_VOLATILITY:
            alpha, shape = self.parameters["alpha"], self.parameters["weibull_c"]
            tilt = np.exp(-((seen.v / (1.5 * self.median_v)) ** shape))
            exposure = exposure * ((1.0 - alpha) + alpha * tilt)
        # The only strategy without a volatility where it holds nothing.
        return exposure.where(seen.score != 0.0, 0.0) if self.key == "wed_thu" else exposure

    def _earned(self, exposure: Series, returns: Series) -> Series:
        return (exposure.shift(1) * returns).fillna(0.0).ewm(span=24 * 90, adjust=False).mean()

    def _decayed(self, exposure: Series, returns: Series) -> Series:
        if self.key not in DECAYING:
            return exposure
        z = limited(self._earned(exposure, returns) / self.swing)
        return exposure * (0.75 - 0.125 * z)
