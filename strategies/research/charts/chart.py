"""A chart: its figure, the table of the very same data, and a sentence for who sees neither."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from strategies.research.charts.palette import ink
from strategies.research.charts.tables import Column, Table, table_of
from strategies.research.errors import ResearchError

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif'
SEPARATORS = ".\u202f"  # of decimals and of thousands
TIME = Column("at", "Time, UTC", "moment")


class ChartError(ResearchError):
    """Values that cannot be drawn as asked."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Chart:
    """A figure in light colours, and the same data as a table.

    Attributes
    ----------
    key : str
        Names the chart in files and anchors.
    title : str
        What is shown, with its unit or base.
    summary : str
        The finding in a sentence.
    figure : Figure
        Without a title of its own: it stands above it.
    frame : DataFrame
        What the figure draws, in full precision.
    columns : tuple of Column
        How the frame is written, its index first.
    """

    key: str
    title: str
    summary: str
    figure: go.Figure
    frame: pd.DataFrame
    columns: tuple[Column, ...]

    def table(self) -> Table:
        """Return what the figure draws as a table for people."""
        return table_of(self.frame, self.columns, caption=self.title)

    def csv(self) -> str:
        """Return what the figure draws for programs: full precision, times in ISO 8601."""
        stamped = self.frame.rename_axis(self.columns[0].name)
        if isinstance(stamped.index, pd.DatetimeIndex):
            stamped.index = stamped.index.map(lambda at: at.isoformat()).rename(self.columns[0].name)
        text: str = stamped.to_csv(lineterminator="\n")
        return text


def dressed(figure: go.Figure, *, height: int, hover: str = "x unified", right: int = 16) -> go.Figure:
    """Give a figure the site's look: its font and lines, no ground of its own, and a fixed height in pixels."""
    figure.update_layout(
        template=go.layout.Template(),
        height=height,
        font={"family": FONT, "size": 12, "color": ink("text")},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 64, "r": right, "t": 16, "b": 40},
        separators=SEPARATORS,
        hovermode=hover,
        showlegend=False,
        uirevision="kept",
        hoverlabel={"font": {"family": FONT, "size": 12}},
    )
    axis = {
        "gridcolor": ink("line"),
        "linecolor": ink("muted"),
        "zerolinecolor": ink("muted"),
        "zerolinewidth": 1,
        "tickfont": {"color": ink("muted"), "size": 11},
        "title": {"font": {"color": ink("muted"), "size": 11}, "standoff": 6},
        "automargin": True,
        "exponentformat": "none",  # never 1.2k
        "separatethousands": True,
    }
    figure.update_xaxes(axis)
    figure.update_yaxes(axis)
    return figure


def note(text: str, *, x: Any, y: Any, **place: Any) -> dict[str, Any]:
    """Return an annotation without an arrow, in small muted letters."""
    return {"text": text, "x": x, "y": y, "showarrow": False, "font": {"size": 11, "color": ink("muted")}} | place
