"""Commands and jobs of backtests: one document, one line an error, the exit codes; queued, cancelled, replayed."""

from __future__ import annotations

import json
from datetime import timedelta

import pandas as pd
import pytest
from django.core.management import call_command
from django_q.models import OrmQ

from execution import backtesting, research_jobs
from execution.models import Account, RebalanceSettings
from execution.research_jobs import backtest_job, enqueue_backtest
from market.models import Symbol
from ops import clock, runs
from ops.audit import SYSTEM
from ops.clock import SystemClock
from ops.models import Run
from strategies.models import Backtest, FittedModel
from tests.backtest_builders import BEGIN, END, FIT_UNTIL, backtested, fit_small, options
from tests.command_line import manage
from tests.fits_builders import make_symbol, plan_row, run_command

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
HOUR = timedelta(hours=1)
PERIOD = ("--begin", "2024-01-10", "--end", "2024-01-20T00")
PROMISED = {"total_return", "cagr", "volatility", "sharpe", "sortino", "calmar", "max_drawdown", "turnover", "trades"}


@pytest.fixture(autouse=True)
def _models_dir(tmp_path, settings):
    settings.MODEL_DIR = tmp_path / "models"
    with clock.use(SystemClock()):
        yield


# --- backtest_run ---------------------------------------------------------------------------------------------------


def test_the_document_has_the_promised_fields():
    fit_small()

    code, document, errors = run_command("backtest_run", *PERIOD, "--note", "first")

    row, data = Backtest.objects.get(), document["data"]
    assert (code, errors, document["ok"], document["schema"]) == (0, "", True, "backtest_run/1")
    assert data["id"] == row.pk
    assert set(data["metrics"]) > PROMISED
    assert set(data["costs"]) == {"spread", "slippage", "commission", "swap", "funding"}
    assert data["seconds"] > 0
    assert (data["begin"], data["end"], data["note"]) == (
        "2024-01-10T00:00:00+00:00",
        "2024-01-20T00:00:00+00:00",
        "first",
    )
    assert {"in_sample", "out_of_sample", "split_at"} == set(data["samples"])
    assert (data["n_trials"], data["same_as"]) == (1, None)
    assert 0.0 < data["luck"] < 1.0
    assert document["warnings"] == row.warnings


def test_the_same_again_is_said_and_kept(capsys):
    fit_small()
    first = backtested()
    call_command("backtest_run", *PERIOD, "--capital", "100000", "--sizing-capital", "100000")
    second = Backtest.objects.latest("id")
    heading = capsys.readouterr().out.splitlines()[0]
    assert heading == f"#{second.pk} fast active BTCUSD 2024-01-10 00:00 to 2024-01-20 00:00, same as #{first.pk}"


def test_a_dry_run_says_what_it_would_run_and_keeps_nothing():
    fit_small()
    code, document, _ = run_command("backtest_run", *PERIOD, "--dry-run")
    assert (code, document["data"]["slots"], len(document["data"]["models"])) == (0, 240, 2)
    assert not Backtest.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--begin", "2024-01-20", "--end", "2024-01-10"], 2, "must begin before it ends"),
        (["--begin", "2024-01-10T22", "--end", "2024-01-12"], 2, "begin must not be at 22:00"),
        (
            ["--begin", "2024-01-10", "--end", "2024-02-10"],
            5,
            "BTCUSD has bars from 2024-01-01 00:00 to 2024-01-25 23:00",
        ),
        (["--begin", "2023-12-10", "--end", "2024-01-10"], 5, "BTCUSD has bars from 2024-01-01 00:00"),
        (["--begin", "2024-01-01T02", "--end", "2024-01-02"], 5, "its bars begin at 2024-01-01 00:00: begin later"),
        ([*PERIOD, "--symbol", "DOGEUSD"], 2, "no symbol 'DOGEUSD'; known: BTCUSD"),
        ([*PERIOD, "--spread", "-1"], 2, "spread_fraction must be a number of at least 0, was -1.0"),
        ([*PERIOD, "--capital", "0"], 2, "start must be a number above 0"),
        ([*PERIOD, "--source", "plan", "--refit-hours", "0"], 2, "refit_hours must be at least 1, was 0"),
        ([*PERIOD, "--engine", "replay", "--source", "plan"], 2, "the replay trades the active models"),
        ([*PERIOD, "--engine", "replay", "--windowed"], 2, "the replay takes no --windowed: every session has its own"),
        ([*PERIOD, "--engine", "replay", "--slippage", "0"], 2, "the replay takes no --slippage"),
        ([*PERIOD, "--engine", "replay", "--costs", "learned"], 2, "one set of costs for all symbols"),
        ([*PERIOD, "--engine", "replay", "--swap-long", "0"], 2, "the replay takes swaps in the proportion of"),
    ],
)
def test_what_cannot_be_run_is_one_line_and_an_exit_code(arguments, code, words):
    fit_small()
    ended, document, _ = run_command("backtest_run", *arguments)
    assert (ended, document["ok"]) == (code, False)
    assert words in document["error"]
    assert "\n" not in document["error"]
    assert not Backtest.objects.exists()


