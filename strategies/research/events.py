"""When slots act, nights end and funding is due, on one symbol's own bars.

Slots are the live session's (``docs/backtest.md``, Timing): a bar's open is the moment ``H:00:45``, which acts on the
bar that closed at ``H``. The early hour's slot comes before its hour: it acts five minutes before the bar of the hour
before ends, on the decision that this hour's own slot already had, and the early hour's open has no slot.

A slot acts only on the bar that closed just then, as a session skips a symbol whose newest bar is stale. Where the only
missing bar is the early hour's own (a venue's daily break) the bar before the break is the newest there is, and acts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd

from market.feeds.server_time import offsets_s
from ops.errors import ExitCode
from strategies.errors import ParameterError
from strategies.estimators.parameters import Whole
from strategies.kernels.backtest import EARLY, SLOT
from strategies.kernels.course import Marks
from strategies.kernels.jit import Floats, Integers
from strategies.research.errors import ResearchError

HOUR = timedelta(hours=1)
DAY_S = 86_400
HOUR_S = 3_600
FUNDING_S = 8 * HOUR_S  # 00, 08 and 16 UTC
MONDAY = 3  # added to days since 1970, which began on a Thursday: weeks then begin on Mondays
WEEKEND = slice(5, 7)


class BacktestError(ResearchError):
    """Bars and positions that do not fit together, or that an account cannot be run on."""

    exit_code = ExitCode.DATA


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineRules:
    """When slots act and when nights end.

    Parameters
    ----------
    interval : timedelta, default=1 hour
        Of the bars.
    early_hour : int or None, default=22
        UTC hour whose slot comes before it, as in the session's settings; None where there is no such hour.
    server_zone : str, default=""
        The broker's clock, as ``MT5_TZ``: a night ends at its midnight. Empty is New York + 7 h.
    triple_swap_weekday : int or None, default=None
        Day of the week, Monday 0 to Friday 4, whose night counts three times, and Saturday's and Sunday's not at all.
        None counts every night once, as the simulator does.

    Raises
    ------
    ParameterError
        For an interval, hour or weekday outside what it may be.
    """

    interval: timedelta = HOUR
    early_hour: int | None = 22
    server_zone: str = ""
    triple_swap_weekday: int | None = None

    def __post_init__(self) -> None:
        if self.interval <= timedelta(0):
            raise ParameterError(f"timeline: interval must be above 0, was {self.interval}")
        for name, last in (("early_hour", 23), ("triple_swap_weekday", 4)):
            value = getattr(self, name)
            if value is not None and (value not in Whole(0) or value > last):
                raise ParameterError(f"timeline: {name} must be None or a whole number from 0 to {last}, was {value!r}")
        if self.early_hour is not None and self.interval != HOUR:
            raise ParameterError(f"timeline: early_hour must be None for bars of {self.interval}: its slot is hourly")


def slot_marks(seconds: Integers, rules: TimelineRules) -> Marks:
    """Return which bars have a slot at their open, and which an early one before their end."""
    marks = np.zeros(seconds.size, np.uint8)
    step = int(rules.interval.total_seconds())
    since = np.diff(seconds, prepend=seconds[0])
    fresh = since == step
    if rules.early_hour is None:
        marks[fresh] = SLOT
        return marks
    hour = seconds // HOUR_S % 24
    after_break = (since == 2 * step) & (hour == (rules.early_hour + 1) % 24)
    marks[(fresh | after_break) & (hour != rules.early_hour)] = SLOT
    marks[fresh & (hour == (rules.early_hour - 1) % 24)] |= EARLY
    return marks


def night_prices(seconds: Integers, open_: Floats, close: Floats, rules: TimelineRules) -> Floats:
    """Return, for each bar, the sum of the prices that the nights since the last bar's open are charged on.

    A night that ends at the bar's open is charged on the open, one that ended in a gap on the last close before it.
    """
    weights = np.ones(7)
    if rules.triple_swap_weekday is not None:
        weights[WEEKEND] = 0.0
        weights[rules.triple_swap_weekday] = 3.0
    server = seconds + offsets_s(seconds, rules.server_zone)
    day = server // DAY_S + MONDAY
    ended = np.concatenate([[0.0], np.cumsum(weights)])[day % 7] + day // 7 * weights.sum()
    nights = np.diff(ended, prepend=ended[0])
    ends_now = (server % DAY_S == 0) & (np.arange(day.size) > 0)
    tonight = np.where(ends_now, weights[(day - 1) % 7], 0.0)
    before = np.concatenate([close[:1], close[:-1]])
    return np.asarray(tonight * open_ + (nights - tonight) * before)


def assumed_funding(seconds: Integers, open_: Floats, close: Floats) -> Floats:
    """Return, for each bar, the sum of the prices at the funding times since the last bar's open."""
    times = np.diff(seconds // FUNDING_S, prepend=seconds[0] // FUNDING_S).astype(np.float64)
    now = (seconds % FUNDING_S == 0) & (times > 0)
    before = np.concatenate([close[:1], close[:-1]])
    return np.asarray(now * open_ + (times - now) * before)


def recorded_funding(rates: pd.Series, seconds: Integers, open_: Floats, close: Floats) -> Floats:
    """Return, for each bar, the sum of rate times price over the funding times since the last bar's open."""
    if not isinstance(rates.index, pd.DatetimeIndex) or str(rates.index.tz) != "UTC":
        raise BacktestError("funding rates must be on times in UTC")
    known = rates.to_numpy(dtype=np.float64)
    if not np.isfinite(known).all():
        raise BacktestError(f"funding rates must be finite, {int((~np.isfinite(known)).sum())} were not")
    due = seconds_of(rates.index) // 60 * 60  # venues stamp some milliseconds after the hour
    row = np.searchsorted(seconds, due)
    kept = (due > seconds[0]) & (row < seconds.size)
    due, row, known = due[kept], row[kept], known[kept]
    price = np.where(seconds[row] == due, open_[row], close[row - 1])
    due_on: Floats = np.bincount(row, weights=known * price, minlength=seconds.size).astype(np.float64)
    return due_on


def seconds_of(index: pd.DatetimeIndex) -> Integers:
    """Return times as seconds since 1970."""
    return np.asarray(index.as_unit("s").asi8)
