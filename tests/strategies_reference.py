"""The ten strategies a second time: the definitions, line by line, in plain pandas and statsmodels.

Written from the definitions alone and sharing no code with ``strategies``, so that two authors' mistakes would have to
coincide. Slow, unchecked, and easy to read beside the definitions; also the peer that the speed is measured against.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.regression.rolling import RollingOLS, RollingWLS

ANNUAL_BARS = 24 * 365
A = np.sqrt(ANNUAL_BARS)
DEFAULTS: dict[str, Any] = {
    "vol_window": 720,
    "target_vol": 0.2,
    "strat_weight": 1.0,
    "weibull_c": 2.0,
    "alpha": 0.5,
    "fit_decay": True,
    "decay_mode": "contrarian",
    "slow_ema_multiplier": 4,
    "diff_multiplier": 1,
}
OWN: dict[str, dict[str, Any]] = {
    "vol_scale": {},
    "wed_thu": {},
    "ema_vol": {"fast_ema_window": 24},
    "accel_vol": {"fast_ema_window": 24},
    "break_vol": {"breakout_window": 168, "smooth_window": 24},
    "block_vol": {"block_window": 120, "smooth_window": 24},
    "buy_sell_vol": {"volume_window": 24, "smooth_window": 24},
    "rev": {"reversal_window": 24, "reversal_threshold": 0.3, "volume_threshold": 0.3, "volume_column": "volume"},
    "orth_alpha": {"forward_window": 24, "regression_window": 2160},
    "weighted_orth_alpha": {"forward_window": 24, "regression_window": 2160},
}


def ema(x, w):
    return x.ewm(span=w, adjust=False, min_periods=w).mean()


def ewm_std(x, w):
    return x.ewm(span=w, adjust=False, min_periods=w).std()


def clip2(x):
    return x.clip(-2, 2)


def volatility(b, p):
    w = max(2, round(0.4 * p["vol_window"]))
    o, h, l, c = b["open"], b["high"], b["low"], b["close"]  # noqa: E741
    rs = np.log(h / c) * np.log(h / o) + np.log(l / c) * np.log(l / o)
    return (A * np.sqrt(rs.rolling(w).mean().clip(lower=0))).clip(lower=0.01)


def spread(b, fast, slow):
    return ema(b["close"], fast) - ema(b["close"], slow)


# Each returns (v, s, tilt), where tilt is a series that replaces the volatility tilt, or None.


def vol_scale(b, p):
    return volatility(b, p), pd.Series(1.0, b.index), None


def wed_thu(b, p):
    r = b["close"].pct_change()
    w = max(2, round(p["vol_window"] / 7))
    ahead = (b.index + pd.Timedelta(hours=1)).day_name()
    v = pd.Series(np.nan, b.index)
    for day in ("Wednesday", "Thursday"):
        own = A * ewm_std(r[b.index.day_name() == day], w)
        carried = own.reindex(b.index).ffill().clip(lower=0.01)
        v[ahead == day] = carried[ahead == day]
    s = pd.Series(np.select([ahead == "Wednesday", ahead == "Thursday"], [1.0, -1.0], 0.0), b.index)
    return v, s, None


def ema_vol(b, p):
    d = spread(b, p["fast_ema_window"], p["fast_ema_window"] * p["slow_ema_multiplier"])
    return volatility(b, p), clip2(d / ewm_std(d, p["vol_window"])), None


def accel_vol(b, p):
    d = spread(b, p["fast_ema_window"], p["fast_ema_window"] * p["slow_ema_multiplier"])
    level = d / ewm_std(d, p["vol_window"])
    a = level.diff(p["fast_ema_window"] * p["diff_multiplier"])
    return volatility(b, p), clip2(a / ewm_std(a, p["vol_window"])), None


def break_vol(b, p):
    c = b["close"]
    h, l = c.rolling(p["breakout_window"]).max(), c.rolling(p["breakout_window"]).min()  # noqa: E741
    s_raw = ((c - (h + l) / 2) / (h - l) * 2).where(h != l, 0.0)
    return volatility(b, p), ema(s_raw, p["smooth_window"]), None


def block_vol(b, p):
    c, w = b["close"], p["block_window"]
    h, l = c.rolling(w).max(), c.rolling(w).min()  # noqa: E741
    s_raw = ((h.diff(w) + l.diff(w)) / 2 / (h - l)).where(h != l, 0.0)
    return volatility(b, p), clip2(ema(s_raw, p["smooth_window"])), None


def buy_sell_vol(b, p):
    w = p["volume_window"]
    bsr = ema(ema(b["taker_buy_base_vol"], w) / ema(b["volume"], w), p["smooth_window"])
    rolled = bsr.rolling(p["vol_window"])
    return volatility(b, p), clip2((bsr - rolled.mean()) / rolled.std()), None


def rev(b, p):
    v = volatility(b, p)
    x = ema(b[p["volume_column"]], p["reversal_window"])
    low, high = x.rolling(p["vol_window"]).min(), x.rolling(p["vol_window"]).max()
    vlm_z = ((x - low) / (high - low)).where(high != low)
    ret_z = ema(b["close"].pct_change(), p["reversal_window"]) / (v / A)
    f = (-np.sign(ret_z)).where((ret_z.abs() > p["reversal_threshold"]) & (vlm_z > p["volume_threshold"]), 0.0)
    return v, f.where(vlm_z.notna() & ret_z.notna()), None


def regression_rows(b, p):
    """Return y, [1, x] and weights of the rows that are complete."""
    fw = p["forward_window"]
    v = volatility(b, p)
    d = spread(b, fw, 4 * fw)
    dp = clip2(d / ewm_std(d, p["vol_window"]))
    then = v.shift(fw)
    rows = pd.DataFrame({"y": (b["close"] / b["close"].shift(fw) - 1) / then, "const": 1.0, "x": dp.shift(fw)})
    rows = rows.assign(weight=1 / then**2).dropna()
    return rows["y"], rows[["const", "x"]], rows["weight"]


def regress(rows, window, *, weighted):
    y, x, weight = rows
    model = RollingWLS(y, x, window=window, weights=weight) if weighted else RollingOLS(y, x, window=window)
    return model.fit()


def orth(b, p, *, weighted):
    fitted = regress(regression_rows(b, p), p["regression_window"], weighted=weighted)
    a = fitted.params["const"].reindex(b.index, method="ffill")
    t = fitted.tvalues["const"].reindex(b.index, method="ffill")
    s = clip2(a / ewm_std(a, p["vol_window"]))
    return volatility(b, p), s, (1 - p["alpha"]) + p["alpha"] * (t.abs() / 2).clip(upper=1)


def orth_alpha(b, p):
    return orth(b, p, weighted=False)


def weighted_orth_alpha(b, p):
    return orth(b, p, weighted=True)


VOL_TILT = {"ema_vol", "accel_vol", "break_vol", "block_vol", "buy_sell_vol"}
DECAY = {"ema_vol", "accel_vol", "break_vol", "block_vol", "orth_alpha", "weighted_orth_alpha"}


@dataclass
class Reference:
    """A strategy of the catalogue, fitted and applied by the definitions."""

    key: str
    params: dict[str, Any]
    cdf_median: Any = None
    defactor: Any = None

    @classmethod
    def of(cls, key: str, **params: Any) -> Reference:
        return cls(key, {**DEFAULTS, **OWN[key], **params})

    def seen(self, b: pd.DataFrame) -> tuple[pd.Series, pd.Series, pd.Series | None]:
        """Return v, s and tilt; the dear part, which a caller may compute once for ``fit`` and ``signal``."""
        found: tuple[pd.Series, pd.Series, pd.Series | None] = globals()[self.key](b, self.params)
        return found

    def fit(self, b: pd.DataFrame, seen: Any = None) -> Reference:
        v, s, tilt = seen or self.seen(b)
        r = b["close"].pct_change()
        self.cdf_median = v.median() if self.key in VOL_TILT else None
        raw = self._raw(v, s, tilt)
        self.defactor = self._strat_pnl(raw, r)[raw.notna()].std() if self._decays() else None
        raw = raw * self._decay(raw, r)
        self.scaler: float = self.params["target_vol"] / (A * (raw.shift(1) * r).std())
        return self

    def signal(self, b: pd.DataFrame, seen: Any = None) -> pd.DataFrame:
        v, s, tilt = seen or self.seen(b)
        r = b["close"].pct_change()
        raw = self._raw(v, s, tilt)
        raw = raw * self._decay(raw, r)
        pos = (raw * self.scaler * self.params["strat_weight"]).fillna(0.0)
        return pd.DataFrame({"v": v, "s": s, "raw": raw, "pos": pos})

    def predict(self, b: pd.DataFrame) -> pd.Series:
        return self.signal(b)["pos"]

    def _decays(self) -> bool:
        return self.key in DECAY and self.params["fit_decay"]

    def _raw(self, v, s, tilt):
        p = self.params
        raw = p["target_vol"] / v * s
        if self.key in VOL_TILT:
            vol_tilt = np.exp(-((v / (1.5 * self.cdf_median)) ** p["weibull_c"]))
            raw = raw * ((1 - p["alpha"]) + p["alpha"] * vol_tilt)
        if tilt is not None:
            raw = raw * tilt
        return raw.where(s != 0, 0.0) if self.key == "wed_thu" else raw

    def _strat_pnl(self, raw, r):
        return (raw.shift(1) * r).fillna(0).ewm(span=24 * 90, adjust=False).mean()

    def _decay(self, raw, r):
        if not self._decays():
            return 1.0
        z = clip2(self._strat_pnl(raw, r) / self.defactor)
        if self.params["decay_mode"] == "protective":
            return 1 + 0.25 * z.clip(upper=0) / 2
        return 0.75 + 0.25 * (-z / 2)
