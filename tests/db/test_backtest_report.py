"""Who earned what in stored backtests, adding up to their equity to the cent, and the tear sheets of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from execution.account_periods import AccountPeriodError, current_live_account, live_period
from execution.models import Account, LimitRow, RebalanceSettings
from execution.pnl_analysis import analyse_backtest, loss_rules
from market.models import Bar
from ops import clock
from ops.clock import SystemClock
from ops.progress import Silent
from strategies.backtest_models import model_positions
from strategies.backtest_pnl import pnl_of, request_of
from strategies.backtesting.fast import SOURCES
from strategies.backtesting.positions import stored_bars
from strategies.models import FittedModel
from strategies.reporting import render_report
from strategies.research.analysis import Question
from strategies.research.pnl import AMOUNTS, DIMENSIONS
from tests.backtest_builders import BEGIN, backtested, fit_small, rewrite
from tests.fits_builders import run_command

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
HOUR = timedelta(hours=1)
QUICK = Question(n_paths=50, n_resamples=50, days=5)


@pytest.fixture(autouse=True)
def _own_state(tmp_path, settings):
    settings.MODEL_DIR = tmp_path / "models"
    settings.STATE_DIR = tmp_path
    with clock.use(SystemClock()):
        yield


def sums_of(parts: dict[str, list[dict[str, str]]]) -> set[tuple[Decimal, ...]]:
    """Return the sum of every kind of amount, once for each different decomposition."""
    names = (*AMOUNTS, "costs", "net")
    return {tuple(sum(Decimal(row[name]) for row in rows) for name in names) for rows in parts.values()}


def said_by(name: str, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Return exit code, document and error of a command."""
    code, document, error = run_command(name, *arguments)
    return code, document, document.get("error", error)


# --- a stored backtest ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["active", "plan"])
def test_a_backtests_parts_add_up_to_its_equity_and_its_costs(source):
    fit_small("BTCUSD", "ETHUSD")
    row = backtested(symbols=("BTCUSD", "ETHUSD"), source=source, refit_hours=100)

    report = analyse_backtest(row.pk, QUICK)

    data = report.as_data()
    equity = row.equity()
    change = Decimal(str(round(equity.iloc[-1] - equity.iloc[0], 2)))
    assert tuple(data["decomposition"]) == tuple(DIMENSIONS)
    [sums] = sums_of(data["decomposition"])
    assert sums[-1] == Decimal(data["equity"]["change"]) == change
    for name, total in zip(AMOUNTS[1:], sums[1:-2], strict=True):
        assert float(total) == pytest.approx(row.costs[name], abs=0.005), name
    assert float(sums[0]) == pytest.approx(row.metrics["gross"], abs=0.03)
    assert {one["label"] for one in data["decomposition"]["strategy"]} == {"ema_vol", "wed_thu"}


@pytest.mark.parametrize("source", ["active", "plan"])
def test_models_are_asked_again_as_they_were_asked(source):
    fit_small("BTCUSD", "ETHUSD")
    request = request_of(backtested(symbols=("BTCUSD", "ETHUSD"), source=source, refit_hours=100))
    bars = stored_bars(request)

    traded = SOURCES[source](request, bars, Silent())
    models = model_positions(traded.made_by, request, bars)

    for symbol, positions in traded.positions.items():
        assert len(models[symbol]) == 2
        np.testing.assert_allclose(sum(models[symbol].values()), positions, atol=1e-12)


def test_an_hour_earns_what_the_equity_changed_in_it():
    fit_small()
    row = backtested()

    ledger = pnl_of(row).ledger

    costs = sum(ledger.amounts[name] for name in AMOUNTS[1:])
    by_bar = pd.Series(ledger.amounts["gross"] - costs, index=ledger.at + HOUR).groupby(level=0).sum()
    changes = row.equity().diff().iloc[1:]
    np.testing.assert_allclose(by_bar.reindex(changes.index, fill_value=0.0), changes, atol=0.02)


def test_models_are_paid_by_what_they_wanted_alone():
    fit_small()
    row = backtested()
    FittedModel.objects.filter(strategy="wed_thu").delete()

    report = analyse_backtest(row.pk, QUICK)

    assert set(report.as_data()["decomposition"]) == {"symbol", "side", "weekday", "hour"}
    assert any("wed_thu" in warning and "not in the registry" in warning for warning in report.warnings)


def test_bars_that_were_changed_since_are_noticed():
    fit_small()
    row = backtested()
    rewrite("BTCUSD", datetime(2024, 1, 15, tzinfo=UTC))

    code, _, error = said_by("pnl_analyse", "--backtest", str(row.pk))

    assert code == 5
    assert f"the stored bars are not those of backtest #{row.pk}" in error


def test_a_windowed_backtest_is_not_shared_among_models_and_says_so():
    fit_small()
    RebalanceSettings.objects.create(max_history_hours=200)
    row = backtested(windowed=True)

    report = analyse_backtest(row.pk, QUICK)

    assert "model" not in report.as_data()["decomposition"]
    assert any("asked slot by slot" in warning for warning in report.warnings)


def test_the_limits_in_force_are_those_of_the_simulation():
    LimitRow.objects.create(name="max_daily_loss", value=Decimal("0.001"))
    LimitRow.objects.create(name="max_loss", value=Decimal("0.2"))
    fit_small()
    row = backtested()

    simulation = analyse_backtest(row.pk, Question(rules=loss_rules(0.5), n_paths=50, days=30)).as_data()["simulation"]

    assert simulation["limits"] == {"daily_loss": 0.001, "max_loss": 0.2, "target": 0.5}
    assert simulation["daily_loss"]["probability"] > 0.9  # a tenth of a per cent in thirty days
    assert simulation["max_loss"]["probability"] <= simulation["daily_loss"]["probability"]
    assert simulation["target"]["probability"] < 0.1


