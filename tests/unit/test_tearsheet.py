"""Tear sheets: the numbers on them add up, and the file needs nothing but itself."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from strategies import reporting
from strategies.research import tearsheet_tables
from strategies.research.charts.tables import Table
from strategies.research.costs import COST_KINDS
from strategies.research.permutation import permutation_test
from strategies.research.simulation import LossRules, SimulationPlan, days_of, simulate
from strategies.research.tearsheet import Section, TearSheet, tear_sheet
from tests.tearsheet_builders import make_equity, make_subject

pytestmark = pytest.mark.slow

RULES = LossRules(daily_loss=0.03, max_loss=0.06, target=0.05)


def number(text: str) -> Decimal:
    """Return an amount as it is written."""
    return Decimal(text.replace("\u202f", "").replace("−", "-"))


def section(sheet: TearSheet, key: str) -> Section:
    [found] = [one for one in sheet.sections if one.key == key]
    return found


def amounts(table: Table, column: str) -> list[Decimal]:
    return [number(row[table.head.index(column)].text) for row in table.rows]


def figure(table: Table, label: str, column: str = "All") -> str:
    [row] = [row for row in table.rows if row[0].text.startswith(label)]
    return row[table.head.index(column)].text


# What the sheet says


def test_every_decomposition_adds_up_to_its_total_and_all_totals_are_the_change_of_equity():
    subject = make_subject()
    _, *parts = section(tear_sheet(subject), "earned").tables
    earned = Decimal(str(round(subject.equity.iloc[-1] - subject.equity.iloc[0], 2)))
    assert [part.head[0] for part in parts] == ["Symbol", "Strategy", "Model", "Side", "Weekday, UTC", "Hour, UTC"]
    for part in parts:
        for place, column in enumerate(part.head[1:], start=1):
            assert sum(amounts(part, column)) == number(part.foot[place].text), (part.caption, column)
        gross, costs, net = (number(part.foot[part.head.index(name)].text) for name in ("Gross", "Costs", "Net"))
        assert gross - costs == net == earned


def test_the_costs_by_kind_lead_from_gross_to_net():
    sheet = tear_sheet(make_subject())
    steps, *parts = section(sheet, "earned").tables
    assert [row[0].text for row in steps.rows] == ["Gross, before costs", *(kind.capitalize() for kind in COST_KINDS)]
    net = number(steps.foot[1].text)
    assert sum(amounts(steps, "Amount, USD")) == net
    assert net == number(parts[0].foot[-1].text)
    assert number(dict(sheet.headlines)["Net of all costs"].text) == net


def test_without_a_ledger_the_stored_costs_add_up_to_the_cent_all_the_same():
    costs = {"spread": 0.336, "slippage": 0.336, "commission": 0.328, "swap": -1.005}
    equity = make_equity(n=200)
    sheet = tear_sheet(make_subject(equity=equity, costs=costs, decompositions=()))
    [steps] = section(sheet, "earned").tables
    assert sum(amounts(steps, "Amount, USD")) == number(steps.foot[1].text)
    assert float(number(steps.foot[1].text)) == pytest.approx(equity.iloc[-1] - equity.iloc[0])
    assert sum(amounts(steps, "Amount, USD")[1:5]) == Decimal("0.00")  # 1.00 of three thirds, and the swap earned 1.00


def test_a_kind_of_cost_that_nothing_was_paid_of_has_no_column():
    _, by_symbol, *_ = section(tear_sheet(make_subject()), "earned").tables
    assert by_symbol.head == ("Symbol", "Gross", "Spread", "Slippage", "Commission", "Swap", "Costs", "Net")


def test_the_samples_stand_side_by_side_and_say_how_they_are_annualised():
    subject = make_subject()
    table, _ = section(tear_sheet(subject), "figures").tables
    assert table.head == ("Figure", "In-sample", "Out-of-sample", "All")
    for label in ("CAGR", "Volatility", "Sharpe ratio", "Sortino ratio", "Calmar ratio"):
        assert figure(table, f"{label}, a year of 365 days")
    for column, metrics in (
        ("In-sample", subject.samples["in_sample"]),
        ("Out-of-sample", subject.samples["out_of_sample"]),
        ("All", subject.metrics),
    ):
        assert figure(table, "Sharpe ratio", column) == f"{metrics['sharpe']:.2f}".replace("-", "−")


def test_a_figure_that_is_not_there_or_not_a_number_is_a_dash():
    subject = make_subject()
    metrics = {**subject.metrics, "sortino": None, "calmar": float("nan"), "tail_ratio": float("inf")}
    table, _ = section(tear_sheet(make_subject(metrics=metrics)), "figures").tables
    for label in ("Sortino", "Calmar", "Tail ratio", "Mean exposure"):
        assert figure(table, label) == "—", label
    assert figure(table, "Fills") == "1\u202f234"


def test_the_worst_drawdowns_are_listed_as_they_were_measured():
    subject = make_subject()
    _, table = section(tear_sheet(subject), "figures").tables
    measured = subject.metrics["worst_drawdowns"]
    assert len(table.rows) == len(measured)
    worst = measured[0]
    cells = [cell.text for cell in table.rows[0]]
    assert cells[1] == f"−{abs(worst['depth']) * 100:.2f}\u00a0%"
    assert cells[2] == worst["start"][:16].replace("T", " ")
    assert cells[4] == (worst["end"][:16].replace("T", " ") if worst["end"] else "—")


def test_the_hour_that_ends_with_a_month_belongs_to_it():
    index = pd.date_range("2025-01-31 22:00", periods=4, freq="h", tz="UTC")
    equity = pd.Series([100.0, 100.0, 110.0, 121.0], index=index)
    [*_, months] = section(tear_sheet(make_subject(equity=equity)), "course").charts
    assert months.key == "months"
    assert months.frame.loc[2025, [1, 2]].tolist() == pytest.approx([0.1, 0.1])


def test_trials_and_luck_are_said():
    words = " ".join(section(tear_sheet(make_subject()), "trials").words)
    assert words.startswith("3 different configurations had been tried")
    assert "25.0\u00a0%" in words
    assert "is — " in " ".join(section(tear_sheet(make_subject(luck=None)), "trials").words)


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        ({"split_at": None, "in_sample": None, "out_of_sample": {"n_bars": 5}}, "all of it is out-of-sample"),
        ({"split_at": "2025-01-20T00:00:00+00:00", "in_sample": {"n_bars": 5}, "out_of_sample": None}, "flatters"),
        (
            {"split_at": "2025-01-20T00:00:00+00:00", "in_sample": {"n_bars": 30}, "out_of_sample": {"n_bars": 10}},
            "until 2025-01-20 00:00 UTC: only the 25\u00a0% of the time after it",
        ),
    ],
)
def test_it_is_said_what_is_in_sample(samples, words):
    [said] = section(tear_sheet(make_subject(samples=samples)), "figures").words
    assert words in said


def test_a_demo_is_marked_on_every_chart_and_first_in_the_notes():
    sheet = tear_sheet(make_subject())
    assert sheet.notes[0].startswith("Demo data")
    drawn = [chart for part in sheet.sections for chart in part.charts]
    assert all(any(note.text == "DEMO DATA" for note in chart.figure.layout.annotations) for chart in drawn)
    live = tear_sheet(make_subject(mode="live"))
    assert not any("Demo" in note for note in live.notes)
    assert "DEMO DATA" not in "".join(chart.figure.to_json() for part in live.sections for chart in part.charts)


def test_the_configuration_is_listed_with_its_hash():
    made_of = section(
        tear_sheet(make_subject(config={"a": {"b": [1, 2], "c": None}, "n": 5, "m": [{"x": {}, "y": 1}, {}]})),
        "made-of",
    )
    assert {row[0].text: row[1].text for row in made_of.tables[0].rows} == {
        **{"a.b": "1, 2", "a.c": "—", "n": "5"},
        **{"m.0": "x —, y 1", "m.1": "—"},
    }
    assert "0f" * 32 in made_of.words[0]


def test_chances_are_those_of_the_simulation():
    returns = make_equity(n=300).pct_change().iloc[1:]
    days = days_of(pd.date_range("2025-03-01", periods=240, freq="h", tz="UTC"))
    found = simulate(returns, days, SimulationPlan(n_paths=100, rules=LossRules(daily_loss=None, target=0.02)))
    table = tearsheet_tables.chances_table(found)
    shares = {row[0].text: row[2].text for row in table.rows}
    assert "Daily loss limit met" not in shares
    assert shares["Target reached at all"] == f"{found.target.value * 100:.2f}\u00a0%"
    assert shares["Largest loss met"] == f"{found.max_loss.value * 100:.2f}\u00a0%"


# The file


@pytest.fixture(scope="module")
def row() -> SimpleNamespace:
    return SimpleNamespace(pk=7)


@pytest.fixture(scope="module")
def html(row) -> str:
    """Return a whole sheet, with a name that would be markup."""
    returns = make_equity().pct_change().iloc[1:]
    held = np.sign(np.random.default_rng(5).standard_normal(len(returns)))
    days = days_of(pd.date_range("2025-03-01", periods=240, freq="h", tz="UTC"))
    subject = make_subject(
        notes=("</script><script>alert(1)</script> & co",),
        weights=pd.DataFrame({"BTCUSD": 0.1, "ETHUSD": -0.2}, index=make_equity().index),
        permutation=permutation_test(held, returns, n_resamples=50),
        simulation=simulate(returns, days, SimulationPlan(n_paths=50, rules=RULES)),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reporting, "subject_of", lambda row, rules: subject)
        patch.setattr(reporting.clock, "wall_now", lambda: datetime(2026, 1, 2, 3, 4, tzinfo=UTC))
        return reporting.render_report(row, rules=RULES)


@pytest.fixture(scope="module")
def page(html) -> BeautifulSoup:
    return BeautifulSoup(without_the_library(html), "html.parser")


def without_the_library(html: str) -> str:
    """Return a sheet without plotly.js, which is full of addresses that it never asks for."""
    [library] = [text for text in re.findall(r"<script>(.*?)</script>", html, re.DOTALL) if len(text) > 1_000_000]
    return html.replace(library, "")


def test_nothing_is_fetched_from_anywhere(html):
    own = without_the_library(html)
    addresses = re.findall(r"""(?:src|href|action|poster|data)\s*=\s*["']?([^"'\s>]+)""", own)
    addresses += re.findall(r"url\(([^)]*)\)", own) + re.findall(r"@import\s+(\S+)", own)
    assert addresses
    assert [address[:60] for address in addresses if not address.startswith(("data:", "#"))] == []
    assert not re.search(r"https?:|wss?:", own)


def test_the_page_itself_forbids_to_fetch_anything(page):
    policy = page.find("meta", attrs={"http-equiv": "Content-Security-Policy"})["content"]
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy


def test_plotly_is_there_once_and_whole(html):
    from plotly.offline import get_plotlyjs

    assert html.count(get_plotlyjs()) == 1
    assert html.count("plotly.js v") == 1


def test_what_a_person_wrote_is_text(html):
    assert "<script>alert" not in html
    assert "&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt; &amp; co" in html


def test_every_chart_has_a_name_a_sentence_and_its_table(page):
    figures = page.find_all("figure")
    assert [one.find(class_="plot")["data-chart"] for one in figures] == [
        "equity",
        "rolling-sharpe",
        "months",
        "weights",
        "permutation",
        "fan",
    ]
    for one in figures:
        assert page.find(id=one["aria-labelledby"]).text
        assert page.find(id=one["aria-describedby"]).text
        assert one.find(attrs={"role": "img"})["aria-label"]
        assert one.details.summary.text == "View as table"
        assert one.details.table.caption.text
        assert len(one.details.table.tbody.find_all("tr")) >= 1


def test_tables_have_captions_and_heading_cells(page):
    for table in page.find_all("table"):
        assert table.caption.text
        assert all(cell.get("scope") == "col" for cell in table.thead.find_all("th"))
        for line in table.tbody.find_all("tr"):
            assert line.th["scope"] == "row"
            assert len(line.find_all(["th", "td"])) == len(table.thead.find_all(["th", "td"]))


def test_the_chart_in_the_file_is_the_table_in_the_file(page):
    figure = json.loads(page.find(id="equity-data").string)
    packed = figure["data"][0]["y"]
    values = np.frombuffer(base64.b64decode(packed["bdata"]), dtype=packed["dtype"])
    rows = page.find("figure").details.table.tbody.find_all("tr")
    assert [number(line.find_all("td")[0].text) for line in rows] == [Decimal(f"{value:.2f}") for value in values]
    np.testing.assert_array_equal(values, make_equity())


def test_the_csv_in_the_file_is_the_chart(page):
    link = page.find("figure").find("a", string=re.compile("CSV")) or page.find("figure").find("a")
    assert link["download"] == "backtest-7-demo-equity.csv"
    _, _, packed = link["href"].partition("base64,")
    lines = base64.b64decode(packed).decode().splitlines()
    assert lines[0] == "at,equity,drawdown"
    assert [float(line.split(",")[1]) for line in lines[1:]] == make_equity().tolist()


def test_ids_are_given_once(page):
    ids = [one["id"] for one in page.find_all(id=True)]
    assert len(ids) == len(set(ids))


def test_the_sheet_prints_on_a4_in_light_colours(page):
    styles = "".join(style.text for style in page.find_all("style"))
    assert "@page { size: A4" in styles
    assert re.search(r"@media print \{ :root, :root\[data-theme\] \{ color-scheme: light", styles)
    assert "break-inside: avoid" in styles
    assert "beforeprint" in page.find_all("script")[-1].text


def test_the_page_never_says_nan_or_none(page):
    hidden = {id(text) for one in page.find_all(["script", "style"]) for text in one.strings}
    said = " ".join(text for text in page.find_all(string=True) if id(text) not in hidden)
    assert not re.search(r"\b(nan|NaN|None|inf|undefined)\b", said)


def test_the_same_result_gives_the_same_sheet(html, row, monkeypatch):
    monkeypatch.setattr(reporting.clock, "wall_now", lambda: datetime(2026, 1, 2, 3, 4, tzinfo=UTC))
    monkeypatch.setattr(reporting, "subject_of", lambda row, rules: make_subject())
    first, again = (reporting.render_report(row, rules=RULES) for _ in range(2))
    assert first == again
    assert "Written 2026-01-02 03:04." in first


def test_a_file_that_cannot_be_written_is_one_line(row, tmp_path, monkeypatch):
    monkeypatch.setattr(reporting, "subject_of", lambda row, rules: make_subject())
    (tmp_path / "file").write_text("")
    with pytest.raises(reporting.ReportError, match=r"file/sheet.html cannot be written: \w"):
        reporting.write_report(row, tmp_path / "file" / "sheet.html", rules=RULES)
    path = reporting.write_report(row, tmp_path / "made" / "sheet.html", rules=RULES)
    assert path.stat().st_size > 4_000_000
