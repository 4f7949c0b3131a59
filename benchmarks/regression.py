"""Rolling regressions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from benchmarks.bars import YEAR, load_bars
from benchmarks.harness import Contest, max_abs_diff
from strategies.kernels.regression import ALPHA, ALPHA_T, BETA, BETA_T
from strategies.kernels.regression import rolling_ols as our_rolling_ols

Floats = npt.NDArray[np.float64]
WINDOW = 720
FORWARD = 24  # bars


@contextmanager
def rolling_ols() -> Iterator[Contest]:
    """Constant, slope and both t-values over 720 bars, at every bar of a year."""
    from statsmodels.regression.rolling import RollingOLS

    bars = load_bars()
    close = bars.frame["close"].to_numpy(dtype=np.float64, copy=True)
    y, x = _momentum(close[-YEAR - 2 * FORWARD :])
    design = np.column_stack([np.ones_like(x), x])

    def ours() -> Floats:
        return our_rolling_ols(y, x, WINDOW)

    def peer() -> Floats:
        fitted = RollingOLS(y, design, window=WINDOW).fit()
        found = np.empty((4, y.size))
        found[[ALPHA, BETA]], found[[ALPHA_T, BETA_T]] = fitted.params.T, fitted.tvalues.T
        return found

    yield Contest(
        ours=ours,
        peer=peer,
        peer_name="statsmodels RollingOLS",
        difference=lambda: max_abs_diff(ours(), peer()),
        tolerance=1e-6,
        goal=1000.0,
        data=bars.source,
        note=f"{y.size} bars, window {WINDOW}",
    )


def _momentum(close: Floats) -> tuple[Floats, Floats]:
    """Return a day's return, and the return of the day before it."""
    day = close[FORWARD:] / close[:-FORWARD] - 1.0
    return day[FORWARD:].copy(), day[:-FORWARD].copy()
