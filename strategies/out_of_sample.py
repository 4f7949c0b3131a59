"""How a model does on bars that it was not fitted on: positions times next returns, less what trading costs.

No Django here, and nothing heavy until something is measured: a worker process needs the one, Django's start the other.
"""

from __future__ import annotations

import copy
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from strategies.errors import HistoryError

if TYPE_CHECKING:
    from market.bars import Floats
    from strategies.estimators.base import BaseStrategy, Indicators

HOURS_A_DAY = 24
ANNUAL_BARS = 365 * HOURS_A_DAY  # a year of 365 days
HALF_SPREAD = 0.00015  # fraction of price [chosen]: what a retail broker of coins asks
COMMISSION = 0.000325  # fraction of what is traded, a side [chosen]: FTMO's for coins


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What trading costs.

    Attributes
    ----------
    half_spread : float
        From the middle to the price that is paid, fraction of price, at least 0.
    commission : float
        Fraction of what is traded, charged a side, at least 0.
    """

    half_spread: float = HALF_SPREAD
    commission: float = COMMISSION

    def __post_init__(self) -> None:
        for name in ("half_spread", "commission"):
            value = getattr(self, name)
            if not 0.0 <= value < math.inf:  # false for NaN
                raise ValueError(f"{name} must be a finite fraction of at least 0, was {value}")

    @property
    def rate(self) -> float:
        """What changing a position by all the capital costs, as a fraction of it."""
        return self.half_spread + self.commission


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """What positions earned after costs over some bars.

    Attributes
    ----------
    n_bars : int
    sharpe : float or None
        Of a year of 365 days; None where the result never moves.
    volatility : float
        Fraction of capital a year.
    total_return, costs : float
        Sums over the bars, fractions of capital; the return is after costs.
    turnover : float
        Fraction of capital a day.
    """

    n_bars: int
    sharpe: float | None
    volatility: float
    total_return: float
    costs: float
    turnover: float

    def as_data(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """How many of the newest bars a fit is judged on, and what trading cost on them."""

    n_bars: int
    costs: Costs


def measure(positions: Floats, returns: Floats, *, start: int, costs: Costs) -> Performance:
    """Return what holding positions earned from bar ``start`` to the last.

    Bar ``t`` earns ``positions[t-1] * returns[t]`` and pays for the change from ``positions[t-2]``, which was traded
    when it opened: the model goes on from where it stood before ``start``.

    Parameters
    ----------
    positions, returns : ndarray of shape (n_bars,), float64
        Fractions of capital decided at each close; fractions of price from the bar before.
    start : int
        At least 2, and at least two bars before the end.

    Raises
    ------
    ValueError
        If ``start`` leaves fewer than two bars, or none before.
    """
    import numpy as np

    if not 2 <= start <= returns.size - 2:
        raise ValueError(f"start must be in 2..{returns.size - 2} for {returns.size} bars, was {start}")
    held = positions[start - 1 : -1]
    traded = np.abs(np.diff(positions[start - 2 : -1]))
    paid = traded * costs.rate
    earned = held * returns[start:] - paid
    deviation = float(np.std(earned, ddof=1))
    return Performance(
        n_bars=earned.size,
        sharpe=float(np.mean(earned)) / deviation * math.sqrt(ANNUAL_BARS) if deviation > 0 else None,
        volatility=deviation * math.sqrt(ANNUAL_BARS),
        total_return=float(np.sum(earned)),
        costs=float(np.sum(paid)),
        turnover=float(np.mean(traded)) * HOURS_A_DAY,
    )


def at_full_weight(estimator: BaseStrategy) -> BaseStrategy:
    """Return the same fitted model with all the capital, so that weights do not decide who is better."""
    full: BaseStrategy = copy.copy(estimator).set_params(strat_weight=1.0)
    return full


def twin_performance(estimator: BaseStrategy, indicators: Indicators, held_out: HeldOut) -> Performance | None:
    """Return how a twin, fitted without the newest bars, does on those; None where too few are left to fit it.

    Indicators are causal, so that what the twin is fitted on is what it would have seen then.
    """
    import numpy as np

    start = indicators.returns.size - held_out.n_bars
    if held_out.n_bars < 2 or start < estimator.min_bars:
        return None
    twin = at_full_weight(estimator)
    try:
        twin.calibrate(indicators, np.arange(start))
    except HistoryError:
        return None
    return measure(twin.positions(indicators), indicators.returns, start=start, costs=held_out.costs)
