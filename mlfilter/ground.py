"""Bars with what is known beside them: everything that setups are found in and their features are made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from mlfilter.outside import Outside, read_outside, with_enough

if TYPE_CHECKING:
    import pandas as pd

    from mlfilter.proposals import FoundSetups, Terms


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """Bars of one symbol, and the outside columns of the terms beside them.

    Attributes
    ----------
    left_out : tuple of str
        Why outside columns that were wanted are not used.
    """

    bars: pd.DataFrame
    outside: Outside
    terms: Terms
    left_out: tuple[str, ...] = ()

    @property
    def read(self) -> pd.DataFrame:
        """Return the bars with all columns beside them: what a hash of the data is of."""
        return self.bars.join(self.columns) if self.terms.outside else self.bars

    @property
    def columns(self) -> pd.DataFrame:
        """Return the outside columns, in the order of the terms."""
        return self.outside.columns[list(self.terms.outside)]

    def find(self) -> FoundSetups:
        """Return the setups; see ``proposals.find_setups``."""
        from mlfilter.proposals import find_setups

        return find_setups(self.bars, self.terms, outside=self.columns if self.terms.outside else None)


def ground_of(symbol: str, bars: pd.DataFrame, terms: Terms, *, since: datetime | None = None) -> Ground:
    """Return bars with just the outside columns of the terms; ``symbol`` is the name at Binance.

    With ``since``, columns are NaN before that bar: what comes earlier only warms the other features up.
    """
    import pandas as pd

    index = pd.DatetimeIndex(bars.index)
    return Ground(bars, read_outside(symbol, index, terms.outside, interval=terms.interval, since=since), terms)


def ground_with_enough(symbol: str, bars: pd.DataFrame, terms: Terms, *, first: int | None = None) -> Ground:
    """Return bars with those outside columns of the terms that are known often enough, and terms of these alone.

    ``first`` bars decide, all by default.
    """
    ground = ground_of(symbol, bars, terms)
    used, left_out = with_enough(ground.outside, first=first)
    return Ground(bars, ground.outside, replace(terms, outside=used), left_out)