@pytest.mark.parametrize("arguments", [["--begin", "soon"], ["--begin", "2024-01-10T00:30"], ["--engine", "slow"]])
def test_arguments_that_are_none_are_wrong_usage(arguments):
    assert manage("backtest_run", *PERIOD, *arguments).code == 2


def test_a_symbol_without_a_model_or_a_plan_that_cannot_be_fitted_is_missing_data():
    make_symbol(n_bars=600)
    code, document, _ = run_command("backtest_run", *PERIOD)
    assert code == 5
    assert document["error"] == "BTCUSD has no active model: run `manage.py fit_models --symbol BTCUSD`"

    plan_row("rev", {})
    code, document, _ = run_command("backtest_run", *PERIOD, "--source", "plan")
    assert code == 5
    assert document["error"].startswith("nothing of the plan can be fitted to the 216 bars of BTCUSD before 2024-01-10")


def test_a_plan_with_nothing_switched_on_is_wrong_usage():
    make_symbol(n_bars=600)
    plan_row(is_enabled=False)
    assert run_command("backtest_run", *PERIOD, "--source", "plan")[0] == 2


# --- the replay engine ----------------------------------------------------------------------------------------------


def replayed() -> dict:
    """Return what a replay of two slots may answer."""
    deal = {
        "slot": "2024-01-10T00",
        "at": "2024-01-10T00:00:45+00:00",
        "symbol": "BTCUSD",
        "entry": "in",
        "position": 1,
    }
    closing = deal | {"slot": "", "at": "2024-01-10T01:00:50+00:00", "side": "sell", "entry": "out"}
    money = {"volume": "0.5", "price": "3000", "profit": "0.00", "commission": "-0.50", "swap": "0.00"}
    return {
        "slots": 2,
        "verdicts": {"traded": 1, "hold": 1},
        "equity": [
            {"slot": "2024-01-10T00", "at": "2024-01-10T00:00:45+00:00", "equity": "49990.00", "balance": "0"},
            {"slot": "2024-01-10T01", "at": "2024-01-10T01:00:45.5+00:00", "equity": "50500.00", "balance": "0"},
        ],
        "fills": [deal | money | {"side": "buy"}, closing | money | {"profit": "7.00", "swap": "-0.25"}],
    }


def test_a_replay_is_kept_like_any_other_and_asked_on_the_desks_own_terms(monkeypatch):
    fit_small()
    RebalanceSettings.objects.create(sizing_capital=20_000)
    Account.objects.create(login=1, server="S", mode="demo", margin_mode="netting", initial_balance=1)
    asked = []

    def answer(terms, symbols, *, progress):
        asked.append((terms, symbols))
        return replayed()

    monkeypatch.setattr(backtesting, "replay_in_sandbox", answer)
    row = backtested(engine="replay", sizing_capital=None, capital=50_000.0, spread=0.0006, end=BEGIN + 2 * HOUR)

    ((terms, symbols),) = asked
    assert (terms.begin, terms.end, terms.balance, terms.margin_mode) == (BEGIN, BEGIN + 2 * HOUR, 50_000.0, "netting")
    assert (terms.spread, terms.commission, terms.swap) == (2.0, 1.0, 1.0)
    assert [symbol.name for symbol in symbols] == ["BTCUSD"]
    assert row.equity().tolist() == [50_000.0, 49_990.0, 50_500.0]
    assert row.costs == {"commission": 1.0, "swap": 0.25}
    assert row.metrics["total_return"] == pytest.approx(0.01)
    assert (row.metrics["trades"], row.metrics["fills"]) == (1, 2)
    assert row.metrics["verdicts"] == {"traded": 1, "hold": 1}
    fills = row.fills()
    assert fills["lots"].tolist() == [0.5, -0.5]
    assert fills["slot"].isna().tolist() == [False, True]  # the second was asked for by no slot
    assert row.config["settings"]["sizing_capital"] == "20000.00"
    assert row.samples["in_sample"]["n_bars"] == 2


