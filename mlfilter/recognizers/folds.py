"""Cut setups in time so that nothing is learned from what was not known yet.

What may be trained on before a moment are the setups whose outcome was known an ``embargo`` before it. Purging alone
(known before) leaves setups of the very same move on both sides of the cut: the embargo, as long as a position may be
held, keeps those apart, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from market.bars import Ints
from mlfilter.errors import FilterDataError

Rows = npt.NDArray[np.intp]


def known_before(known_at: Ints, moment: int, embargo: int) -> Rows:
    """Return the rows whose outcome was known ``embargo`` before ``moment``, all in ns."""
    return np.flatnonzero(known_at + embargo <= moment)


def walk_forward(times: Ints, known_at: Ints, *, n_folds: int, embargo: int) -> Iterator[tuple[Rows, Rows]]:
    """Yield training and test rows of every fold: the past, then the setups that follow it.

    The setups are cut into ``n_folds + 1`` parts as equal as times allow (setups of one moment stay together); the
    first is only trained on. A fold whose training rows are all purged is left out.

    Raises
    ------
    FilterDataError
        For fewer setups than parts.
    """
    n_rows = len(times)
    if n_rows < n_folds + 1:
        raise FilterDataError(f"{n_folds} folds need at least {n_folds + 1} setups with an outcome, there are {n_rows}")
    edges = [int(np.searchsorted(times, times[n_rows * part // (n_folds + 1)])) for part in range(1, n_folds + 1)]
    for start, end in zip(edges, [*edges[1:], n_rows], strict=True):
        test = np.arange(start, end)
        if len(test):
            train = known_before(known_at, int(times[start]), embargo)
            if len(train):
                yield train, test


def fit_and_calibration(times: Ints, known_at: Ints, *, fraction: float, embargo: int) -> tuple[Rows, Rows]:
    """Return the rows to fit on, and the later ones to calibrate on.

    Raises
    ------
    FilterDataError
        If one of the two would be empty.
    """
    start = int(np.searchsorted(times, times[int(len(times) * (1.0 - fraction))])) if len(times) else 0
    if start == 0:
        raise FilterDataError(f"{len(times)} setups with an outcome are too few to fit and to calibrate on")
    fit = known_before(known_at, int(times[start]), embargo)
    if not len(fit):
        raise FilterDataError(f"none of {len(times)} setups had its outcome before the calibration begins")
    return fit, np.arange(start, len(times))


def nanoseconds(delta: timedelta) -> int:
    """Return a duration in the unit of ``TrainingSet.times``."""
    return int(pd.Timedelta(delta).as_unit("ns").value)
