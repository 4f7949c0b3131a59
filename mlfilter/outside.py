"""What a filter knows beside the bars: funding, order books, the market's mood, each as it was known at a bar's close.

A column that is used is NaN where nothing was known, and never zero: a setup there is neither learned from nor
approved. One that is known too rarely is left out of a training, in words.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from market.outside_reading import outside_features
from mlfilter.errors import FilterError
from mlfilter.models import BotSymbol

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

# A column that is known at fewer bars takes more setups away than it can be worth.
ENOUGH = 0.8


@dataclass(frozen=True, slots=True, eq=False)
class Outside:
    """Columns beside bars.

    Attributes
    ----------
    columns : DataFrame of shape (n_bars, n_columns), float64
        On the index of the bars; NaN where nothing was known at the close.
    away : mapping
        By column: why it has no value at the newest bar.
    """

    columns: pd.DataFrame
    away: Mapping[str, str]

    def missing_at(self, bar_at: datetime) -> list[str]:
        """Return a sentence for each column without a value at a bar."""
        is_newest = bar_at == self.columns.index[-1]
        missing = [str(name) for name, values in self.columns.items() if math.isnan(values.loc[bar_at])]
        return [self.away[name] if is_newest else f"{name} was not known at the bar's close" for name in missing]


def watched_names() -> list[str]:
    """Return whose readings the bot wants, used yet or not: books have no history, they gather from now on."""
    return list(BotSymbol.objects.enabled().values_list("data_symbol", flat=True))


def in_order(names: Any) -> tuple[str, ...]:
    """Return outside columns in the order in which models are trained and served with them.

    Raises
    ------
    FilterError
        It is no list of their names, each once.
    """
    from mlfilter.features import OUTSIDE_COLUMNS

    if not isinstance(names, list | tuple) or not set(names) <= set(OUTSIDE_COLUMNS) or len(set(names)) < len(names):
        raise FilterError(f"outside columns must be a list of {', '.join(OUTSIDE_COLUMNS)}, each once, was {names!r}")
    return tuple(name for name in OUTSIDE_COLUMNS if name in names)


def columns_of(features: Collection[str]) -> tuple[str, ...]:
    """Return the outside columns among the features of a filter."""
    from mlfilter.features import OUTSIDE_COLUMNS

    return tuple(name for name in OUTSIDE_COLUMNS if name in features)


def read_outside(
    symbol: str, index: pd.DatetimeIndex, columns: Sequence[str], *, interval: str, since: datetime | None = None
) -> Outside:
    """Return columns as they were known at the close of each bar; nobody is asked, what is stored is read.

    Parameters
    ----------
    symbol : str
        The name at Binance; a name that nobody registered is taken for one.
    since : datetime, optional
        Open time of the first bar that is looked at: the ones before it warm other features up, and get NaN.
    """
    import pandas as pd

    if not columns:
        return Outside(pd.DataFrame(index=index), {})
    looked_at = index if since is None else index[index.searchsorted(pd.Timestamp(since)) :]
    found = outside_features(symbol, looked_at, interval=interval, columns=columns)
    told = found.attrs["absent"] | found.attrs["ended"]
    return Outside(found.reindex(index=index, columns=list(columns)), told)


def with_enough(outside: Outside, *, first: int | None = None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the columns that are known at enough bars, and a sentence for each of the others.

    ``first`` bars decide, all by default: a backtest may not choose by what came later.
    """
    used, left_out = [], []
    for name in map(str, outside.columns):
        share = float(outside.columns[name].iloc[:first].notna().mean())
        if share >= ENOUGH:
            used.append(name)
        else:
            left_out.append(
                f"{name} is left out: known at {share:.0%} of {'the' if first is None else f'the first {first}'} bars, "
                f"at least {ENOUGH:.0%} are needed"
            )
    return tuple(used), tuple(left_out)