def test_both_engines_are_trials_on_one_sample(monkeypatch):
    fit_small()
    monkeypatch.setattr(backtesting, "replay_in_sandbox", lambda *args, **options: replayed())
    backtested()
    assert backtested(engine="replay", sizing_capital=None).n_trials == 2


# --- the queue ------------------------------------------------------------------------------------------------------


def test_a_backtest_is_queued_for_the_research_cluster_each_time_that_it_is_asked_for():
    fit_small()
    code, document, _ = run_command("backtest_run", *PERIOD, "--queue")
    run_command("backtest_run", *PERIOD, "--queue")

    first, second = Run.objects.filter(job="backtest").order_by("id")
    assert (code, document["data"]) == (0, {"run_id": first.pk, "status": "queued"})
    assert first.slot != second.slot
    assert [task.key for task in OrmQ.objects.all()] == ["research", "research"]
    assert first.queue == "research"
    assert not Backtest.objects.exists()


def test_what_could_not_be_run_is_not_queued():
    fit_small()
    assert run_command("backtest_run", "--begin", "2024-01-20", "--end", "2024-01-10", "--queue")[0] == 2
    assert not Run.objects.exists()


def test_a_job_runs_what_was_asked_for_and_says_how_far_it_came():
    fit_small("BTCUSD", "ETHUSD")
    asked = options(symbols=["ETHUSD"], source="plan", refit_hours=60, note="by hand")
    run = enqueue_backtest(asked, actor=SYSTEM)

    backtest_job(run.pk)
    backtest_job(run.pk)  # delivered again

    run.refresh_from_db()
    row = Backtest.objects.get()
    assert (run.status, run.error, run.result["backtest"]) == ("done", "", row.pk)
    assert (row.symbols, row.source, row.note, row.created_by) == (["ETHUSD"], "plan", "by hand", "system")
    assert (run.progress_done, run.progress_total) == (4, 4)
    assert row.config_hash == backtested(symbols=["ETHUSD"], source="plan", refit_hours=60).config_hash


def test_a_job_that_is_cancelled_stops_and_keeps_nothing(monkeypatch):
    fit_small()
    run = enqueue_backtest(options(source="plan", refit_hours=24), actor=SYSTEM)

    def cancelled_meanwhile(*args, **kwargs):
        assert runs.cancel(run.pk)
        return run_backtest(*args, **kwargs)

    run_backtest = research_jobs.run_backtest
    monkeypatch.setattr(research_jobs, "run_backtest", cancelled_meanwhile)
    backtest_job(run.pk)

    run.refresh_from_db()
    assert (run.status, run.error) == ("cancelled", "cancelled at 0 of 10")
    assert not Backtest.objects.exists()


def test_a_job_that_cannot_be_done_says_why():
    fit_small()
    run = enqueue_backtest(options(), actor=SYSTEM)
    FittedModel.objects.update(status="retired")

    backtest_job(run.pk)

    run.refresh_from_db()
    assert run.status == "failed"
    assert run.error.startswith("BTCUSD has no active model")


# --- list, compare, export ------------------------------------------------------------------------------------------


