"""The fast backtest: positions into fills, costs and equity, by the rules of the live session, in one compiled pass.

It is for search: replay steps stored bars through the very session code. ``docs/backtest.md`` states the conventions
and works through ten bars by hand.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from strategies.errors import ParameterError
from strategies.estimators.parameters import Number
from strategies.kernels import backtest as kernel
from strategies.kernels.course import Terms
from strategies.kernels.equity import figures
from strategies.kernels.jit import Floats
from strategies.research.costs import CostTotals
from strategies.research.fills import Fills, Trip, trips
from strategies.research.inputs import Positions, positions_on, terms_of
from strategies.research.lots import SymbolTerms
from strategies.research.timeline import Timeline

DAYS_A_YEAR = 365


@dataclass(frozen=True, slots=True, kw_only=True)
class Capital:
    """What an account begins with, and what its positions are sized from.

    Parameters
    ----------
    start : float, default=10_000.0
        Account currency.
    fixed : float or None, default=10_000.0
        Positions are sized from this or, where that is less, from the equity, as live; None sizes from the equity.

    Raises
    ------
    ParameterError
        For an amount that is not above 0.
    """

    start: float = 10_000.0
    fixed: float | None = 10_000.0

    def __post_init__(self) -> None:
        for name in ("start", "fixed"):
            amount = getattr(self, name)
            if amount is not None and amount not in Number(0, above=True):
                raise ParameterError(f"capital: {name} must be {Number(0, above=True)}, was {amount!r}")

    @property
    def for_kernel(self) -> tuple[float, float]:
        """The two as a kernel takes them: infinity for no fixed capital."""
        return float(self.start), math.inf if self.fixed is None else float(self.fixed)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class BacktestResult:
    """What an account that followed the positions would have done.

    Attributes
    ----------
    timeline : Timeline
        What it was run on.
    terms : tuple of Terms
        Of each symbol, as the kernel had them.
    capital : Capital
    equity : ndarray of shape (n_bars,), float64
        At each bar's close, account currency.
    gross : float
        What positions earned before costs: ``capital.start + gross - costs.total`` is the last equity.
    costs : CostTotals
    traded : float
        Worth of all fills.
    fills : Fills
    """

    timeline: Timeline
    terms: tuple[Terms, ...]
    capital: Capital
    equity: Floats
    gross: float
    costs: CostTotals
    traded: float
    fills: Fills

    @property
    def index(self) -> pd.DatetimeIndex:
        """The bars' open times, UTC."""
        return self.timeline.index

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols, in the order of ``terms``."""
        return self.timeline.symbols

    @property
    def end(self) -> float:
        """The equity after the last bar."""
        return float(self.equity[-1])

    @property
    def net(self) -> float:
        """What was earned after costs."""
        return self.gross - self.costs.total

    @property
    def returns(self) -> Floats:
        """Each bar's change of equity as a fraction of the equity before; 0 where nothing was left."""
        return self._judged[0]

    @property
    def score(self) -> Score:
        """The figures that a sweep ranks by."""
        return Score.of(self._judged[1], self.timeline, self.capital, traded=self.traded)

    @property
    def _judged(self) -> tuple[Floats, Floats]:
        """Returns, and the kernel's figures of the equity."""
        returns = np.empty(len(self.equity))
        return returns, figures(self.equity, float(self.capital.start), returns)

    def trips(self) -> tuple[Trip, ...]:
        """Return the positions from their opening to their end, see ``fills.trips``."""
        contracts = np.array([one.contract for one in self.terms])
        closes = self.timeline.arrays.close[:, -1]
        return trips(self.fills, self.symbols, last_closes=closes, contract_sizes=contracts)

    def returns_series(self) -> pd.Series:
        """Return the returns on the bars' open times."""
        return pd.Series(self.returns, index=self.index, name="returns")

    def equity_series(self) -> pd.Series:
        """Return the equity on the bars' open times."""
        return pd.Series(self.equity, index=self.index, name="equity")


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Figures of one equity curve."""

    sharpe: float  # a year, no riskless rate; NaN where the equity never moves
    total_return: float  # fraction of the starting capital
    max_drawdown: float  # largest fall from a peak, fraction of it, 0 or negative
    turnover: float  # worth traded a day, as a multiple of the mean equity; NaN where that is not above 0

    @classmethod
    def of(cls, judged: Floats, timeline: Timeline, capital: Capital, *, traded: float) -> Score:
        """Return the figures of what ``kernels.equity.figures`` found."""
        mean, squares, levels, worst, last = judged.tolist()
        n_bars = len(timeline)
        std = math.sqrt(squares / (n_bars - 1)) if n_bars > 1 else math.nan
        turnover = traded / levels if levels > 0 else math.nan
        return cls(
            sharpe=mean / std * math.sqrt(timeline.bars_per_year) if std > 0 else math.nan,
            total_return=last / capital.start - 1,
            max_drawdown=worst - 1,
            turnover=turnover * timeline.bars_per_year / DAYS_A_YEAR,
        )


def backtest(
    timeline: Timeline,
    positions: Mapping[str, Positions] | Positions,
    *,
    terms: Mapping[str, SymbolTerms] | SymbolTerms | None = None,
    capital: Capital | None = None,
) -> BacktestResult:
    """Run positions through a timeline.

    Parameters
    ----------
    timeline : Timeline
        From ``build_timeline``; the same one serves any number of runs.
    positions : mapping of str to Series or array, or one of them for a timeline of one symbol
        Fraction of the symbol's capital, decided at the close of the bar in whose row it stands. Arrays have a row for
        each bar of the timeline; a Series has at least the times of the symbol's own bars.
    terms : SymbolTerms or mapping of str to SymbolTerms, optional
        For all symbols, or for each.
    capital : Capital, optional

    Raises
    ------
    BacktestError
        If positions or terms do not fit the timeline, are not finite, or weights add up to more than 1.
    """
    capital = capital or Capital()
    wishes = positions_on(timeline, positions)
    rows = terms_of(timeline, terms)
    equity = np.empty(len(timeline))
    fills = np.empty((timeline.most_fills, kernel.FILL))
    if len(rows) == 1:
        tally, count = kernel.run(wishes[0], timeline.course(0), rows[0], capital.for_kernel, equity, fills)
    else:
        table = np.array(rows)
        tally, count = kernel.run_portfolio(wishes, timeline.arrays, table, capital.for_kernel, equity, fills)
    return BacktestResult(
        timeline=timeline,
        terms=tuple(rows),
        capital=capital,
        equity=equity,
        gross=float(tally[kernel.GROSS]),
        costs=_totals(tally),
        traded=float(tally[kernel.TRADED]),
        fills=Fills.from_table(fills[:count]),
    )


def _totals(tally: Floats) -> CostTotals:
    return CostTotals(
        spread=float(tally[kernel.SPREAD]),
        slippage=float(tally[kernel.SLIPPAGE]),
        commission=float(tally[kernel.COMMISSION]),
        swap=float(tally[kernel.SWAP]),
        funding=float(tally[kernel.FUNDING]),
    )
