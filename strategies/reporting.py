"""A stored backtest as one HTML file that needs nothing else: its tear sheet."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.staticfiles import finders
from django.template.loader import render_to_string

from ops import clock
from ops.errors import DeskError
from strategies.backtest_pnl import pnl_of
from strategies.models import Backtest

if TYPE_CHECKING:
    from strategies.research.charts import Chart
    from strategies.research.charts.tables import Table
    from strategies.research.simulation import LossRules
    from strategies.research.tearsheet import Subject

TEMPLATES = Path(__file__).parent / "templates" / "strategies"
CURRENCY = "USD"  # of every backtest: the simulated terminal's
ENGINES = {
    Backtest.Engine.FAST: "on bars, in one compiled pass: no stops, margin, partial fills or risk rules",
    Backtest.Engine.REPLAY: "by the session's own code, against the simulated terminal",
}
SOURCES = {
    Backtest.Source.ACTIVE: "the models that traded when it was run",
    Backtest.Source.PLAN: "the plan, fitted again and again as time went on",
}


class ReportError(DeskError):
    """A file that a tear sheet cannot be written to."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ShownChart:
    """A chart as the template shows it; ``csv`` is an address that holds the data itself."""

    key: str
    title: str
    summary: str
    height: int
    file: str
    figure: dict[str, Any]
    csv: str
    table: Table

    @property
    def data_id(self) -> str:
        """The id of the element that holds the figure."""
        return f"{self.key}-data"


def subject_of(row: Backtest, *, rules: LossRules) -> Subject:
    """Return what the tear sheet of a backtest is about: the stored row, and what can be worked out of it today.

    Parameters
    ----------
    row : Backtest
    rules : LossRules
        What simulated courses are held against.
    """
    from strategies.research.tearsheet import Subject

    notes = [f"Run {ENGINES[Backtest.Engine(row.engine)]}.", *row.warnings]
    analysed: dict[str, Any] = {}
    try:
        analysed = _analysed(row, rules, notes)
    except DeskError as error:
        notes.append(f"No decomposition, permutation test or simulation: {error}")
    return Subject(
        name=f"Backtest #{row.pk}",
        subtitle=f"{', '.join(row.symbols)}, {row.begin_at:%Y-%m-%d %H:%M} to {row.end_at:%Y-%m-%d %H:%M} UTC",
        mode=settings.TRADING_MODE,
        currency=CURRENCY,
        equity=row.equity(),
        metrics=row.metrics,
        samples=row.samples,
        costs=row.costs,
        n_trials=row.n_trials,
        luck=row.luck,
        config=row.config,
        config_hash=row.config_hash,
        facts=_facts(row),
        notes=notes,
        **analysed,
    )


def render_report(row: Backtest, *, rules: LossRules) -> str:
    """Return a backtest's tear sheet as HTML: one file with all that it needs."""
    from plotly.offline import get_plotlyjs

    from strategies.research.charts.palette import dark_twins
    from strategies.research.tearsheet import tear_sheet

    sheet = tear_sheet(subject_of(row, rules=rules))
    stem = f"backtest-{row.pk}" + ("-demo" if sheet.subject.mode == "demo" else "")
    shown = [(section, [_shown(chart, stem) for chart in section.charts]) for section in sheet.sections]
    context = {
        "sheet": sheet,
        "sections": shown,
        "tokens": _text_of_static("css/tokens.css"),
        "styles": _text_of("tearsheet.css"),
        "script": _text_of("tearsheet.js"),
        "plotly": get_plotlyjs(),
        "twins": dark_twins(),
        "made_at": clock.wall_now(),
    }
    return render_to_string("strategies/tearsheet.html", context)


def write_report(row: Backtest, path: Path, *, rules: LossRules) -> Path:
    """Write a backtest's tear sheet to a file, whose folder is made, and return its absolute path.

    Raises
    ------
    ReportError
        The file cannot be written.
    """
    html = render_report(row, rules=rules)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(html, encoding="utf-8")
    except OSError as error:
        raise ReportError(f"{path} cannot be written: {error.strerror}") from error
    return path.resolve()


def default_path(row: Backtest) -> Path:
    """Return where a tear sheet is written unless somebody says where."""
    return Path(settings.STATE_DIR) / "reports" / f"backtest-{row.pk}.html"


def _analysed(row: Backtest, rules: LossRules, notes: list[str]) -> dict[str, Any]:
    """Return what an analysis adds to a subject; what it has to warn of is added to the notes."""
    from strategies.research.analysis import Question, analyse

    pnl = pnl_of(row)
    analysis = analyse(pnl.facts, Question(rules=rules))
    notes += [*pnl.warnings, *analysis.warnings]
    return {
        "weights": pnl.weights,
        "decompositions": analysis.decompositions,
        "permutation": analysis.permutation,
        "simulation": analysis.simulation,
    }


def _facts(row: Backtest) -> list[tuple[str, str]]:
    return [
        ("Engine", str(row.engine)),
        ("Positions of", SOURCES[Backtest.Source(row.source)]),
        ("Run", f"{row.created_at:%Y-%m-%d %H:%M} UTC by {row.created_by}, {row.seconds:.1f} s"),
        ("Code", row.commit or "unknown"),
        ("Note", row.note or "none"),
    ]


def _shown(chart: Chart, stem: str) -> ShownChart:
    data = base64.b64encode(chart.csv().encode()).decode()
    return ShownChart(
        key=chart.key,
        title=chart.title,
        summary=chart.summary,
        height=int(chart.figure.layout.height),
        file=f"{stem}-{chart.key}",
        figure=json.loads(chart.figure.to_json()),
        csv=f"data:text/csv;charset=utf-8;base64,{data}",
        table=chart.table(),
    )


def _text_of_static(name: str) -> str:
    path = finders.find(name)
    if path is None:
        raise ReportError(f"there is no static file {name}: run from the project's folder")
    return Path(path).read_text()


def _text_of(name: str) -> str:
    return (TEMPLATES / name).read_text()