def test_the_list_has_the_newest_first_and_can_be_of_a_symbol(capsys):
    fit_small("BTCUSD", "ETHUSD")
    ids = [backtested(symbols=names).pk for names in (["BTCUSD"], ["ETHUSD"], ["BTCUSD", "ETHUSD"])]

    _, document, _ = run_command("backtest_list")
    assert [row["id"] for row in document["data"]["backtests"]] == ids[::-1]
    assert set(document["data"]["backtests"][0]["metrics"]) >= PROMISED
    _, document, _ = run_command("backtest_list", "--symbol", "BTCUSD", "--limit", "1")
    assert [row["id"] for row in document["data"]["backtests"]] == ids[2:]

    call_command("backtest_list")
    heading, *rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 3
    assert rows[0].index("2024-01-10 00") == heading.index("begin")


def test_a_site_without_backtests_says_how_to_make_one(capsys):
    call_command("backtest_list")
    assert capsys.readouterr().out == "no backtests; `manage.py backtest_run` makes one\n"


def test_backtests_are_compared_by_their_figures_and_what_differs(capsys):
    fit_small()
    first, second = backtested(), backtested(spread=0.0, begin=FIT_UNTIL)

    code, document, _ = run_command("backtest_compare", str(first.pk), str(second.pk))

    data = document["data"]
    assert (code, document["schema"]) == (0, "backtest_compare/1")
    assert [row["id"] for row in data["backtests"]] == [first.pk, second.pk]
    assert data["metrics"]["sharpe"] == [first.metrics["sharpe"], second.metrics["sharpe"]]
    assert data["out_of_sample"]["sharpe"] == [first.samples["out_of_sample"]["sharpe"], second.metrics["sharpe"]]
    assert data["costs"]["spread"] == [first.costs["spread"], 0.0]
    assert set(data["differs"]) == {"begin", "terms.BTCUSD.costs.spread_fraction"}
    call_command("backtest_compare", str(first.pk), str(second.pk))
    assert "terms.BTCUSD.costs.spread_fraction" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("ids", "words"),
    [([1], "compare 2 to 4"), ([1, 1], "different"), ([1, 2, 3, 4, 5], "compare 2 to 4"), ([1, 99], "no backtest #99")],
)
def test_other_numbers_of_backtests_are_not_compared(ids, words):
    fit_small()
    first = backtested()
    code, document, _ = run_command("backtest_compare", *(str(first.pk if i == 1 else 98 + i) for i in ids))
    assert code == 2
    assert words in document["error"] or "no backtest #" in document["error"]


def test_a_backtest_is_written_into_files_that_others_can_read(tmp_path):
    fit_small()
    row, folder = backtested(), tmp_path / "deep" / "down"

    code, document, _ = run_command("backtest_export", str(row.pk), "--dir", str(folder))

    assert (code, len(document["data"]["files"])) == (0, 5)
    written = json.loads((folder / f"backtest-{row.pk}.json").read_text())
    assert (written["id"], written["config_hash"], written["begin"]) == (row.pk, row.config_hash, BEGIN.isoformat())
    equity = pd.read_csv(folder / f"backtest-{row.pk}-equity.csv")
    assert equity["equity"].tolist() == row.equity().tolist()
    assert len(pd.read_parquet(folder / f"backtest-{row.pk}-fills.parquet")) == row.metrics["fills"]


def test_a_dry_run_of_an_export_writes_nothing(tmp_path):
    fit_small()
    code, document, _ = run_command("backtest_export", str(backtested().pk), "--dir", str(tmp_path / "x"), "--dry-run")
    assert (code, document["data"]) == (0, {"files": []})
    assert not (tmp_path / "x").exists()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    fit_small()
    (tmp_path / "file").write_text("")
    code, document, _ = run_command("backtest_export", str(backtested().pk), "--dir", str(tmp_path / "file"))
    assert code == 1
    assert "cannot be written to" in document["error"]


def test_a_backtest_that_is_not_there_is_wrong_usage():
    assert run_command("backtest_export", "7", "--dir", "x")[0] == 2


def test_the_traded_symbols_are_the_default():
    fit_small("BTCUSD", "ETHUSD")
    Symbol.objects.filter(name="ETHUSD").update(is_traded=False)
    _, document, _ = run_command("backtest_run", *PERIOD, "--dry-run")
    assert document["data"]["request"]["symbols"] == ["BTCUSD"]
    assert document["data"]["request"]["end"] == END.isoformat()
