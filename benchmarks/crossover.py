"""One trade idea and its conventions, told to every engine that is raced: averages that cross.

Long while the fast average is above the slow one, short while it is below. A decision at a close is filled at the next
open, there is a commission and nothing else, and the size is a fixed sum of money, traded only when the side turns: all
engines can be told that much, so that their equity can be compared bar by bar.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.bars import long_bars
from strategies.research.backtest import Capital
from strategies.research.costs import Costs
from strategies.research.lots import LotRules, SymbolTerms
from strategies.research.timeline import Timeline, TimelineRules, build_timeline

Floats = npt.NDArray[np.float64]
FEE = 0.0005
STAKE, CASH = 10_000.0, 1_000_000.0  # so rich that the stake never depends on the equity
FAST, SLOW = 20, 100
CAPITAL = Capital(start=CASH, fixed=STAKE)


class Market(NamedTuple):
    """The bars of a race, in the form that each side wants."""

    frame: pd.DataFrame
    naive: pd.DataFrame  # the peers know no time zones
    timeline: Timeline
    source: str

    @classmethod
    def load(cls) -> Market:
        bars = long_bars()
        frame = bars.frame[["open", "high", "low", "close"]].copy()
        naive = frame.set_axis(pd.DatetimeIndex(frame.index).tz_localize(None))
        # No slot 22: the peers have no special hours.
        timeline = build_timeline({"ETHUSD": frame}, TimelineRules(early_hour=None))
        return cls(frame, naive, timeline, bars.source)


def terms(*, whole_units: bool = False) -> SymbolTerms:
    """Return what trading costs, and how sizes are rounded: not at all, or to whole units."""
    grid: dict[str, Any] = (
        {"volume_min": 1.0, "volume_step": 1.0, "lot_precision": 0, "max_position_pct": 2.0} if whole_units else {}
    )
    lots = LotRules(is_rounded=whole_units, drift_band=float("inf"), **grid)
    return SymbolTerms(lots=lots, costs=Costs(commission_rate=FEE))


def sides(close: pd.Series, fast: int = FAST, slow: int = SLOW) -> Floats:
    """Return 1 while the fast average is above the slow one, -1 while it is below; 0 on the first bar."""
    averages = (close.ewm(span=span, adjust=False).mean() for span in (fast, slow))
    found: Floats = np.sign((next(averages) - next(averages)).to_numpy())
    return found


def stakes(held: Floats) -> Floats:
    """Return the worth to hold from each bar's open where the side turns, NaN elsewhere; ``held`` is decided before."""
    wanted = np.concatenate([[0.0], held[:-1]])
    turned = np.diff(wanted, prepend=0.0) != 0.0
    return np.where(turned, wanted * STAKE, np.nan)
