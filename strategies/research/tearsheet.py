"""The content of a tear sheet: charts, tables and words about one result, in the order in which they are read.

A page that shows it needs nothing else: no network, and no server.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from strategies.research import charts, tearsheet_tables
from strategies.research.charts import Chart, writing
from strategies.research.charts.chart import note
from strategies.research.charts.tables import Cell, Table, cell_of
from strategies.research.permutation import PermutationTest
from strategies.research.pnl import Decomposition, PnlRow
from strategies.research.returns import monthly_returns
from strategies.research.simulation import Simulation

HEADLINES = ("total_return", "cagr", "sharpe", "max_drawdown", "volatility")
WATERMARK_SIZE = 40  # px
FEWEST_WINDOWS = 4  # that a rolling figure has to fit in
WINDOWS = (90 * 24, 30 * 24, 7 * 24, 24)  # hours


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Subject:
    """What a tear sheet is about.

    Attributes
    ----------
    name, subtitle : str
    mode : str
        demo, paper or live: whose data it was made with.
    equity : Series of shape (n_steps + 1,)
        Account currency, by the time at which it was that; the first is the start.
    metrics : mapping
        As ``Metrics.as_data``; None where a figure is undefined.
    samples : mapping
        ``split_at``, and the metrics ``in_sample`` and ``out_of_sample``, None of no step.
    costs : mapping of str to float
        By kind, positive where paid.
    decompositions : sequence of Decomposition
        With the same total; empty where there is no ledger.
    weights : DataFrame, PermutationTest, Simulation or None
        None where there is none; ``notes`` says why.
    """

    name: str
    subtitle: str
    mode: str
    currency: str
    equity: pd.Series
    metrics: Mapping[str, Any]
    samples: Mapping[str, Any]
    costs: Mapping[str, float]
    n_trials: int
    luck: float | None
    config: Mapping[str, Any]
    config_hash: str
    facts: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()
    decompositions: Sequence[Decomposition] = ()
    weights: pd.DataFrame | None = None
    permutation: PermutationTest | None = None
    simulation: Simulation | None = None

    @property
    def start(self) -> float:
        """The equity at the beginning."""
        return float(self.equity.iloc[0])

    @property
    def split_at(self) -> datetime | None:
        """When the time ended that models were fitted on."""
        text = self.samples.get("split_at")
        return datetime.fromisoformat(text) if text else None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Section:
    """A part of a sheet under a heading of its own."""

    key: str
    title: str
    words: tuple[str, ...] = ()
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    is_new_page: bool = False  # in print


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TearSheet:
    """All that a sheet shows."""

    subject: Subject
    headlines: tuple[tuple[str, Cell], ...]
    notes: tuple[str, ...]
    sections: tuple[Section, ...]


def tear_sheet(subject: Subject) -> TearSheet:
    """Return the sheet of a subject."""
    sections = (_course, _figures, _earned, _trials, _future, _made_of)
    return TearSheet(
        subject=subject,
        headlines=tuple(_headlines(subject)),
        notes=tuple(_notes(subject)),
        sections=tuple(section(subject) for section in sections),
    )


def total_of(subject: Subject) -> PnlRow:
    """Return gross, costs and net in whole cents: of the ledger where there is one, else of the stored costs."""
    if subject.decompositions:
        return subject.decompositions[0].total
    return tearsheet_tables.booked_total(subject.costs, float(subject.equity.iloc[-1]) - subject.start)


def _headlines(subject: Subject) -> Iterator[tuple[str, Cell]]:
    for name, label, kind in tearsheet_tables.FIGURES:
        if name in HEADLINES:
            yield label, cell_of(subject.metrics.get(name), kind)
    yield "Net of all costs", cell_of(total_of(subject).net, "change")


def _notes(subject: Subject) -> Iterator[str]:
    """Yield what a reader has to know before believing any number."""
    if subject.mode == "demo":
        yield "Demo data: made on a simulated market or a demo state. Nothing here was earned."
    yield (
        "Annual figures are of a year of 365 days of 24 hours, because these markets do not close; sources that "
        "count 252 days show smaller ratios for the same curve."
    )
    yield from subject.notes


def _course(subject: Subject) -> Section:
    returns = _returns(subject.equity)
    window = next((hours for hours in WINDOWS if FEWEST_WINDOWS * hours <= len(returns)), None)
    drawn = [
        charts.equity_chart(subject.equity, currency=subject.currency, fitted_until=subject.split_at),
        charts.rolling_sharpe_chart(returns, window=window) if window else None,
        charts.monthly_chart(monthly_returns(_by_begin(subject.equity))),
        None if subject.weights is None else charts.weights_chart(subject.weights),
    ]
    return Section(key="course", title="Course", charts=_marked(subject, drawn))


def _figures(subject: Subject) -> Section:
    return Section(
        key="figures",
        title="Figures",
        words=(_samples_words(subject),),
        tables=(
            tearsheet_tables.figures_table(subject.metrics, subject.samples),
            tearsheet_tables.drawdowns_table(subject.metrics["worst_drawdowns"]),
        ),
        is_new_page=True,
    )


def _samples_words(subject: Subject) -> str:
    inside, outside = subject.samples.get("in_sample"), subject.samples.get("out_of_sample")
    if inside is None:
        return "Nothing was fitted on a bar that it then traded: all of it is out-of-sample."
    if outside is None:
        return "All of it is in-sample: the models were fitted on these very bars, and any result flatters them."
    share = outside["n_bars"] / (inside["n_bars"] + outside["n_bars"])
    return (
        f"In-sample until {writing.moment(subject.split_at)} UTC: only the {writing.percent(share, 0)} of the time "
        f"after it says how the models do."
    )


def _earned(subject: Subject) -> Section:
    total = tearsheet_tables.costs_table(total_of(subject), currency=subject.currency, start=subject.start)
    parts = [tearsheet_tables.decomposition_table(part, currency=subject.currency) for part in subject.decompositions]
    words = (
        "Every table adds up to the same net, to the cent. Models are paid pro rata of the positions that they wanted, "
        "with their signs: who was against a trade that lost is credited.",
    )
    return Section(
        key="earned",
        title="Who earned it, and what it cost",
        words=words if parts else (),
        tables=(total, *parts),
        is_new_page=True,
    )


def _trials(subject: Subject) -> Section:
    plural = "configuration" if subject.n_trials == 1 else "different configurations"
    words = (
        f"{subject.n_trials} {plural} had been tried on this sample when it was run, this one included. The "
        f"probability that its Sharpe ratio is luck after so many trials is {writing.percent(subject.luck, 1)} "
        f"(1 less the deflated Sharpe ratio of Bailey and López de Prado).",
    )
    drawn = [None if subject.permutation is None else charts.permutation_chart(subject.permutation)]
    return Section(key="trials", title="Trials and luck", words=words, charts=_marked(subject, drawn))


def _future(subject: Subject) -> Section:
    simulation = subject.simulation
    if simulation is None:
        return Section(key="future", title="What could have happened instead", words=("It was not simulated.",))
    return Section(
        key="future",
        title="What could have happened instead",
        words=(
            "Paths of the same hours, drawn again in blocks, after costs. Limits are judged at the closes of bars, so "
            "the chances of loss are understated a little.",
        ),
        charts=_marked(subject, [charts.fan_chart(simulation)]),
        tables=(tearsheet_tables.chances_table(simulation),),
    )


def _made_of(subject: Subject) -> Section:
    return Section(
        key="made-of",
        title="What it was made of",
        words=(f"Hash of the configuration (SHA-256): {subject.config_hash}",),
        tables=(tearsheet_tables.config_table(subject.config),),
    )


def _returns(equity: pd.Series) -> pd.Series:
    """Return each step's change as a fraction of the equity before it; 0 once nothing is left."""
    before = equity.shift(1)
    return ((equity - before) / before).where(before > 0, 0.0).iloc[1:]


def _by_begin(equity: pd.Series) -> pd.Series:
    """Return the same by when each step began: the hour that ends with a month belongs to it."""
    return _returns(equity).set_axis(equity.index[:-1])


def _marked(subject: Subject, drawn: Sequence[Chart | None]) -> tuple[Chart, ...]:
    """Return the charts that there are, with a mark across them where the data is a demo's."""
    known = tuple(chart for chart in drawn if chart is not None)
    for chart in known if subject.mode == "demo" else ():
        place = {"x": 0.5, "y": 0.5, "xref": "paper", "yref": "paper", "opacity": 0.14, "textangle": -12}
        mark = note("DEMO DATA", **place)
        mark["font"] = mark["font"] | {"size": WATERMARK_SIZE}
        chart.figure.add_annotation(mark)
    return known
