"""What an account held at moments of a period, from what it traded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from strategies.research.courses import LOT_PLACES

BEFORE_CLOSE = pd.Timedelta(minutes=30)  # a slot acts within a minute of an hour's begin, or five before its end


def held_lots(fills: pd.DataFrame, moments: pd.DatetimeIndex, symbols: Sequence[str]) -> pd.DataFrame:
    """Return the signed lots of each symbol at moments, what is traded at the very moment included.

    Parameters
    ----------
    fills : DataFrame
        With ``at`` (aware), ``symbol`` and ``lots`` (signed), in any order.
    moments : DatetimeIndex of shape (n_moments,)
    symbols : sequence of str
        The columns.
    """
    held = pd.DataFrame(0.0, index=moments, columns=list(symbols))
    asked = moments.as_unit("ns").asi8
    for symbol, own in fills.sort_values("at", kind="stable").groupby("symbol"):
        after = np.concatenate([[0.0], own["lots"].cumsum().round(LOT_PLACES)])
        traded = pd.DatetimeIndex(own["at"]).as_unit("ns").asi8
        held[symbol] = after[np.searchsorted(traded, asked, side="right")]
    return held[list(symbols)]


def weights_at(
    fills: pd.DataFrame, closes: pd.DataFrame, lot_values: Mapping[str, float], equity: pd.Series
) -> pd.DataFrame:
    """Return each symbol's worth as a signed fraction of the equity, at the times of ``equity``.

    Parameters
    ----------
    fills : DataFrame
        See ``held_lots``.
    closes : DataFrame of shape (n_bars, n_symbols)
        By the time at which each bar closed.
    lot_values : mapping of str to float
        What a lot gains when its price rises by 1.
    equity : Series of shape (n_times,)
        Where it is not above 0 there is no fraction: NaN.
    """
    index = pd.DatetimeIndex(equity.index)
    prices = closes.ffill().reindex(index, method="ffill").bfill()
    worth = held_lots(fills, index, list(closes.columns)) * prices * pd.Series(lot_values)
    return worth[list(closes.columns)].div(equity.where(equity > 0), axis=0)


def positions_and_returns(
    fills: pd.DataFrame, closes: pd.DataFrame, lot_values: Mapping[str, float], capital: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what was held over the bar after each, and what each bar returned: what a permutation test compares.

    Parameters
    ----------
    closes : DataFrame of shape (n_bars, n_symbols)
        By the time at which each bar closed; where a symbol has none its last one stands, and returns 0.
    capital : float
        Account currency; positions are fractions of it.

    Returns
    -------
    two DataFrames of shape (n_bars, n_symbols), float64
    """
    prices = closes.ffill().bfill()
    held = held_lots(fills, pd.DatetimeIndex(closes.index) + BEFORE_CLOSE, list(closes.columns))
    worth = held.set_axis(closes.index) * prices * pd.Series(lot_values)[list(closes.columns)]
    return worth / capital, prices.pct_change().fillna(0.0)
