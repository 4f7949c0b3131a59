"""What would have become of a trade decided at each bar, and when that is known.

A label is known at the close of the bar ``known_at`` and not before: who learns at bar ``s`` learns from the labels
with ``0 <= known_at <= s`` only. Until then it is NaN, and -1 where a bar is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd

from market.bars import Floats
from mlfilter.backtest import kernels
from mlfilter.backtest.plans import PerBar, Wanted, make_plan, price_arrays
from mlfilter.setups import Barriers, Costs, ExitReason
from strategies.kernels.jit import Integers

REASONS: Mapping[int, str] = MappingProxyType(
    {
        kernels.OPEN: "",
        kernels.STOP: ExitReason.STOP.value,
        kernels.TARGET: ExitReason.TARGET.value,
        kernels.TIMEOUT: ExitReason.TIMEOUT.value,
    }
)


def triple_barrier(
    bars: pd.DataFrame,
    direction: Wanted,
    *,
    barriers: Barriers | None = None,
    costs: Costs | None = None,
    stop_pct: PerBar | None = None,
    target_pct: PerBar | None = None,
) -> pd.DataFrame:
    """Return 1 where the target is met before the stop within the horizon, else 0.

    Entered at the next bar's open. A bar that reaches both counts as the stop; a bar that opens beyond one fills at its
    open. What has met neither is closed at the first open after the horizon.

    Parameters
    ----------
    bars : DataFrame with columns open, high, low, close
    direction : Series or array of shape (n_bars,)
        1 long, -1 short, 0 no label.
    barriers, costs : optional
        Their defaults. Costs are taken off returns; whether the target was met does not depend on them.
    stop_pct, target_pct : float, Series or array of shape (n_bars,), optional
        In place of those of ``barriers``. NaN: no label.

    Returns
    -------
    DataFrame of shape (n_bars, 7)
        ``label`` (1, 0, NaN), ``exit_index`` (row, -1), ``exit_price``, ``exit_reason`` (stop, target, timeout, empty),
        ``return`` (of what was put in, costs paid), ``r`` (that in units of the stop's fraction), ``known_at`` (row,
        -1).

    Raises
    ------
    BarsError, ValueError
        If bars are none, or directions and fractions are not what they may be.
    """
    barriers, costs = barriers or Barriers(), costs or Costs()
    prices, index = price_arrays(bars)
    plan = make_plan(index, direction, _either(stop_pct, barriers.stop_pct), _either(target_pct, barriers.target_pct))
    rows, at, reasons = kernels.exits(prices, plan, barriers.horizon)
    label = np.where(rows < 0, np.nan, (reasons == kernels.TARGET).astype(np.float64))
    return _table(index, label, (rows, at, reasons), returns_of(prices, plan, rows, at, costs), plan.stop)


def forward_return(
    bars: pd.DataFrame,
    direction: Wanted,
    *,
    barriers: Barriers | None = None,
    costs: Costs | None = None,
    success_threshold: float = 0.0,
) -> pd.DataFrame:
    """Return 1 where the return over the horizon, costs paid, exceeds ``success_threshold``, else 0.

    From the next bar's open to the open ``horizon`` bars later, in the trade's direction. The table is that of
    ``triple_barrier``, every reason ``timeout``.
    """
    barriers, costs = barriers or Barriers(), costs or Costs()
    prices, index = price_arrays(bars)
    plan = make_plan(index, direction, barriers.stop_pct, barriers.target_pct)
    ends = np.arange(len(index), dtype=np.int64) + 1 + barriers.horizon
    is_known = (plan.sign != 0) & (ends < len(index))
    rows = np.where(is_known, ends, -1)
    at = np.where(is_known, prices.open_[rows], np.nan)
    earned = returns_of(prices, plan, rows, at, costs)
    label = np.where(is_known, (earned > success_threshold).astype(np.float64), np.nan)
    reasons = np.where(is_known, kernels.TIMEOUT, kernels.OPEN)
    return _table(index, label, (rows, at, reasons), earned, plan.stop)


def returns_of(prices: kernels.Prices, plan: kernels.Plan, rows: Integers, at: Floats, costs: Costs) -> Floats:
    """Return what each trade earned of what was put in, after the costs of both fills; NaN where it is not over."""
    entry = np.append(prices.open_[1:], np.nan)
    grown = at / entry
    earned = plan.sign * (grown - 1.0) - costs.rate * (1.0 + grown)
    return np.where(rows < 0, np.nan, earned)


def _table(
    index: pd.DatetimeIndex, label: Floats, exits: tuple[Integers, Floats, Integers], earned: Floats, stop: Floats
) -> pd.DataFrame:
    rows, at, reasons = exits
    names = np.array([REASONS[reason] for reason in sorted(REASONS)], dtype=object)
    columns = {
        "label": label,
        "exit_index": rows,
        "exit_price": at,
        "exit_reason": names[reasons],
        "return": earned,
        "r": earned / stop,
        "known_at": rows,
    }
    return pd.DataFrame(columns, index=index)


def _either(given: PerBar | None, usual: float) -> PerBar:
    return usual if given is None else given
