"""Setups whose outcome is known, in the order of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from market.bars import Flags, Floats, Ints
from mlfilter.errors import FilterDataError

DIRECTION = "direction"  # +1 long, -1 short: a feature like any other, and always the last


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSet:
    """One row a setup; the rows ascend in time.

    Attributes
    ----------
    names : tuple of str
        Of the features, in order.
    X : ndarray of shape (n_setups, n_features), float64
        Finite.
    y : ndarray of shape (n_setups,), int64
        1 for a success, else 0.
    times, known_at : ndarray of shape (n_setups,), int64
        ns since 1970: when the setup's bar opened, and the bar at whose close its outcome was known.
    r : ndarray of shape (n_setups,), float64
        What it made, in units of what the stop would have lost; NaN where nobody said.
    n_unknown, n_not_finite : int
        Setups that were left out: the outcome is still open, or a feature is not a finite number.
    """

    names: tuple[str, ...]
    X: Floats
    y: Ints
    times: Ints
    known_at: Ints
    r: Floats
    n_unknown: int = 0
    n_not_finite: int = 0

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: npt.NDArray[np.intp] | Flags | slice) -> TrainingSet:
        """Return some of the setups."""
        return TrainingSet(self.names, self.X[rows], self.y[rows], self.times[rows], self.known_at[rows], self.r[rows])


def training_set(
    features: pd.DataFrame,
    labels: pd.Series,
    *,
    known_at: pd.Series | pd.DatetimeIndex,
    r: Sequence[float] | pd.Series | Floats | None = None,
) -> TrainingSet:
    """Return the setups that can be learned from.

    Parameters
    ----------
    features : DataFrame of shape (n_setups, n_features)
        Index: open times of the setups' bars, aware UTC, not decreasing.
    labels : Series of shape (n_setups,)
        1 or 0; NaN while the outcome is open.
    known_at : of shape (n_setups,)
        Open times of the bars at whose close the labels are known; NaT while they are not.
    r : of shape (n_setups,), optional

    Raises
    ------
    FilterDataError
        If lengths differ, times are not in order, an outcome is known before its setup, or a label is none.
    """
    times = _ns(pd.DatetimeIndex(features.index))
    known, y = _ns(pd.DatetimeIndex(known_at)), np.asarray(labels, dtype=np.float64)
    _check(times, known, y, len(features))
    values = features.to_numpy(dtype=np.float64)
    made = np.full(len(y), np.nan) if r is None else np.asarray(r, dtype=np.float64)
    is_known = ~np.isnan(y) & (known != NOT_KNOWN)
    is_finite = np.isfinite(values).all(axis=1)
    kept = is_known & is_finite
    return TrainingSet(
        tuple(map(str, features.columns)),
        np.ascontiguousarray(values[kept]),
        y[kept].astype(np.int64),
        times[kept],
        known[kept],
        made[kept],
        n_unknown=int((~is_known).sum()),
        n_not_finite=int((is_known & ~is_finite).sum()),
    )


NOT_KNOWN = np.iinfo(np.int64).min  # what numpy stores for NaT


def _ns(times: pd.DatetimeIndex) -> Ints:
    return np.asarray(times.as_unit("ns").asi8)


def _check(times: Ints, known: Ints, y: Floats, n_rows: int) -> None:
    if not len(known) == len(y) == n_rows:
        raise FilterDataError(
            f"features, labels and known_at must be equally long, were {n_rows}, {len(y)}, {len(known)}"
        )
    if (np.diff(times) < 0).any():
        raise FilterDataError("setups must be in the order of time")
    if not np.isin(y[~np.isnan(y)], (0.0, 1.0)).all():
        raise FilterDataError("labels must be 1, 0 or NaN")
    early = (known != NOT_KNOWN) & (known < times)
    if early.any():
        raise FilterDataError(f"{int(early.sum())} outcomes were known before their setups")
