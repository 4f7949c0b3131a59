"""What every calendar month returned, as a table that is coloured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from strategies.research.charts import writing
from strategies.research.charts.chart import Chart, dressed
from strategies.research.charts.palette import ink
from strategies.research.charts.tables import Column
from strategies.research.returns import MONTHS, Month, monthly_table

NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
COLUMNS = (*range(1, MONTHS + 1), "year")
NARROW = {"ticks": [*(name[0] for name in NAMES), "Σ"], "font": 8}  # what a page writes where cells are narrow
SHORT = 0.0995  # from here on a cell has no room for a decimal


def monthly_chart(months: Sequence[Month]) -> Chart:
    """Return the months' returns, a row a year; the year's own stands at the end and has no colour."""
    frame = monthly_table(tuple(months))
    labels = [*NAMES, "Year"]
    return Chart(
        key="months",
        title="Monthly returns, per cent of the equity at each month's beginning",
        summary=_summary(months),
        figure=_figure(frame, labels),
        frame=frame,
        columns=(
            Column("year_of", "Year", "text"),
            *(Column(name, label, "gain") for name, label in zip(COLUMNS, labels, strict=True)),
        ),
    )


def _figure(frame: pd.DataFrame, labels: list[str]) -> go.Figure:
    values = frame[list(COLUMNS)].to_numpy(dtype=np.float64)
    shown = values.copy()
    shown[:, -1] = np.nan  # a year is larger than its months and would take their colours
    reach = float(np.nanmax(np.abs(shown))) if np.isfinite(shown).any() else 1.0
    across, down = list(range(len(labels))), list(range(len(frame)))
    figure = go.Figure(
        go.Heatmap(
            z=shown,
            x=across,
            y=down,
            colorscale=[[0.0, ink("heat-low")], [0.5, ink("heat-none")], [1.0, ink("heat-high")]],
            zmin=-(reach or 1.0),
            zmax=reach or 1.0,
            showscale=False,
            xgap=2,
            ygap=2,
            hoverinfo="skip",
        )
    )
    for row in down:
        for column in across:
            text = _short(float(values[row, column]))
            font = {"size": 11, "color": ink("text")}
            figure.add_annotation(text=text, x=column, y=row, showarrow=False, font=font)
    dressed(figure, height=76 + 34 * max(len(frame), 1), hover="closest")
    ends = {"showgrid": False, "zeroline": False, "fixedrange": True}
    figure.update_xaxes(side="top", tickvals=across, ticktext=labels, **ends)
    figure.update_yaxes(autorange="reversed", tickvals=down, ticktext=[str(year) for year in frame.index], **ends)
    figure.update_layout(margin={"l": 44, "r": 4, "t": 28, "b": 8}, meta=NARROW)
    return figure


def _short(value: float) -> str:
    """Return a return in per cent as short as a cell on a phone is wide; nothing for a month without a bar."""
    if not np.isfinite(value):
        return ""
    return writing.written(value * 100, 0 if abs(value) >= SHORT else 1, plus=True)


def _summary(months: Sequence[Month]) -> str:
    if not months:
        return "There is no month yet."
    best, worst = max(months, key=lambda month: month.value), min(months, key=lambda month: month.value)
    n_up = sum(month.value > 0 for month in months)
    return (
        f"{n_up} of {len(months)} months earned something; the best was {NAMES[best.month - 1]} {best.year} with "
        f"{writing.gain(best.value)}, the worst {NAMES[worst.month - 1]} {worst.year} with {writing.gain(worst.value)}."
    )
