"""The fan of what could have happened: quantiles of the simulated equity, with the lines that must not be crossed."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from strategies.research.charts import writing
from strategies.research.charts.chart import Chart, dressed, note
from strategies.research.charts.palette import ink, series
from strategies.research.charts.tables import Column
from strategies.research.simulation import FAN_QUANTILES, LossRules, Simulation

BARS_PER_DAY = 24


def fan_chart(simulation: Simulation, *, bars_per_day: float = BARS_PER_DAY) -> Chart:
    """Return quantiles of the equity along resampled returns, in units of the starting capital, by days passed."""
    fan = simulation.fan(FAN_QUANTILES)
    names = [f"q{round(100 * quantile):02d}" for quantile in FAN_QUANTILES]
    index = pd.Index(fan.index.to_numpy() / bars_per_day, name="days")
    frame = pd.DataFrame(fan.to_numpy(), index=index, columns=names)
    n_paths, days = len(simulation.paths), simulation.horizon / bars_per_day
    return Chart(
        key="fan",
        title=f"{n_paths} simulated paths of {days:.3g} days, in units of the starting capital",
        summary=(
            f"After {days:.3g} days half of {n_paths} paths are between {writing.ratio(frame['q25'].iloc[-1])} and "
            f"{writing.ratio(frame['q75'].iloc[-1])} of the starting capital. {_chances(simulation)}"
        ),
        figure=_figure(frame, simulation.rules),
        frame=frame,
        columns=(
            Column("days", "Days", "ratio"),
            *(Column(name, f"{100 * q:.0f} % quantile", "fine") for name, q in zip(names, FAN_QUANTILES, strict=True)),
        ),
    )


def _figure(frame: pd.DataFrame, rules: LossRules) -> go.Figure:
    figure = go.Figure()
    for low, high, shade in (("q05", "q95", "wide"), ("q25", "q75", "narrow")):
        figure.add_scatter(x=frame.index, y=frame[high], name=high, mode="lines", line={"width": 0})
        figure.add_scatter(
            x=frame.index,
            y=frame[low],
            name=low,
            mode="lines",
            line={"width": 0},
            fill="tonexty",
            fillcolor=ink(shade),
        )
    line = {"color": series(0), "width": 2}
    figure.add_scatter(x=frame.index, y=frame["q50"], name="median", mode="lines", line=line)
    dressed(figure, height=320, right=92)
    for level, words, colour in _levels(rules):
        figure.add_hline(y=level, line={"color": ink(colour), "width": 1.5, "dash": "dash"})
        label = note(words, x=1.01, y=level, xref="paper", xanchor="left")
        figure.add_annotation(label | {"font": {"size": 11, "color": ink(colour)}})
    figure.update_xaxes(title_text="days", rangemode="tozero")
    figure.update_yaxes(title_text="of the start", tickformat=".2f")
    return figure


def _levels(rules: LossRules) -> list[tuple[float, str, str]]:
    """Return the lines that stay where they are; the daily limit and a trailing one move with the path."""
    levels = []
    if rules.max_loss is not None and not rules.is_trailing:
        levels.append((1 - rules.max_loss, "largest loss", "crit"))
    if rules.target is not None:
        levels.append((1 + rules.target, "target", "ok"))
    return levels


def _chances(simulation: Simulation) -> str:
    """Return the chances that the rules are about, as a sentence."""
    rules = simulation.rules
    largest = simulation.trailing_loss if rules.is_trailing else simulation.max_loss
    parts = [
        f"{name} {writing.percent(chance.value, 1)}"
        for name, limit, chance in (
            ("the daily limit", rules.daily_loss, simulation.daily_loss),
            ("the largest loss", rules.max_loss, largest),
            ("the target", rules.target, simulation.target),
        )
        if limit is not None
    ]
    return f"Chances to meet: {', '.join(parts)}." if parts else ""
