"""The equity with what it is below its high under it."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from strategies.research.charts import writing
from strategies.research.charts.chart import TIME, Chart, ChartError, dressed, note
from strategies.research.charts.palette import ink
from strategies.research.charts.tables import Column
from strategies.research.charts.thinning import thinned
from strategies.research.drawdowns import under_water


def equity_chart(equity: pd.Series, *, currency: str = "USD", fitted_until: datetime | None = None) -> Chart:
    """Return the equity over time, and how far it is below its highest.

    Parameters
    ----------
    equity : Series of shape (n_times,)
        Account currency, by the time at which it was that; the first is what the account began with.
    currency : str, default="USD"
    fitted_until : datetime, optional
        Everything before is shaded as in-sample.

    Raises
    ------
    ChartError
        Without two values, or for one that is not finite.
    """
    values = equity.to_numpy(dtype=np.float64)
    if values.size < 2 or not np.isfinite(values).all():
        raise ChartError(f"an equity curve needs at least 2 finite values, had {int(np.isfinite(values).sum())}")
    below = under_water(values, start=float(values[0]))
    frame = thinned(pd.DataFrame({"equity": values, "drawdown": below}, index=equity.index))
    figure = _figure(frame, float(values[0]), currency)
    if fitted_until is not None:
        _shade(figure, equity.index[0], min(fitted_until, equity.index[-1]))
    return Chart(
        key="equity",
        title=f"Equity, {currency}, and drawdown from its high",
        summary=(
            f"Equity from {writing.money(values[0])} to {writing.money(values[-1])} {currency}, "
            f"lowest {writing.money(values.min())}, largest drawdown {writing.percent(below.min())}."
        ),
        figure=figure,
        frame=frame,
        columns=(TIME, Column("equity", f"Equity, {currency}", "money"), Column("drawdown", "Drawdown", "percent")),
    )


def _figure(frame: pd.DataFrame, start: float, currency: str) -> go.Figure:
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.72, 0.28], vertical_spacing=0.06)
    line = {"color": ink("text"), "width": 2}
    figure.add_scatter(x=frame.index, y=frame["equity"], name="equity", mode="lines", line=line, row=1, col=1)
    figure.add_scatter(
        x=frame.index,
        y=frame["drawdown"],
        name="drawdown",
        mode="lines",
        line={"color": ink("loss"), "width": 1},
        fill="tozeroy",
        fillcolor=ink("water"),
        row=2,
        col=1,
    )
    figure.add_hline(y=start, line={"color": ink("muted"), "width": 1, "dash": "dash"}, row=1, col=1)
    dressed(figure, height=360)
    figure.update_yaxes(title_text=currency, row=1, col=1)
    figure.update_yaxes(tickformat=".1%", rangemode="tozero", nticks=4, row=2, col=1)
    figure.update_xaxes(title_text="UTC", row=2, col=1)
    return figure


def _shade(figure: go.Figure, begin: datetime, end: datetime) -> None:
    """Mark the time that models were fitted on."""
    figure.add_vrect(x0=begin, x1=end, fillcolor=ink("sunken"), line_width=0, layer="below")
    figure.add_annotation(note("in-sample", x=begin, y=1, yref="paper", xanchor="left", yanchor="bottom"))
