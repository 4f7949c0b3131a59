"""What was held over time, as fractions of the equity: lines for up to four symbols, a small chart each for more."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from strategies.research.charts import writing
from strategies.research.charts.chart import TIME, Chart, ChartError, dressed, note
from strategies.research.charts.palette import DASHES, SERIES, ink, series
from strategies.research.charts.tables import Column
from strategies.research.charts.thinning import thinned

MOST_STEPS = 300  # that can be told from a line, and do not break its dashes
LABEL_GAP = 0.08  # between two names at the lines' ends, of the plot's height


def weights_chart(weights: pd.DataFrame) -> Chart:
    """Return the worth of each symbol's position over time.

    Parameters
    ----------
    weights : DataFrame of shape (n_times, n_symbols)
        Signed fractions of the equity; NaN is a gap.

    Raises
    ------
    ChartError
        Without a symbol or a time.
    """
    if weights.empty:
        raise ChartError(f"weights need at least one symbol and one time, had shape {weights.shape}")
    frame = thinned(weights)
    draw = _together if len(weights.columns) <= len(SERIES) else _one_each
    gross = weights.abs().sum(axis=1)
    return Chart(
        key="weights",
        title="Positions over time, fraction of equity",
        summary=(
            f"Long and short together {writing.percent(float(gross.mean()), 0)} of the equity on average, at most "
            f"{writing.percent(float(gross.max()), 0)}; symbols: {', '.join(map(str, weights.columns))}."
        ),
        figure=draw(frame),
        frame=frame,
        columns=(TIME, *(Column(name, str(name), "percent") for name in weights.columns)),
    )


def _together(frame: pd.DataFrame) -> go.Figure:
    figure = go.Figure()
    shape = "hv" if len(frame) <= MOST_STEPS else "linear"
    for place, name in enumerate(frame.columns):
        line = {"color": series(place), "width": 1.5, "dash": DASHES[place], "shape": shape}
        figure.add_scatter(x=frame.index, y=frame[name], name=str(name), mode="lines", line=line)
    dressed(figure, height=300, right=84)
    figure.update_yaxes(tickformat=".0%", rangemode="tozero", title_text="of equity")
    figure.update_xaxes(title_text="UTC")
    for place, (name, height) in enumerate(_label_heights(frame).items()):
        label = note(str(name), x=1.01, y=height, xref="paper", yref="paper", xanchor="left")
        figure.add_annotation(label | {"font": {"size": 11, "color": series(place)}})
    return figure


def _label_heights(frame: pd.DataFrame) -> dict[str, float]:
    """Return where each name stands, in fractions of the plot: at its line's end, moved off its neighbours."""
    values = frame.to_numpy(dtype=np.float64)
    low, high = min(0.0, float(np.nanmin(values))), max(0.0, float(np.nanmax(values)))
    last = frame.ffill().iloc[-1].fillna(0.0)
    heights = ((last - low) / ((high - low) or 1.0)).sort_values()
    placed: dict[str, float] = {}
    lowest = 0.0
    for name, height in heights.items():
        placed[str(name)] = lowest = max(float(height), lowest)
        lowest += LABEL_GAP
    return {str(name): placed[str(name)] for name in frame.columns}


def _one_each(frame: pd.DataFrame) -> go.Figure:
    names = [str(name) for name in frame.columns]
    figure = make_subplots(rows=len(names), cols=1, shared_xaxes=True, vertical_spacing=0.2 / len(names))
    for row, name in enumerate(frame.columns, start=1):
        line = {"color": ink("text"), "width": 1.2, "shape": "hv"}
        figure.add_scatter(x=frame.index, y=frame[name], name=str(name), mode="lines", line=line, row=row, col=1)
    dressed(figure, height=60 + 84 * len(names))
    reach = float(np.nanmax(np.abs(frame.to_numpy(dtype=np.float64)))) or 1.0
    figure.update_yaxes(tickformat=".0%", nticks=3, range=[-1.05 * reach, 1.05 * reach])
    for row, name in enumerate(names, start=1):
        figure.update_yaxes(title_text=name, row=row, col=1)
    figure.update_xaxes(title_text="UTC", row=len(names), col=1)
    return figure
