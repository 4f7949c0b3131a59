"""Outside readings as columns beside bars: each as it was known when the bar closed, and never later.

Pure: what is stored comes in as arrays. A column that has no value at any bar is left out and said so; a model must
not take nothing for zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from market.feeds.outside import Timing
from market.intervals import HOUR_MS, require_interval
from market.raw import Floats, Ints


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Readings:
    """What is stored of one source, as far as a join needs it.

    Attributes
    ----------
    column : str
        The feature's name.
    of : str
        What it is of, for people: a symbol, or the whole market.
    timing : Timing
    at_ms : ndarray of shape (n,), int64
        Stamps, strictly increasing.
    values : ndarray of shape (n,), float64
    received_ms : ndarray of shape (n,), int64, or None
        When each came. None, and 0 for one of them: it is history, and counts from when it was out.
    newest_ms : int or None
        The newest stamp that was known at the bars' end, also when it is older than these; None for none.
    """

    column: str
    of: str
    timing: Timing
    at_ms: Ints
    values: Floats
    received_ms: Ints | None = None
    newest_ms: int | None

    @property
    def known_ms(self) -> Ints:
        """Return from when on each counts: a late one from when it was there, never before it was out."""
        out_ms: Ints = self.at_ms + self.timing.delay_ms
        return out_ms if self.received_ms is None else np.maximum(out_ms, self.received_ms)


def join_outside(index: pd.DatetimeIndex, sources: Sequence[Readings], *, interval: str) -> pd.DataFrame:
    """Return one row a bar and one column a source that has something to say of one of them at least.

    Parameters
    ----------
    index : DatetimeIndex
        UTC open times of bars, strictly increasing.
    interval : str
        How long they are: a bar closes so much after it opens, also where the next one is missing.

    Returns
    -------
    DataFrame of shape (n_bars, at most n_sources), float64
        NaN where the newest reading that was known at the bar's close is too old, or none was.
        ``attrs["absent"]`` has a sentence for each column that is not there, ``attrs["ended"]`` one for each that
        has no value at the newest bar; both by the column's name.

    Raises
    ------
    ValueError
        If the index is not in UTC, out of order, or closer than the interval: its bars would close too late.
    """
    close_ms = closes_ms(index, interval)
    columns: dict[str, Floats] = {}
    absent: dict[str, str] = {}
    ended: dict[str, str] = {}
    for source in sources:
        values = known_at(close_ms, source)
        if not np.isfinite(values).any():
            absent[source.column] = _why_nothing(source)
            continue
        columns[source.column] = values
        if not np.isfinite(values[-1]):
            ended[source.column] = _why_nothing(source)
    frame = pd.DataFrame(columns, index=index, dtype=np.float64)
    frame.attrs |= {"absent": absent, "ended": ended}
    return frame


def known_at(close_ms: Ints, source: Readings) -> Floats:
    """Return what was known of a source at each moment: its newest reading that was there, NaN when that is too old."""
    if not len(source.at_ms):
        return np.full(len(close_ms), np.nan)
    newest = _newest_known(close_ms, source)
    found = np.maximum(newest, 0)
    age_ms = close_ms - source.at_ms[found]
    counts = (newest >= 0) & (age_ms <= source.timing.max_age_ms)
    return np.where(counts, source.values[found], np.nan)


def _newest_known(close_ms: Ints, source: Readings) -> Ints:
    """Return the place of the reading with the newest stamp among those known at each moment; -1 where none is.

    A reading that came late may be known after one with a newer stamp, which then stays the newest.
    """
    known_ms = source.known_ms
    order = np.argsort(known_ms, kind="stable")
    newest_of_first = np.concatenate([[-1], np.maximum.accumulate(order)])
    found: Ints = newest_of_first[np.searchsorted(known_ms[order], close_ms, side="right")]
    return found


def closes_ms(index: pd.DatetimeIndex, interval: str) -> Ints:
    """Return when bars close that open at the index; ValueError when it is none of such bars."""
    length = require_interval(interval)
    if index.tz is None or str(index.tz) != "UTC":
        raise ValueError(f"outside readings need an index in UTC, was {index.tz or 'without a zone'}")
    open_ms: Ints = index.as_unit("ms").asi8
    steps = np.diff(open_ms)
    if (steps <= 0).any():
        raise ValueError("outside readings need bars in order of time, each once")
    if (steps < length).any():
        raise ValueError(f"bars of {interval} open at least {interval} apart, some were {steps.min() // 1000} s apart")
    return open_ms + length


def _why_nothing(source: Readings) -> str:
    if source.newest_ms is None:
        return (
            f"{source.column} is away: no reading of {source.of} is stored by then; `manage.py data_update` brings it"
        )
    limit_ms = source.timing.max_age_ms
    newest = pd.Timestamp(source.newest_ms, unit="ms")
    ended = newest + pd.Timedelta(limit_ms, unit="ms")
    return (
        f"{source.column} is away since {ended:%Y-%m-%d %H:%M}: the newest reading of {source.of} is of "
        f"{newest:%Y-%m-%d %H:%M}, which counts for {limit_ms / HOUR_MS:.3g} h"
    )
