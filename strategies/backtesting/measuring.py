"""What a simulated account amounts to: figures of all of it, of what was fitted on and of what came after, and luck."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from strategies.backtesting.requests import HOUR

if TYPE_CHECKING:
    import pandas as pd

    from strategies.backtesting.fast import Simulated

DAYS_A_YEAR = 365
LOT_PLACES = 8  # finer than any venue's volume step


def returns_of(equity: pd.Series) -> pd.Series:
    """Return each step's change as a fraction of the equity before it, by the step's end; 0 once nothing is left.

    Parameters
    ----------
    equity : Series of shape (n_steps + 1,)
        The first is what the account began with.

    Returns
    -------
    Series of shape (n_steps,), float64
    """
    before = equity.shift(1)
    return ((equity - before) / before).where(before > 0, 0.0).iloc[1:]


def figures(simulated: Simulated, contract_sizes: Mapping[str, float]) -> dict[str, Any]:
    """Return the metrics of all of a run, as JSON has them.

    They are those of ``strategies.research.metrics``, with turnover and exposure from the fills: ``turnover`` is the
    worth traded a day over the mean equity, ``exposure`` the mean worth held, long and short alike, over the equity.

    Parameters
    ----------
    contract_sizes : mapping of str to float
        Coins in a lot.
    """
    from strategies.research.metrics import json_number, measure

    fills = simulated.fills.assign(size=simulated.fills["symbol"].map(contract_sizes).astype("float64"))
    counts = {"fills": len(fills), "trades": n_trades(fills)}
    metrics = measure(returns_of(simulated.equity)).as_data() | _holding(simulated, fills) | counts
    return {name: json_number(value) for name, value in (metrics | simulated.extra).items()}


def n_trades(fills: pd.DataFrame) -> int:
    """Return how often a position was opened: from nothing, or by turning round."""
    return sum(_n_opened(own["lots"]) for _, own in fills.groupby("symbol"))


def _n_opened(lots: pd.Series) -> int:
    held = lots.cumsum().round(LOT_PLACES)
    before = held.shift(1, fill_value=0.0)
    return int(((held != 0) & (held * before <= 0)).sum())


def _holding(simulated: Simulated, fills: pd.DataFrame) -> dict[str, float]:
    """Return what was traded and held, as fractions of the equity."""
    equity = simulated.equity
    worth = _held_coins(fills, equity).abs() * simulated.closes.reindex(equity.index, method="ffill")
    total = worth.sum(axis=1)
    traded = (fills["lots"].abs() * fills["size"] * fills["price"]).sum()
    days = (equity.index[-1] - equity.index[0]) / (24 * HOUR)
    return {
        "turnover": float(traded / equity.mean() / days),
        "exposure": float((total / equity).where(equity > 0, 0.0).iloc[1:].mean()),
        "time_in_market": float((total > 0).iloc[1:].mean()),
    }


def _held_coins(fills: pd.DataFrame, equity: pd.Series) -> pd.DataFrame:
    """Return the coins held of each symbol at the times of ``equity``, fills of that very moment included."""
    coins = (fills["lots"] * fills["size"]).groupby([fills["at"], fills["symbol"]]).sum().unstack().fillna(0.0)
    held = coins.cumsum().round(LOT_PLACES)
    return held.reindex(held.index.union(equity.index)).ffill().reindex(equity.index).fillna(0.0)


def samples(equity: pd.Series, fitted_to: datetime | None) -> dict[str, Any]:
    """Return the metrics of the time that models were fitted on and of the time after, which share no step.

    A step belongs to the time after when it begins at or after the close of the last bar that was fitted on.

    Returns
    -------
    dict
        ``split_at`` (that close; None where nothing was fitted on what it traded), ``in_sample`` and
        ``out_of_sample``: metrics as JSON has them, None of no step.
    """
    from strategies.research.metrics import measure

    inside, outside = split(equity, fitted_to)
    parts = {"in_sample": inside, "out_of_sample": outside}
    metrics = {name: measure(part).as_data() if len(part) else None for name, part in parts.items()}
    return {"split_at": (fitted_to + HOUR).isoformat() if fitted_to else None} | metrics


def split(equity: pd.Series, fitted_to: datetime | None) -> tuple[pd.Series, pd.Series]:
    """Return the returns of the time that was fitted on, and of the time after."""
    returns = returns_of(equity)
    if fitted_to is None:
        return returns.iloc[:0], returns
    is_inside = equity.index[:-1] < fitted_to + HOUR
    return returns[is_inside], returns[~is_inside]


def luck(equity: pd.Series, sharpes: Iterable[float | None]) -> float | None:
    """Return the probability that a Sharpe ratio is luck after so many trials: 1 less the deflated Sharpe ratio.

    Parameters
    ----------
    equity : Series
        Of the trial.
    sharpes : iterable of float or None
        Annual ones of every different trial on the sample, its own included; None (it never moved) counts as 0.

    Returns
    -------
    float or None
        None where it is undefined: the equity never moves.
    """
    from strategies.research.deflated import Moments, deflated_sharpe

    steps = math.sqrt(DAYS_A_YEAR * 24)
    trials = [(sharpe or 0.0) / steps for sharpe in sharpes]
    chance = deflated_sharpe(Moments.of(returns_of(equity).to_numpy()), trials)
    return None if math.isnan(chance) else 1.0 - chance
