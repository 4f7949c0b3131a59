"""The fitting plan that a new site starts with: data that becomes rows, which the admin edits.

The weights are the source's: WedThu 10 %, EmaVol 20 %, AccelVol 15 %, BreakVol 20 %, BlockVol 15 %, Rev 10 %,
OrthAlpha 20 %, shared equally by a strategy's variants. They sum to 110 %, the source's own figure; the sum per asset
is clipped to ``MAX_POSITION_PCT`` downstream. Strategies that the source gives no weight are switched off with weight
0, so that switching one on trades nothing until somebody also decides how much.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

Value = int | float | bool | str


class PlannedModel(NamedTuple):
    """One model that every symbol of the portfolio gets."""

    strategy: str  # key in STRATEGIES
    params: Mapping[str, Value]  # what differs from the strategy's defaults, or names the variant
    strat_weight: float  # share of capital
    enabled: bool

    @property
    def variant(self) -> str:
        """The model's name among those of its strategy."""
        return variant_name(self.params)


def variant_name(params: Mapping[str, Any]) -> str:
    """Return a stable name made of parameters, whatever their order; ``default`` for none.

    >>> variant_name({"fast_ema_window": 24})
    'fast_ema_window=24'
    >>> variant_name({"smooth_window": 24, "breakout_window": 168})
    'breakout_window=168,smooth_window=24'
    """
    return ",".join(f"{name}={_plain(params[name])}" for name in sorted(params)) or "default"


def _plain(value: Any) -> str:
    """Return a value's text: the same for NumPy's numbers and Python's, and for 2 and 2.0."""
    value = value.item() if hasattr(value, "item") else value
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _variants(strategy: str, weight: float, *variants: Mapping[str, Value], enabled: bool = True) -> list[PlannedModel]:
    share = weight / len(variants)
    return [PlannedModel(strategy, params, share, enabled) for params in variants]


DEFAULT_PLAN: tuple[PlannedModel, ...] = (
    *_variants("wed_thu", 0.10, {}),
    *_variants("ema_vol", 0.20, *({"fast_ema_window": window} for window in (24, 48, 96, 192))),
    *_variants("accel_vol", 0.15, *({"fast_ema_window": window} for window in (24, 48, 96))),
    *_variants(
        "break_vol",
        0.20,
        {"breakout_window": 168, "smooth_window": 24},
        {"breakout_window": 336, "smooth_window": 48},
    ),
    *_variants(
        "block_vol",
        0.15,
        {"block_window": 120, "smooth_window": 24},
        {"block_window": 240, "smooth_window": 24},
        {"block_window": 480, "smooth_window": 48},
    ),
    *_variants("rev", 0.10, {"reversal_window": 24, "reversal_threshold": 0.3, "volume_threshold": 0.3}),
    *_variants("orth_alpha", 0.20, *({"forward_window": window, "regression_window": 2160} for window in (24, 72))),
    *_variants("vol_scale", 0.0, {}, enabled=False),
    *_variants("buy_sell_vol", 0.0, {"volume_window": 24, "smooth_window": 24}, enabled=False),
    *_variants(
        "weighted_orth_alpha",
        0.0,
        *({"forward_window": window, "regression_window": 2160} for window in (24, 72)),
        enabled=False,
    ),
)
