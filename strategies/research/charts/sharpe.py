"""The Sharpe ratio of the last weeks, as time goes on."""

from __future__ import annotations

import math

import pandas as pd
import plotly.graph_objects as go

from strategies.blocks import ANNUAL_BARS
from strategies.estimators.parameters import Whole, check_parameters
from strategies.research.charts import writing
from strategies.research.charts.chart import TIME, Chart, dressed
from strategies.research.charts.palette import ink, series
from strategies.research.charts.tables import Column
from strategies.research.charts.thinning import thinned
from strategies.research.returns import checked_returns

WINDOW = 30 * 24  # bars


def rolling_sharpe(returns: pd.Series, *, window: int = WINDOW, bars_per_year: float = ANNUAL_BARS) -> pd.Series:
    """Return the annual Sharpe ratio of the last ``window`` returns at each bar.

    NaN for the first ``window - 1`` bars and where nothing varied.

    Raises
    ------
    ReturnsError
        If returns are not finite numbers on strictly increasing times.
    ParameterError
        If the window is not a whole number of at least 2.
    """
    check_parameters("rolling Sharpe ratio", {"window": Whole(2)}, {"window": window})
    rolling = pd.Series(checked_returns(returns), index=returns.index).rolling(window)
    moves = rolling.max() > rolling.min()  # a running deviation rounds, so that of equal returns need not be 0
    ratio = rolling.mean() / rolling.std(ddof=1).where(moves)
    return (ratio * math.sqrt(bars_per_year)).rename("sharpe")


def rolling_sharpe_chart(returns: pd.Series, *, window: int = WINDOW, bars_per_year: float = ANNUAL_BARS) -> Chart:
    """Return the rolling Sharpe ratio over time. Raises as ``rolling_sharpe``."""
    ratio = rolling_sharpe(returns, window=window, bars_per_year=bars_per_year)
    frame = thinned(ratio.to_frame())
    figure = go.Figure(
        go.Scatter(x=frame.index, y=frame["sharpe"], name="Sharpe ratio", line={"color": series(0), "width": 1.5})
    )
    figure.add_hline(y=0, line={"color": ink("muted"), "width": 1})
    dressed(figure, height=260)
    figure.update_yaxes(title_text="a year")
    figure.update_xaxes(title_text="UTC")
    days = window / bars_per_year * 365
    return Chart(
        key="rolling-sharpe",
        title=f"Rolling Sharpe ratio of {days:.3g} days, annualised over 365",
        summary=_summary(ratio.dropna()),
        figure=figure,
        frame=frame,
        columns=(TIME, Column("sharpe", "Sharpe ratio, a year", "ratio")),
    )


def _summary(known: pd.Series) -> str:
    if known.empty:
        return "There are fewer returns than the window is long, or none of them vary."
    share = writing.percent(float((known > 0).mean()), 0)
    return (
        f"Between {writing.ratio(known.min())} and {writing.ratio(known.max())}, above zero {share} of the time, "
        f"{writing.ratio(known.iloc[-1])} at the end."
    )
