"""Returns a bar: checked, compounded, and summed up by month.

A return is a fraction of capital. Growth is what 1 has become, and it compounds. Capital that is lost is lost: a return
of -1 or worse ends at 0 and stays there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from market.bars import Floats
from strategies.research.errors import ReturnsError

MONTHS = 12


class Month(NamedTuple):
    """What a calendar month (UTC) of a year returned, as a fraction."""

    year: int
    month: int  # 1..12
    value: float


def checked_returns(returns: pd.Series) -> Floats:
    """Return the values of returns, one a bar, on an index of times.

    Raises
    ------
    ReturnsError
        If they are not a series on strictly increasing times, or not all finite numbers.
    """
    if not isinstance(returns, pd.Series) or not isinstance(returns.index, pd.DatetimeIndex):
        raise ReturnsError("returns must be a Series on a DatetimeIndex, one entry a bar")
    if not returns.index.is_unique or not returns.index.is_monotonic_increasing:
        raise ReturnsError("the times of returns must be strictly increasing without duplicates")
    return _finite(returns, "returns")


def checked_positions(positions: pd.Series, returns: pd.Series) -> Floats:
    """Return the values of positions on the times of ``returns``, or raise ``ReturnsError``."""
    if not isinstance(positions, pd.Series) or not positions.index.equals(returns.index):
        raise ReturnsError("positions must be a Series on the index of returns: what was held over each bar")
    return _finite(positions, "positions")


def growth(returns: Floats) -> Floats:
    """Return what 1 has become after each bar: 0 from the bar on that loses everything."""
    return np.cumprod(1.0 + np.maximum(returns, -1.0), dtype=np.float64)


def monthly_returns(returns: pd.Series) -> tuple[Month, ...]:
    """Return the compounded return of every calendar month (UTC) that has a bar, earliest first."""
    values = checked_returns(returns)
    if not values.size:
        return ()
    months = _months(returns.index)
    starts = np.flatnonzero(np.diff(months, prepend=months[0] - 1))
    grown = np.multiply.reduceat(1.0 + np.maximum(values, -1.0), starts) - 1.0
    return tuple(
        Month(1970 + int(month) // MONTHS, int(month) % MONTHS + 1, float(value))
        for month, value in zip(months[starts], grown, strict=True)
    )


def monthly_table(months: tuple[Month, ...]) -> pd.DataFrame:
    """Return months as a table: a row a year, columns 1..12 and ``year``, NaN where there is no bar."""
    years = sorted({month.year for month in months})
    table = pd.DataFrame(np.nan, index=pd.Index(years, name="year"), columns=[*range(1, MONTHS + 1), "year"])
    for month in months:
        table.loc[month.year, month.month] = month.value
    table["year"] = (1.0 + table[list(range(1, MONTHS + 1))]).prod(axis=1) - 1.0
    return table


def _months(index: pd.Index) -> npt.NDArray[np.int64]:
    """Return the months since January 1970 of times, in UTC."""
    return index.to_numpy(dtype="datetime64[s]").astype("datetime64[M]").astype(np.int64)


def _finite(series: pd.Series, what: str) -> Floats:
    values = series.to_numpy(dtype=np.float64)
    fine = np.isfinite(values)
    if not fine.all():
        at = int(np.argmin(fine))
        raise ReturnsError(
            f"{what} must be finite numbers: {int((~fine).sum())} of {values.size} were not, "
            f"first {values[at]} at {series.index[at]}"
        )
    return values
