"""Whether what is said to be 60 % likely happens 60 % of the time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from strategies.estimators.parameters import Whole, check_parameters
from strategies.kernels.jit import Floats
from strategies.research.charts import writing
from strategies.research.charts.chart import Chart, ChartError, dressed
from strategies.research.charts.palette import ink, series
from strategies.research.charts.tables import Column

N_BINS = 10
Z_95 = 1.959963984540054


def calibration_chart(probabilities: npt.ArrayLike, outcomes: npt.ArrayLike, *, n_bins: int = N_BINS) -> Chart:
    """Return how often what was predicted happened, by the probability that it was given.

    Parameters
    ----------
    probabilities : array-like of shape (n,)
        0 to 1.
    outcomes : array-like of shape (n,)
        Whether it happened: 0 or 1.
    n_bins : int, default=10
        Of equal width. One without a prediction is left out.

    Raises
    ------
    ChartError
        If the two are not that, or empty.
    ParameterError
        If ``n_bins`` is not a whole number of at least 1.
    """
    check_parameters("calibration", {"n_bins": Whole(1)}, {"n_bins": n_bins})
    said, happened = _checked(probabilities, outcomes)
    frame = calibration_table(said, happened, n_bins)
    brier = float(np.mean((said - happened) ** 2))
    return Chart(
        key="calibration",
        title="Calibration: how often it happened, by the probability that was said",
        summary=(
            f"{said.size} predictions, {writing.percent(float(happened.mean()), 1)} of which happened where "
            f"{writing.percent(float(said.mean()), 1)} was said on average; Brier score {writing.fine(brier)}."
        ),
        figure=_figure(frame),
        frame=frame,
        columns=(
            Column("low", "From", "ratio"),
            Column("high", "To", "ratio"),
            Column("count", "Predictions", "count"),
            Column("said", "Said, mean", "percent"),
            Column("happened", "Happened", "percent"),
            Column("least", "95 % from", "percent"),
            Column("most", "95 % to", "percent"),
        ),
    )


def calibration_table(said: Floats, happened: Floats, n_bins: int) -> pd.DataFrame:
    """Return each bin's count, mean probability, share that happened, and Wilson's 95 % interval of that share."""
    places = np.minimum((said * n_bins).astype(np.int64), n_bins - 1)
    counts = np.bincount(places, minlength=n_bins)
    filled = np.flatnonzero(counts)
    n = counts[filled]
    share = np.bincount(places, weights=happened, minlength=n_bins)[filled] / n
    centre = (share + Z_95**2 / (2 * n)) / (1 + Z_95**2 / n)
    reach = Z_95 / (1 + Z_95**2 / n) * np.sqrt(share * (1 - share) / n + Z_95**2 / (4 * n**2))
    columns = {
        "high": (filled + 1) / n_bins,
        "count": n,
        "said": np.bincount(places, weights=said, minlength=n_bins)[filled] / n,
        "happened": share,
        "least": np.minimum(centre - reach, share),
        "most": np.maximum(centre + reach, share),
    }
    return pd.DataFrame(columns, index=pd.Index(filled / n_bins, name="low"))


def _checked(probabilities: npt.ArrayLike, outcomes: npt.ArrayLike) -> tuple[Floats, Floats]:
    said, happened = (np.array(values, dtype=np.float64) for values in (probabilities, outcomes))
    if said.ndim != 1 or said.shape != happened.shape or not said.size:
        raise ChartError(f"probabilities and outcomes must be one a prediction, had {said.shape} and {happened.shape}")
    if not ((said >= 0) & (said <= 1)).all():
        raise ChartError("probabilities must lie from 0 to 1")
    if not np.isin(happened, (0.0, 1.0)).all():
        raise ChartError("outcomes must be 0 or 1")
    return said, happened


def _figure(frame: pd.DataFrame) -> go.Figure:
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.76, 0.24], vertical_spacing=0.05)
    line = {"color": ink("muted"), "width": 1, "dash": "dash"}
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line=line, hoverinfo="skip", row=1, col=1)
    figure.add_scatter(
        x=frame["said"],
        y=frame["happened"],
        name="happened",
        mode="lines+markers",
        line={"color": series(0), "width": 1.5},
        marker={"size": 7},
        error_y={
            "array": frame["most"] - frame["happened"],
            "arrayminus": frame["happened"] - frame["least"],
            "color": series(0),
            "thickness": 1,
        },
        row=1,
        col=1,
    )
    width = (frame["high"] - frame.index.to_numpy()) * 0.9
    middle = (frame["high"] + frame.index.to_numpy()) / 2
    figure.add_bar(x=middle, y=frame["count"], width=width, name="predictions", marker_color=ink("bars"), row=2, col=1)
    dressed(figure, height=380, hover="closest")
    figure.update_yaxes(title_text="happened", tickformat=".0%", range=[-0.02, 1.02], row=1, col=1)
    figure.update_yaxes(title_text="count", rangemode="tozero", nticks=3, row=2, col=1)
    figure.update_xaxes(range=[0, 1], tickformat=".0%")
    figure.update_xaxes(title_text="probability that was said", row=2, col=1)
    return figure
