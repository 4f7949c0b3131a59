"""Where the Sharpe ratio that happened lies among those of other orders of the same returns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from strategies.research.charts import writing
from strategies.research.charts.chart import Chart, dressed, note
from strategies.research.charts.palette import ink
from strategies.research.charts.tables import Column
from strategies.research.permutation import PermutationTest

N_BINS = 40


def permutation_chart(test: PermutationTest, *, n_bins: int = N_BINS) -> Chart:
    """Return the histogram of the resampled Sharpe ratios with a line at the real one."""
    known = test.resampled[np.isfinite(test.resampled)]
    counts, edges = np.histogram(known, bins=n_bins) if known.size else (np.zeros(0, dtype=np.int64), np.zeros(1))
    frame = pd.DataFrame({"high": edges[1:], "count": counts}, index=pd.Index(edges[:-1], name="low"))
    lost = test.resampled.size - known.size
    return Chart(
        key="permutation",
        title=f"Sharpe ratios, a year and before costs, of {test.n_resamples} other orders of the same returns",
        summary=(
            f"The real one is {writing.ratio(test.sharpe)}; p = {writing.written(test.p_value, 4)} that chance does at "
            f"least as well, by blocks of {test.block_length} bars."
            + (f" In {lost} orders nothing varied, and they are not drawn." if lost else "")
        ),
        figure=_figure(frame, test.sharpe),
        frame=frame,
        columns=(Column("low", "From", "fine"), Column("high", "To", "fine"), Column("count", "Orders", "count")),
    )


def _figure(frame: pd.DataFrame, sharpe: float) -> go.Figure:
    low, high = frame.index.to_numpy(dtype=np.float64), frame["high"].to_numpy(dtype=np.float64)
    figure = go.Figure(
        go.Bar(
            x=(low + high) / 2,
            y=frame["count"],
            width=high - low,
            marker={"color": ink("bars"), "line": {"width": 0}},
            customdata=np.column_stack([low, high]),
            hovertemplate="%{customdata[0]:.2f} to %{customdata[1]:.2f}: %{y} orders<extra></extra>",
        )
    )
    dressed(figure, height=280, hover="closest")
    figure.update_xaxes(title_text="Sharpe ratio", zeroline=False)
    figure.update_yaxes(title_text="orders", rangemode="tozero")
    figure.update_layout(bargap=0, margin={"t": 32})
    if np.isfinite(sharpe):
        figure.add_vline(x=sharpe, line={"color": ink("text"), "width": 2})
        words = f"this one: {writing.ratio(sharpe)}"
        figure.add_annotation(note(words, x=sharpe, y=1, yref="paper", yanchor="bottom"))
    return figure
