"""Windows of rates joined with windows of klines: once, for as long as neither changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from market.errors import BarsError
from market.tables import KLINES
from market.windows import Sliced, Window


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """All of a window's rates with the volumes of a window of klines.

    Attributes
    ----------
    klines : Window or None
        What it was joined with.
    bars : Sliced
        Of a frame of shape (n_bars, 5 or 7), float64.
    is_fine : bool
        Whether all bars pass ``as_bars``, and so any of them.
    """

    klines: Window | None
    bars: Sliced
    is_fine: bool


def join_windows(rates: Window, klines: Window | None) -> Joined:
    """Return ``join_bars`` of two windows, as it was before if they are the same two."""
    kept = rates.derived.get("joined")
    if isinstance(kept, Joined) and kept.klines is klines:
        return kept
    joined = _join(rates, klines)
    rates.derived["joined"] = joined
    return joined


def _join(rates: Window, klines: Window | None) -> Joined:
    import pandas as pd

    from market.bars import BAR_COLUMNS, KLINE_COLUMNS, KLINE_NAMES, RATE_COLUMNS, aligned, as_bars

    values = rates.values[: len(RATE_COLUMNS)]  # the first columns of both
    if klines is not None:
        names = [KLINE_NAMES.get(name, name) for name in KLINES.read]
        volumes = klines.values[[names.index(name) for name in KLINE_COLUMNS]]
        values = np.concatenate([values, aligned(rates.open_ms, klines.open_ms, volumes)])
    frame = pd.DataFrame(values.T, index=rates.bars.frame.index, columns=list(BAR_COLUMNS[: len(values)]))
    try:
        return Joined(klines, Sliced(as_bars(frame)), is_fine=True)
    except BarsError:
        return Joined(klines, Sliced(frame), is_fine=False)
