"""Positions as a session would have had them: asked bar by bar, on the newest bars alone.

A backtest asks a model once, on all of history. A session knows the newest ``MAX_HISTORY_HOURS`` and asks for the last
bar. Indicators that remember (averages that never end, decay by one's own pnl) say a little different then: the drift.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from strategies.backtesting.requests import HISTORY_HOURS
from strategies.drift import compare

if TYPE_CHECKING:
    import pandas as pd

    from strategies.estimators.base import BaseStrategy

SAMPLE = 48  # slots that the drift is measured on, evenly spread


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowDrift:
    """How positions on a session's window differ from those on all of history, fractions of capital.

    ``correlation`` is None where one of them never moves.
    """

    symbol: str
    n_slots: int
    max_abs_diff: float
    mean_abs_diff: float
    correlation: float | None


def windowed_positions(
    models: Sequence[BaseStrategy], bars: pd.DataFrame, hours: pd.DatetimeIndex, window: int = HISTORY_HOURS
) -> pd.Series:
    """Return what fitted models want together at some bars, each asked as a session asks it.

    Parameters
    ----------
    models : sequence of BaseStrategy
        Fitted; their positions are summed.
    bars : DataFrame of shape (n_bars, n_columns)
        Closed bars, see ``market.bars.as_bars``.
    hours : DatetimeIndex of shape (n_hours,)
        Open times of the bars that positions are wanted at, all in ``bars``.
    window : int, default=8760
        The newest so many bars up to each that models see.

    Returns
    -------
    Series of shape (n_hours,), float64
        Fractions of capital, decided at the bar's close. No bar after it has any influence.

    Raises
    ------
    KeyError
        If ``bars`` lacks an hour.
    StrategyError
        A model cannot predict on a window, as it could not have at the session.
    """
    import pandas as pd

    from market.bars import bar_arrays

    rows = bars.index.get_indexer(hours)
    if (rows < 0).any():
        raise KeyError(f"no bar opens at {hours[rows < 0][0]}")
    positions = []
    for row in rows.tolist():
        seen = bar_arrays(bars.iloc[max(0, row + 1 - window) : row + 1])
        positions.append(math.fsum(model.one_step_predict(seen) for model in models))
    return pd.Series(positions, index=hours, dtype="float64")


def sample_of(hours: pd.DatetimeIndex, size: int = SAMPLE) -> pd.DatetimeIndex:
    """Return at most so many hours, evenly spread, the first and the last among them."""
    import numpy as np

    return hours[np.unique(np.linspace(0, len(hours) - 1, min(size, len(hours))).round().astype(int))]


def measure_window_drift(symbol: str, windowed: pd.Series, whole: pd.Series) -> WindowDrift:
    """Return how windowed positions differ from those on all of history at the same bars; at least one is needed."""
    import pandas as pd

    times = pd.DatetimeIndex(windowed.index).to_pydatetime()
    live = dict(zip(times, windowed.tolist(), strict=True))
    drift = compare(live, whole)
    return WindowDrift(
        symbol=symbol,
        n_slots=drift.n_live,
        max_abs_diff=drift.max_abs_diff or 0.0,
        mean_abs_diff=drift.mean_abs_diff or 0.0,
        correlation=drift.correlation,
    )
