"""Every setup in a stretch of bars, with its features and what became of it. No Django here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from market.bars import Floats, Ints
from market.intervals import require_interval
from mlfilter.errors import FilterDataError
from mlfilter.features import OUTSIDE_COLUMNS, calculate_features
from mlfilter.labels import forward_return, triple_barrier
from mlfilter.recognizers.trainingset import DIRECTION
from mlfilter.setups import Barriers, Costs
from mlfilter.signals import SIGNALS

FAMILY = "oversold"
TRIPLE_BARRIER, FORWARD_RETURN = "triple_barrier", "forward_return"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a setup and a success are.

    Attributes
    ----------
    family : str
        A key of ``SIGNALS``.
    thresholds : mapping
        What differs from the family's own.
    label : str
        ``triple_barrier`` or ``forward_return``.
    success_threshold : float
        Of the forward return, after costs.
    outside : tuple of str
        Columns beside those of the bars, each one of ``OUTSIDE_COLUMNS``.
    """

    interval: str = "15m"
    family: str = FAMILY
    thresholds: Mapping[str, float] = field(default_factory=dict)
    label: str = TRIPLE_BARRIER
    success_threshold: float = 0.0
    barriers: Barriers = field(default_factory=Barriers)
    costs: Costs = field(default_factory=Costs)
    outside: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.family not in SIGNALS:
            raise ValueError(f"no signals {self.family!r}; known: {', '.join(SIGNALS)}")
        if self.label not in (TRIPLE_BARRIER, FORWARD_RETURN):
            raise ValueError(f"label must be {TRIPLE_BARRIER} or {FORWARD_RETURN}, was {self.label!r}")
        require_interval(self.interval)
        unknown = [name for name in self.outside if name not in OUTSIDE_COLUMNS]
        if unknown:
            raise ValueError(f"no outside columns {', '.join(unknown)}; known: {', '.join(OUTSIDE_COLUMNS)}")

    @property
    def bar_length(self) -> timedelta:
        return timedelta(milliseconds=require_interval(self.interval))

    @property
    def embargo(self) -> timedelta:
        """As long as a position may be held."""
        return self.barriers.horizon * self.bar_length


@dataclass(frozen=True, slots=True, eq=False)
class FoundSetups:
    """All setups of some bars, in the order of time.

    Attributes
    ----------
    rows : ndarray of shape (n_setups,), int64
        At whose close each was found.
    direction : Series of shape (n_bars,), int8
        1 long, -1 short, 0 nothing.
    features : DataFrame of shape (n_setups, n_features)
        ``direction`` is the last column.
    labels : DataFrame of shape (n_setups, …)
        Of ``mlfilter.labels``; NaN and -1 where the outcome is open.
    known_at : DatetimeIndex of shape (n_setups,)
        Open times of the bars at whose close the labels are known; NaT while they are not.
    """

    bars: pd.DataFrame
    rows: Ints
    direction: pd.Series
    features: pd.DataFrame
    labels: pd.DataFrame
    known_at: pd.DatetimeIndex

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def index(self) -> pd.DatetimeIndex:
        """When the bars opened, UTC."""
        return pd.DatetimeIndex(self.bars.index)

    @property
    def r(self) -> Floats:
        return self.labels["r"].to_numpy(dtype=np.float64)

    def per_bar(self, of_setups: Any, empty: Any) -> Any:
        """Return an array of shape (n_bars,) with a value at each setup's bar, ``empty`` elsewhere."""
        values = np.full(len(self.bars), empty)
        values[self.rows] = of_setups
        return values


def find_setups(bars: pd.DataFrame, terms: Terms, *, outside: pd.DataFrame | None = None) -> FoundSetups:
    """Return the setups of closed bars; nothing in a row is known later than at its bar's close but its label.

    Parameters
    ----------
    outside : DataFrame on the index of ``bars``, optional
        The columns of ``terms.outside`` as known at each bar's close, NaN while unknown.

    Raises
    ------
    FilterDataError
        Without bars, or without a column of the terms.
    BarsError
        If they are none.
    """
    if not len(bars):
        raise FilterDataError("there are no bars to look for setups in")
    fed = () if outside is None else tuple(map(str, outside.columns))
    if fed != terms.outside:
        raise FilterDataError(f"outside columns must be {list(terms.outside)} as the terms say, were {list(fed)}")
    features = calculate_features(bars, outside=outside)
    return setups_in(bars, features, terms)


def setups_in(bars: pd.DataFrame, features: pd.DataFrame, terms: Terms) -> FoundSetups:
    """Return the setups of bars whose features were computed before."""
    direction = directions(features, terms)
    rows = np.flatnonzero(direction.to_numpy() != 0)
    labels = _label(bars, direction, terms).iloc[rows]
    known = labels["known_at"].to_numpy(dtype=np.int64)
    index = pd.DatetimeIndex(bars.index)
    return FoundSetups(
        bars=bars,
        rows=rows,
        direction=direction,
        features=with_direction(features.iloc[rows], direction.iloc[rows]),
        labels=labels,
        known_at=pd.DatetimeIndex(index[known].where(known >= 0)),
    )


def directions(features: pd.DataFrame, terms: Terms) -> pd.Series:
    """Return what the signals propose at every bar: 1 long, -1 short, 0 nothing."""
    family = SIGNALS[terms.family]
    return family.directions(features, family.thresholds(**terms.thresholds))


def with_direction(features: pd.DataFrame, direction: pd.Series) -> pd.DataFrame:
    """Return the features of setups as recognizers take them."""
    return features.assign(**{DIRECTION: direction.to_numpy(dtype=np.float64)})


def _label(bars: pd.DataFrame, direction: pd.Series, terms: Terms) -> pd.DataFrame:
    barriers, costs = terms.barriers, terms.costs
    if terms.label == TRIPLE_BARRIER:
        return triple_barrier(bars, direction, barriers=barriers, costs=costs)
    return forward_return(bars, direction, barriers=barriers, costs=costs, success_threshold=terms.success_threshold)
