"""The catalogue of strategies: one line here, one file beside it.

Keys are what the database stores, so a class may be renamed and a key may not. Values are dotted paths, so that
reading the catalogue (forms, admin, Django's start) imports neither pandas nor numba nor scikit-learn.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from strategies.errors import ParameterError, UnknownStrategyError

if TYPE_CHECKING:
    from strategies.estimators.base import BaseStrategy

STRATEGIES: dict[str, str] = {
    "vol_scale": "strategies.estimators.vol_scale.VolScaleStrategy",
    "wed_thu": "strategies.estimators.wed_thu.WedThuStrategy",
    "ema_vol": "strategies.estimators.ema_vol.EmaVolStrategy",
    "accel_vol": "strategies.estimators.accel_vol.AccelVolStrategy",
    "break_vol": "strategies.estimators.break_vol.BreakVolStrategy",
    "block_vol": "strategies.estimators.block_vol.BlockVolStrategy",
    "buy_sell_vol": "strategies.estimators.buy_sell_vol.BuySellVolStrategy",
    "rev": "strategies.estimators.rev.RevStrategy",
    "orth_alpha": "strategies.estimators.orth_alpha.OrthAlphaStrategy",
    "weighted_orth_alpha": "strategies.estimators.weighted_orth_alpha.WeightedOrthAlphaStrategy",
}


def build(key: str, **parameters: Any) -> BaseStrategy:
    """Return a strategy that is not fitted yet.

    Raises
    ------
    UnknownStrategyError
        If no strategy has this key.
    ParameterError
        If the strategy has no such parameter. Values are checked when it is fitted.
    """
    if key not in STRATEGIES:
        raise UnknownStrategyError(f"no strategy {key!r}; known: {', '.join(STRATEGIES)}")
    module, _, name = STRATEGIES[key].rpartition(".")
    strategy: BaseStrategy = getattr(import_module(module), name)()
    for parameter, value in parameters.items():
        if parameter not in strategy.allowed:
            known = ", ".join(strategy.allowed)
            raise ParameterError(f"strategy {key!r} has no parameter {parameter!r}; known: {known}")
        setattr(strategy, parameter, value)
    return strategy