def test_the_same_seed_gives_the_same_answer_and_another_another():
    fit_small()
    row = backtested()
    first, again, other = (
        analyse_backtest(row.pk, Question(n_paths=50, n_resamples=50, seed=seed)).as_data() for seed in (1, 1, 2)
    )
    assert first == again
    assert first["simulation"]["end"] != other["simulation"]["end"]
    assert first["decomposition"] == other["decomposition"]


def test_too_few_hours_are_decomposed_and_neither_tested_nor_simulated():
    fit_small()
    row = backtested(end=BEGIN + 30 * HOUR)

    code, document, _ = said_by("pnl_analyse", "--backtest", str(row.pk))

    assert code == 0
    assert document["data"]["permutation"] is None
    assert document["data"]["simulation"] is None
    assert document["data"]["decomposition"]["symbol"]
    assert {warning.partition(" needs")[0] for warning in document["warnings"]} >= {
        "a permutation test",
        "a simulation",
    }


# --- its tear sheet ---------------------------------------------------------------------------------------------------


def test_the_tear_sheet_is_written_and_its_totals_are_the_backtests(tmp_path):
    fit_small("BTCUSD", "ETHUSD")
    row = backtested(symbols=("BTCUSD", "ETHUSD"), note="<b>why</b>")

    code, document, _ = said_by("backtest_report", str(row.pk), "--out", str(tmp_path / "new" / "sheet.html"))

    assert code == 0
    path = tmp_path / "new" / "sheet.html"
    assert document["data"] == {"id": row.pk, "path": str(path), "bytes": path.stat().st_size}
    head, _, _ = path.read_text().partition("<script>")
    page = BeautifulSoup(head, "html.parser")
    net = round(row.equity().iloc[-1] - row.equity().iloc[0], 2)
    totals = [cells[-1].text for cells in (foot.find_all("td") for foot in page.select("tfoot"))][1:]
    assert len(totals) == len(DIMENSIONS)
    assert {text.replace("\u202f", "").replace("−", "-") for text in totals} == {f"{net:+.2f}"}
    assert row.config_hash in head
    assert "&lt;b&gt;why&lt;/b&gt;" in head
    assert [figure["aria-labelledby"].removesuffix("-title") for figure in page.find_all("figure")] == [
        *("equity", "rolling-sharpe", "months", "weights", "permutation", "fan"),
    ]


def test_weights_on_the_sheet_are_what_was_held(tmp_path):
    fit_small()
    row = backtested()

    weights = pnl_of(row).weights["BTCUSD"]

    fills, equity = row.fills(), row.equity()
    closes = pnl_of(row).closes["BTCUSD"]
    for moment in equity.index[[10, 100, -1]]:
        lots = fills.loc[fills["at"] <= moment, "lots"].sum()
        assert weights[moment] == pytest.approx(lots * closes[moment] / equity[moment], abs=1e-12)
    assert weights.abs().max() > 0.1


def test_a_sheet_without_its_bars_shows_what_is_stored_and_says_what_it_lacks(tmp_path):
    fit_small()
    row = backtested()
    Bar.objects.filter(open_ms__gte=int(BEGIN.timestamp() * 1000)).delete()

    html, _, _ = render_report(row, rules=loss_rules()).partition("<script>")

    assert "No decomposition, permutation test or simulation: BTCUSD has bars from" in html
    assert "It was not simulated." in html
    assert "Costs by kind" in html
    assert "By symbol" not in html


def test_a_backtest_that_is_not_there_is_a_wrong_usage():
    for name in ("backtest_report", "pnl_analyse"):
        arguments = ["--backtest", "99"] if name == "pnl_analyse" else ["99"]
        code, document, error = said_by(name, *arguments)
        assert code == 2
        assert "no backtest #99" in error
        assert not document.get("data")


def test_a_path_that_cannot_be_written_ends_with_1(tmp_path):
    fit_small()
    row = backtested()
    (tmp_path / "file").write_text("")
    code, _, error = said_by("backtest_report", str(row.pk), "--out", str(tmp_path / "file" / "sheet.html"))
    assert code == 1
    assert "cannot be written" in error


# --- what cannot be analysed ---


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "no account was seen yet"),
        (("--backtest", "1", "--begin", "2026-01-01"), "are of the live account"),
        (("--target", "0"), "target must be"),
        (("--days", "0"), "days must be"),
    ],
)
def test_what_cannot_be_analysed_is_one_line(arguments, words):
    code, _, error = said_by("pnl_analyse", *arguments)
    assert code == (5 if not arguments else 2)
    assert words in error
    assert len(error.strip().splitlines()) <= 1 or "usage:" in error


def test_an_account_whose_equity_was_never_written_down_has_no_period():
    Account.objects.create(login=1, server="x", mode="demo", currency="USD", margin_mode="hedging", initial_balance=1)
    with pytest.raises(AccountPeriodError, match="never written down"):
        live_period(current_live_account())


def test_the_document_has_no_number_that_json_lacks():
    fit_small()
    row = backtested()
    code, document, _ = said_by("pnl_analyse", "--backtest", str(row.pk), "--days", "2")
    assert code == 0
    json.dumps(document, allow_nan=False)
