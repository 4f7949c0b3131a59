"""What one strategy's position is made of: price, score, tilt, decay, and the position that comes of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from strategies.research.charts import writing
from strategies.research.charts.chart import TIME, Chart, ChartError, dressed
from strategies.research.charts.palette import ink, series
from strategies.research.charts.tables import Column
from strategies.research.charts.thinning import thinned

PARTS = ("s", "tilt", "decay", "pos")  # of BaseStrategy.signal
NAMES = {"close": "close", "s": "score s", "tilt": "tilt", "decay": "decay", "pos": "position"}
HEIGHTS = (0.32, 0.17, 0.17, 0.17, 0.17)


def anatomy_chart(close: pd.Series, signal: pd.DataFrame, *, strategy: str) -> Chart:
    """Return a strategy's signal under the price it was made from.

    Parameters
    ----------
    close : Series of shape (n_bars,)
        Quote currency.
    signal : DataFrame of shape (n_bars, n_columns)
        From ``BaseStrategy.signal`` on the same bars; NaN while warming up is a gap.
    strategy : str
        What it is called.

    Raises
    ------
    ChartError
        If the two are not of the same bars, or there is none.
    """
    if not len(close) or not close.index.equals(signal.index):
        raise ChartError(f"close and signal must be of the same bars, were of {len(close)} and {len(signal)}")
    whole = pd.concat([close.rename("close"), signal[list(PARTS)]], axis=1).astype(np.float64)
    frame = thinned(whole)
    held = float((whole["pos"] != 0).mean())
    return Chart(
        key="anatomy",
        title=f"Anatomy of {strategy}",
        summary=(
            f"{strategy} held a position on {writing.percent(held, 0)} of {len(whole)} bars, "
            f"between {writing.fine(whole['pos'].min())} and {writing.fine(whole['pos'].max())} of capital."
        ),
        figure=_figure(frame),
        frame=frame,
        columns=(
            TIME,
            Column("close", "Close", "money"),
            Column("s", "Score s", "fine"),
            Column("tilt", "Tilt", "fine"),
            Column("decay", "Decay", "fine"),
            Column("pos", "Position, of capital", "fine"),
        ),
    )


def _figure(frame: pd.DataFrame) -> go.Figure:
    figure = make_subplots(
        rows=len(HEIGHTS), cols=1, shared_xaxes=True, row_heights=list(HEIGHTS), vertical_spacing=0.03
    )
    for row, name in enumerate(frame.columns, start=1):
        line = {"color": ink("text") if name == "close" else series(0), "width": 1.3}
        if name == "pos":
            line |= {"shape": "hv"}
        figure.add_scatter(x=frame.index, y=frame[name], name=NAMES[str(name)], mode="lines", line=line, row=row, col=1)
    dressed(figure, height=620)
    for row, name in enumerate(frame.columns, start=1):
        figure.update_yaxes(title_text=NAMES[str(name)], nticks=4, row=row, col=1)
    figure.update_yaxes(tickformat=".0%", row=len(HEIGHTS), col=1)
    figure.update_xaxes(title_text="UTC", row=len(HEIGHTS), col=1)
    return figure
