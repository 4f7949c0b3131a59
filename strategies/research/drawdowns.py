"""When capital was below its high: how deep, how long, and whether it came back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from market.bars import Floats

Rows = npt.NDArray[np.intp]

ROUNDING = 1e-12  # a fall this small is what multiplying a million returns loses, not a drawdown


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawdown:
    """A stretch below the high before it. Lengths are in bars and counted from that high, the bar before ``start``.

    quantstats reports the same stretches, with the last bar below the high as their end and days as their length.
    """

    start: datetime  # the first bar below the high
    trough: datetime  # the lowest
    end: datetime | None  # the bar that is at the high again; None if none is
    depth: float  # at the trough, from the high: -0.2 is a fifth lost
    bars_down: int  # from the high to the trough
    bars_up: int | None  # from the trough to the high again
    bars: int  # in all, up to the last bar if the high was not reached again

    def as_data(self) -> dict[str, Any]:
        return {
            "start": self.start.isoformat(),
            "trough": self.trough.isoformat(),
            "end": self.end.isoformat() if self.end else None,
            "depth": self.depth,
            "bars_down": self.bars_down,
            "bars_up": self.bars_up,
            "bars": self.bars,
        }


def under_water(equity: Floats, start: float = 1.0) -> Floats:
    """Return how far equity is below its highest so far, 0 or less; ``start`` is the capital before the first bar."""
    high = np.maximum.accumulate(np.maximum(equity, start))
    below = equity / high - 1.0
    below[below > -ROUNDING] = 0.0
    return below


def drawdowns(below: Floats, index: pd.DatetimeIndex, *, worst: int | None = None) -> tuple[Drawdown, ...]:
    """Return the stretches in which ``below`` (see ``under_water``) is negative, the deepest first.

    Parameters
    ----------
    below : ndarray of shape (n_bars,), float64
    index : DatetimeIndex of shape (n_bars,)
    worst : int, optional
        How many at most; of equally deep ones the earliest.
    """
    starts, ends = stretches(below)
    if not starts.size:
        return ()
    depths = np.minimum.reduceat(below, starts)
    deepest = np.argsort(depths, kind="stable")[:worst]
    return tuple(_describe(below, index, int(starts[k]), int(ends[k])) for k in deepest)


def stretches(below: Floats) -> tuple[Rows, Rows]:
    """Return the first row of every stretch below the high, and the first row after it (``n_bars`` for the last)."""
    edges = np.diff((below < 0.0).astype(np.int8), prepend=0, append=0)
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)


def _describe(below: Floats, index: pd.DatetimeIndex, start: int, end: int) -> Drawdown:
    trough = start + int(np.argmin(below[start:end]))
    recovered = end < below.size
    last = end if recovered else end - 1
    return Drawdown(
        start=index[start].to_pydatetime(),
        trough=index[trough].to_pydatetime(),
        end=index[end].to_pydatetime() if recovered else None,
        depth=float(below[trough]),
        bars_down=trough - start + 1,
        bars_up=end - trough if recovered else None,
        bars=last - start + 1,
    )
