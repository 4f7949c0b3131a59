"""What a backtest trades on: stored bars, and the positions that somebody's models want at them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from market.errors import DataMissingError
from market.reading import joined_bars
from strategies.backtesting.requests import HOUR, BacktestRequest
from strategies.errors import InsufficientHistoryError

if TYPE_CHECKING:
    import pandas as pd

    from strategies.estimators.base import BaseStrategy


class NoModelError(DataMissingError):
    """A symbol that nothing trades, or for which nothing of the plan can be fitted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """The positions to trade, and where they come from.

    Attributes
    ----------
    positions : dict of str to Series
        Fractions of capital at every bar of a symbol that decides a slot.
    made_by : dict
        The versions of the models, or the plan, as a configuration has them.
    fitted_to : datetime or None
        Open time of the newest bar that anything was fitted on; None where each part was fitted on what came before.
    drift : list of dict
        Of active models, see ``WindowDrift``.
    """

    positions: dict[str, pd.Series]
    made_by: dict[str, Any]
    fitted_to: datetime | None = None
    drift: list[dict[str, Any]] = field(default_factory=list)
    warnings: tuple[str, ...] = ()


def stored_bars(request: BacktestRequest) -> dict[str, pd.DataFrame]:
    """Return each symbol's closed bars up to the end, with the history that models want before the beginning.

    Raises
    ------
    UnknownSymbolError
    DataMissingError
        Naming the symbol whose bars begin too late, end too early, or are all missing in between.
    """
    limit = request.history_hours + request.n_slots
    bars = {name: joined_bars(name, limit=limit, until=request.end) for name in request.symbols}
    for name, frame in bars.items():
        first, last = frame.index[0].to_pydatetime(), frame.index[-1].to_pydatetime()
        reaches = first <= request.begin - HOUR and last >= request.end - HOUR
        if not reaches or not len(deciding_hours(frame, request.begin, request.end)):
            raise DataMissingError(
                f"{name} has bars from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}, the backtest needs them from "
                f"{request.begin - HOUR:%Y-%m-%d %H:%M} to {request.end - HOUR:%Y-%m-%d %H:%M}: "
                f"bring them in with `manage.py data_import`, or choose another time"
            )
    return bars


@contextmanager
def naming(symbol: str, bars: pd.DataFrame) -> Iterator[None]:
    """Say whose history is too short, and from when on there is any."""
    try:
        yield
    except InsufficientHistoryError as error:
        raise DataMissingError(
            f"{symbol}: {error}; its bars begin at {bars.index[0]:%Y-%m-%d %H:%M}: begin later, or bring older ones in "
            f"with `manage.py data_import`"
        ) from error


def deciding_hours(bars: pd.DataFrame, begin: datetime, end: datetime) -> pd.DatetimeIndex:
    """Return the bars that decide the slots of ``[begin, end)``: each closes as its slot's hour begins."""
    import pandas as pd

    return pd.DatetimeIndex(bars.index[(bars.index >= begin - HOUR) & (bars.index < end - HOUR)])


def total_positions(models: Sequence[BaseStrategy], bars: pd.DataFrame) -> pd.Series:
    """Return what fitted models want together at every bar, asked once on all of them."""
    import pandas as pd

    from market.bars import bar_arrays

    seen = bar_arrays(bars)
    return pd.concat([model.predict(seen) for model in models], axis=1).sum(axis=1)
