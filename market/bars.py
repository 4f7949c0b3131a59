"""The one check of bars, and the join of a terminal's rates with Binance's klines.

Bars are one symbol's closed bars: a frame whose index is the bar-open time, aware and in UTC, strictly
increasing. ``open high low close tick_volume`` come from MetaTrader 5; ``volume taker_buy_base_vol`` come from
Binance only and are NaN where Binance has no kline.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from market.errors import BarsError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Derived = TypeVar("Derived")

RATE_COLUMNS = ("open", "high", "low", "close", "tick_volume")
KLINE_COLUMNS = ("volume", "taker_buy_base_vol")
BAR_COLUMNS = RATE_COLUMNS + KLINE_COLUMNS
PRICE_COLUMNS = ("open", "high", "low", "close")
KLINE_NAMES = {"taker_buy_base_volume": "taker_buy_base_vol"}  # Binance's name -> ours


@dataclass(frozen=True, slots=True, eq=False)
class BarArrays:
    """Checked bars as the arrays that kernels read, and what has been derived from them.

    The arrays are this object's own copy: changing the frame they came from changes nothing here. That is why a
    caller may check once and hand the result to many strategies, which a frame, being editable, does not allow.

    Attributes
    ----------
    index : DatetimeIndex of shape (n_bars,)
        Bar-open times, UTC.
    columns : dict of str to ndarray of shape (n_bars,), float64
        Contiguous and writable (numba compiles a second time for read-only arrays). Nobody writes to them.
    """

    index: pd.DatetimeIndex
    columns: dict[str, Floats]
    _derived: dict[Hashable, object] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, column: str) -> Floats:
        return self.columns[column]

    def derive(self, key: Hashable, compute: Callable[[], Derived]) -> Derived:
        """Return ``compute()``, computed the first time that ``key`` is asked for.

        ``key`` must name everything but the bars that the value depends on. Callers do not write to the value.
        """
        if key not in self._derived:
            self._derived[key] = compute()
        return cast(Derived, self._derived[key])


def as_bars(frame: pd.DataFrame, *, required: Sequence[str] = RATE_COLUMNS) -> pd.DataFrame:
    """Check bars, and return them as one contiguous float64 copy that the caller owns.

    Parameters
    ----------
    frame : DataFrame of shape (n_bars, n_columns)
        Index: bar-open times, aware UTC, strictly increasing. Columns that are not bar columns are left out.
    required : sequence of str, default=("open", "high", "low", "close", "tick_volume")
        Columns that must be there.

    Returns
    -------
    DataFrame of shape (n_bars, n_columns), float64
        The bar columns of ``frame`` in the order of ``BAR_COLUMNS``, in one block.

    Raises
    ------
    BarsError
        If the index or a column breaks the contract; the message names it, the first time, and what is allowed.
    """
    _check_frame(frame, required)
    arrays = bar_arrays(frame, [name for name in BAR_COLUMNS if name in frame.columns])
    matrix = next(iter(arrays.columns.values())).base
    return pd.DataFrame(np.asarray(matrix).T, index=arrays.index, columns=list(arrays.columns), copy=False)


def bar_arrays(frame: pd.DataFrame, columns: Sequence[str] | None = None) -> BarArrays:
    """Check bars like ``as_bars`` and return their arrays; ``columns`` limits both to what will be read."""
    names = [name for name in BAR_COLUMNS if name in frame.columns] if columns is None else list(columns)
    index = _check_frame(frame, names)
    arrays = BarArrays(index, dict(zip(names, _matrix(frame, names), strict=True)))
    _check_prices(arrays)
    for name in names:
        if name not in PRICE_COLUMNS:
            _check_volume(arrays, name)
    return arrays


def join_bars(rates: pd.DataFrame, klines: pd.DataFrame | None) -> pd.DataFrame:
    """Join a terminal's rates with Binance's volumes on UTC open time.

    A left join: every rate stays, a missing kline leaves NaN, a kline without a rate is dropped. Nothing but the
    five columns of ``rates`` and the two volumes of ``klines`` passes, so a broker's volume never stands in for
    Binance's. Without klines (a symbol that Binance does not list) there are no such columns.

    Parameters
    ----------
    rates : DataFrame with columns open, high, low, close, tick_volume
    klines : DataFrame with columns volume, taker_buy_base_volume, or None
        Index: open times, aware UTC, strictly increasing.

    Raises
    ------
    BarsError
        If either side breaks the contract of bars, or lacks a column.
    """
    index = _check_frame(rates, RATE_COLUMNS)
    if klines is None:
        return as_bars(rates[list(RATE_COLUMNS)])
    volumes = klines.rename(columns=KLINE_NAMES)
    kline_index = _check_frame(volumes, KLINE_COLUMNS)
    joined = np.empty((len(BAR_COLUMNS), len(rates)))
    joined[: len(RATE_COLUMNS)] = _matrix(rates, RATE_COLUMNS)
    unit = index.unit if index.unit == kline_index.unit else "ns"
    times, kline_times = (each.as_unit(unit).asi8 for each in (index, kline_index))
    joined[len(RATE_COLUMNS) :] = aligned(times, kline_times, _matrix(volumes, KLINE_COLUMNS))
    return as_bars(pd.DataFrame(joined.T, index=index, columns=list(BAR_COLUMNS), copy=False))


def aligned(times: Ints, other_times: Ints, values: Floats) -> Floats:
    """Return values of the other times at these times, NaN where there is none.

    Parameters
    ----------
    times, other_times : ndarray of shape (n_times,) and (n_other,), int64
        Strictly increasing.
    values : ndarray of shape (n_columns, n_other), float64

    Returns
    -------
    ndarray of shape (n_columns, n_times), float64
    """
    placed = np.full((len(values), len(times)), np.nan)
    if len(other_times):
        at = np.minimum(np.searchsorted(other_times, times), len(other_times) - 1)
        found = other_times[at] == times
        placed[:, found] = values[:, at[found]]
    return placed


def _check_frame(frame: pd.DataFrame, required: Sequence[str]) -> pd.DatetimeIndex:
    if not isinstance(frame, pd.DataFrame):
        raise BarsError(f"bars must be a DataFrame, was {type(frame).__name__}")
    if not frame.columns.is_unique:
        twice = sorted(set(frame.columns[frame.columns.duplicated()]))
        raise BarsError(f"bars must have each column once, twice were {', '.join(map(str, twice))}")
    missing = [name for name in required if name not in frame.columns]
    if missing or not required:
        columns = ", ".join(map(str, frame.columns)) or "none"
        raise BarsError(f"bars lack {', '.join(missing) or 'every bar column'}; columns were {columns}")
    return _check_index(frame.index)


def _check_index(index: pd.Index) -> pd.DatetimeIndex:
    if not isinstance(index, pd.DatetimeIndex):
        raise BarsError(f"the index of bars must be a DatetimeIndex of open times in UTC, was {type(index).__name__}")
    if str(index.tz) != "UTC":
        raise BarsError(f"the index of bars must be aware and in UTC, its time zone was {index.tz}")
    stamps = index.asi8
    steps = stamps[1:] <= stamps[:-1]
    if index.hasnans or steps.any():
        raise BarsError(_describe_order(index, steps))
    return index


def _describe_order(index: pd.DatetimeIndex, steps: Flags) -> str:
    if index.hasnans:
        count = int(np.count_nonzero(index.isna()))
        return f"the index of bars must have no missing times, {count} of {len(index)} were NaT"
    at = int(np.argmax(steps))
    return (
        f"the index of bars must be strictly increasing without duplicates, {int(steps.sum())} of {len(index)} times "
        f"were not later than the one before, first {index[at + 1]} after {index[at]}"
    )


def _matrix(frame: pd.DataFrame, names: Sequence[str]) -> Floats:
    """Return a new array of shape (n_columns, n_bars): each row is one column, contiguous."""
    matrix = np.empty((len(names), len(frame)), dtype=np.float64)
    whole = frame.to_numpy()  # a view when the frame is one block of floats; column by column costs 15 us each
    for row, name in enumerate(names):
        if whole.dtype == np.float64:
            matrix[row] = whole[:, frame.columns.get_loc(name)]
        else:
            matrix[row] = _as_floats(frame[name])
    return matrix


def _as_floats(column: pd.Series) -> Floats:
    try:
        if isinstance(column.dtype, np.dtype):
            return column.to_numpy(dtype=np.float64)
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise BarsError(f"column {column.name} must be numbers, was of type {column.dtype}: {error}") from error


def _check_prices(arrays: BarArrays) -> None:
    """Raise unless prices are positive, finite, and inside low..high."""
    prices = {name: arrays.columns[name] for name in PRICE_COLUMNS if name in arrays.columns}
    if len(arrays) and len(prices) == len(PRICE_COLUMNS) and _are_prices_fine(*prices.values()):
        return
    for name, price in prices.items():
        _demand(arrays, name, (price > 0) & (price < np.inf), "finite and above 0")  # false for NaN
    for name in ("open", "close"):
        if name in prices and "high" in prices:
            _demand(arrays, "high", prices["high"] >= prices[name], f"at least {name}")
        if name in prices and "low" in prices:
            _demand(arrays, "low", prices["low"] <= prices[name], f"at most {name}")


def _are_prices_fine(open_: Floats, high: Floats, low: Floats, close: Floats) -> bool:
    """Return at a third of the cost whether all is well; what is not is found column by column. NaN compares false."""
    bounded = low.min() > 0 and high.max() < np.inf
    return bool(bounded and (high >= np.maximum(open_, close)).all() and (low <= np.minimum(open_, close)).all())


def _check_volume(arrays: BarArrays, name: str) -> None:
    """Raise unless volume is finite and not negative; NaN is a missing kline, which a rate cannot have."""
    volume = arrays.columns[name]
    if name in KLINE_COLUMNS:
        fine = ~((volume < 0) | (volume == np.inf))
        _demand(arrays, name, fine, "finite and at least 0, or NaN where there is no kline")
    else:
        _demand(arrays, name, (volume >= 0) & (volume < np.inf), "finite and at least 0")


def _demand(arrays: BarArrays, name: str, fine: Flags, allowed: str) -> None:
    if not fine.all():
        at = int(np.argmin(fine))
        raise BarsError(
            f"column {name} must be {allowed}: {int((~fine).sum())} of {len(fine)} bars were not, "
            f"first {arrays.columns[name][at]} at {arrays.index[at]}"
        )
