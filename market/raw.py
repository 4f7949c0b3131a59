"""Rows of bars in columns, as a source gave them: before anybody has checked them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from market.intervals import NO_TIME

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True, eq=False)
class RawBars:
    """Rows of one symbol and interval as a source gave them.

    Attributes
    ----------
    open_ms : ndarray of shape (n_rows,), int64
        UTC, ms since 1970; ``NO_TIME`` where it cannot be placed.
    columns : dict of str to ndarray of shape (n_rows,), float64
        NaN where the source has nothing. ``close_ms`` and a broker's own ``server_s``, where present, are columns
        too (exact below 2**53).
    """

    open_ms: Ints
    columns: dict[str, Floats]

    def __len__(self) -> int:
        return len(self.open_ms)

    def __getitem__(self, column: str) -> Floats:
        return self.columns[column]

    def take(self, rows: Flags | Ints | slice) -> RawBars:
        """Return some of the rows, in the order that ``rows`` gives."""
        return RawBars(self.open_ms[rows], {name: values[rows] for name, values in self.columns.items()})

    def row(self, i: int) -> dict[str, float | str | None]:
        """Return one row as JSON can hold it: no value is None, and what is not finite is text."""
        open_ms = int(self.open_ms[i])
        row: dict[str, float | str | None] = {"open_ms": None if open_ms == NO_TIME else open_ms}
        for name, values in self.columns.items():
            value = float(values[i])
            row[name] = value if np.isfinite(value) else None if np.isnan(value) else str(value)
        return row


def no_rows(columns: Sequence[str]) -> RawBars:
    """Return rows that are not there, with their columns."""
    return RawBars(np.empty(0, np.int64), {name: np.empty(0) for name in columns})


def joined(parts: Sequence[RawBars]) -> RawBars:
    """Return the rows of all parts, one after the other; the parts have the same columns."""
    columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns}
    return RawBars(np.concatenate([part.open_ms for part in parts]), columns)
