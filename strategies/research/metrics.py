"""The figures of a series of returns: one frozen value, the same for backtests, tuning and live trading."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from market.bars import Floats
from strategies.blocks import ANNUAL_BARS
from strategies.research import ratios
from strategies.research.drawdowns import Drawdown, drawdowns, stretches, under_water
from strategies.research.errors import ReturnsError
from strategies.research.returns import Month, checked_positions, checked_returns, growth, monthly_returns

WORST = 10  # drawdowns that are listed
DAYS_A_YEAR = 365


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """What returns amount to. Fractions; NaN where a figure is undefined, never an infinity.

    Annual figures are of a year of ``bars_per_year`` bars (8760 hours: 365 days, because these markets do not close),
    where quantstats and empyrical-reloaded assume 252 days unless told otherwise. How single figures differ from theirs
    is said in ``research.ratios`` and ``research.drawdowns``.
    """

    bars_per_year: float
    n_bars: int
    years: float  # n_bars / bars_per_year, gaps between bars not counted
    total_return: float  # compounded
    cagr: float  # a year, compounded
    volatility: float  # a year
    sharpe: float  # a year
    sortino: float  # a year
    calmar: float
    max_drawdown: float  # 0 or negative
    max_drawdown_bars: int  # how long the deepest lasted, from high to high
    longest_drawdown_bars: int
    var_95: float  # of one bar, a loss negative
    cvar_95: float  # of one bar
    hit_rate: float
    profit_factor: float
    tail_ratio: float
    turnover: float  # traded a day, as a multiple of capital; NaN without positions
    exposure: float  # mean size of the position; NaN without positions
    time_in_market: float  # share of bars with a position (quantstats' exposure); NaN without positions
    worst_drawdowns: tuple[Drawdown, ...]  # at most ten, the deepest first
    months: tuple[Month, ...]  # see returns.monthly_table

    def as_data(self) -> dict[str, Any]:
        """Return all of it for JSON: None where a figure is undefined, times in ISO format."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        plain["worst_drawdowns"] = [drawdown.as_data() for drawdown in self.worst_drawdowns]
        plain["months"] = [month._asdict() for month in self.months]
        return {name: json_number(value) for name, value in plain.items()}


def measure(returns: pd.Series, *, positions: pd.Series | None = None, bars_per_year: float = ANNUAL_BARS) -> Metrics:
    """Return the metrics of returns after costs.

    Parameters
    ----------
    returns : Series of shape (n_bars,)
        Fraction of capital a bar, finite, on strictly increasing times.
    positions : Series of shape (n_bars,), optional
        What was held over each bar, fraction of capital, on the same index. The first is bought from nothing.
    bars_per_year : float, default=8760

    Raises
    ------
    ReturnsError
        If either is not that, or ``bars_per_year`` is not above 0.
    """
    values = checked_returns(returns)
    held = None if positions is None else checked_positions(positions, returns)
    years = values.size / _checked_pace(bars_per_year)
    equity = growth(values)
    total = float(equity[-1]) - 1.0 if equity.size else 0.0
    falls = _falls(under_water(equity), pd.DatetimeIndex(returns.index))
    cagr = ratios.annual_growth(total, years)
    return Metrics(
        bars_per_year=bars_per_year,
        n_bars=values.size,
        years=years,
        total_return=total,
        cagr=cagr,
        calmar=ratios.calmar(cagr, falls["max_drawdown"]),
        months=monthly_returns(returns),
        **falls,
        **_spread(values, bars_per_year),
        **_holding(held, values.size / bars_per_year * DAYS_A_YEAR),
    )


def json_number(value: Any) -> Any:
    """Return a value that JSON can hold: None for a float that is not finite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _checked_pace(bars_per_year: float) -> float:
    if not 0 < bars_per_year < math.inf:
        raise ReturnsError(f"bars_per_year must be a number above 0, was {bars_per_year}")
    return bars_per_year


def _spread(values: Floats, bars_per_year: float) -> dict[str, Any]:
    return {
        "volatility": ratios.deviation(values) * math.sqrt(bars_per_year),
        "sharpe": ratios.sharpe(values, bars_per_year=bars_per_year),
        "sortino": ratios.sortino(values, bars_per_year=bars_per_year),
        "var_95": ratios.value_at_risk(values),
        "cvar_95": ratios.expected_shortfall(values),
        "hit_rate": ratios.hit_rate(values),
        "profit_factor": ratios.profit_factor(values),
        "tail_ratio": ratios.tail_ratio(values),
    }


def _falls(below: Floats, index: pd.DatetimeIndex) -> dict[str, Any]:
    worst = drawdowns(below, index, worst=WORST)
    starts, ends = stretches(below)
    lasted = np.minimum(ends, below.size - 1) - starts + 1
    return {
        "max_drawdown": worst[0].depth if worst else 0.0,
        "max_drawdown_bars": worst[0].bars if worst else 0,
        "longest_drawdown_bars": int(lasted.max()) if lasted.size else 0,
        "worst_drawdowns": worst,
    }


def _holding(held: Floats | None, days: float) -> dict[str, Any]:
    if held is None or not held.size:
        return dict.fromkeys(("turnover", "exposure", "time_in_market"), np.nan)
    size = np.abs(held)
    return {
        "turnover": float(np.abs(np.diff(held, prepend=0.0)).sum()) / days,
        "exposure": float(size.mean()),
        "time_in_market": float(np.count_nonzero(size)) / held.size,
    }
