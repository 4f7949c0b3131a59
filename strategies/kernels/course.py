"""What the kernels of a backtest read: prices and events bar by bar, and the terms of trading a symbol."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from strategies.kernels.jit import Floats

Rows = npt.NDArray[np.int32]
Marks = npt.NDArray[np.uint8]


class Course(NamedTuple):
    """What happens on each bar; arrays of shape (n_bars,), or (n_symbols, n_bars) for a portfolio.

    Where a symbol of a portfolio has no bar, its last close stands for all prices and nothing is marked.
    """

    open_: Floats
    close: Floats
    early: Floats  # price at the early slot, where there is one
    nights: Floats  # sum of the prices that nights are charged on
    funding: Floats  # sum of rate times price that longs pay
    decided: Rows  # the bar whose position the bar's slots act on
    marks: Marks


class Terms(NamedTuple):
    """How a symbol is sized and what trading it costs; a row of the table of ``run_portfolio``."""

    weight: float  # fraction of the sizing capital
    contract: float  # coins in a lot
    atom: float  # lots
    units: float  # precision units in a lot
    precision: float  # a precision unit, atoms; 0: nothing is rounded, neither to tenths nor to a grid
    step: float  # the venue's volume step, atoms
    smallest: float  # the venue's least volume, atoms
    band: float  # a smaller change of size is left alone, atoms
    largest: float  # the largest position, fraction of the symbol's capital
    half_spread: float  # fraction of price
    half_spread_price: float  # price units
    slippage: float  # fraction of price
    commission: float  # fraction of what is traded
    night_long: float  # what a long position is paid a night, fraction of its worth
    night_short: float
    funding_rate: float  # what a long position pays, fraction of ``Course.funding``
