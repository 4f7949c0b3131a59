"""What a strategy demands of bars: columns, enough of them, recent hours complete, prices that move."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from market.bars import KLINE_COLUMNS, BarArrays, Floats
from strategies.errors import InsufficientHistoryError, MissingColumnError, MissingHoursError

RECENT_BARS = 720  # where missing klines are counted
MISSING_SHARE = 0.01  # of them that may be missing
NAMED_HOURS = 10  # in a message


def require_columns(strategy: str, have: Collection[str], required: Sequence[str]) -> None:
    """Raise ``MissingColumnError`` for the first column that is required and not there."""
    for column in required:
        if column not in have:
            message = f"{strategy} requires the column {column}; columns were {', '.join(map(str, have)) or 'none'}"
            raise MissingColumnError(message, strategy=strategy, column=column)


def require_bars(strategy: str, count: int, *, warm_up: int, values: int) -> None:
    """Raise ``InsufficientHistoryError`` for fewer bars than the warm-up and so many with a value."""
    needed = warm_up + values
    if count < needed:
        message = (
            f"{strategy} needs at least {needed} bars ({warm_up} to warm up and {values} with a value), got {count}"
        )
        raise InsufficientHistoryError(message, strategy=strategy, count=count, needed=needed)


def require_values(strategy: str, x: Floats, needed: int) -> None:
    """Raise ``InsufficientHistoryError`` if fewer than ``needed`` entries of ``x`` have a value."""
    count = x.size - int(np.count_nonzero(np.isnan(x)))
    if count < needed:
        message = f"{strategy} needs at least {needed} bars with a value, got {count} of {x.size}"
        raise InsufficientHistoryError(message, strategy=strategy, count=count, needed=needed)


def require_swing(strategy: str, swing: float, what: str) -> float:
    """Return a deviation to divide by; 0 or NaN is ``InsufficientHistoryError``, never a silent 0 or inf."""
    if not 0.0 < swing < np.inf:
        message = f"{strategy} needs bars over which its {what} moves, the deviation was {swing}"
        raise InsufficientHistoryError(message, strategy=strategy)
    return swing


def require_hours(strategy: str, bars: BarArrays, required: Sequence[str]) -> None:
    """Raise ``MissingHoursError`` if more than 1 % of the last 720 bars lack a required kline, naming the hours."""
    for column in required:
        if column not in KLINE_COLUMNS:
            continue
        recent = min(len(bars), RECENT_BARS)
        # Counted first: slicing a pandas index costs more than all other checks together.
        if np.count_nonzero(np.isnan(bars[column][-recent:])) > MISSING_SHARE * recent:
            hours = missing_hours(bars, column)
            named = ", ".join(f"{hour:%Y-%m-%d %H:%M}" for hour in hours[:NAMED_HOURS])
            more = f" and {len(hours) - NAMED_HOURS} more" if len(hours) > NAMED_HOURS else ""
            raise MissingHoursError(
                f"{strategy}: {column} is missing in {len(hours)} of the last {recent} bars, "
                f"at most {int(MISSING_SHARE * recent)} may be: {named}{more} (UTC)"
            )


def missing_hours(bars: BarArrays, column: str, *, recent: int = RECENT_BARS) -> pd.DatetimeIndex:
    """Return the open times of those of the last ``recent`` bars that have no value in ``column``."""
    missing = np.isnan(bars[column][-recent:])
    return bars.index[-recent:][missing]
