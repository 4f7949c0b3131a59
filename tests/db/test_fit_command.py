"""``fit_models`` and ``model_list``: one document, one line per error, the exit codes; and the same fit as a job."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command
from django_q.models import OrmQ

from ops import clock, runs
from ops.audit import Actor
from ops.clock import SystemClock
from ops.models import AuditEntry, Run
from strategies import fitting, jobs
from strategies.models import FittedModel, PlanRow
from tests.bars_builders import make_bars
from tests.fits_builders import EMA, make_symbol, plan_row, run_command

pytestmark = pytest.mark.django_db
ANNA = Actor(name="anna", source=AuditEntry.Source.PAGE)

PROMISED = (
    *("symbol", "strategy", "variant", "version", "strat_weight", "status"),
    *("fit_from", "fit_to", "n_bars", "seconds", "params", "fitted"),
)


@pytest.fixture(autouse=True)
def models_dir(tmp_path, settings):
    settings.MODEL_DIR = tmp_path / "models"
    with clock.use(SystemClock()):
        yield settings.MODEL_DIR


def test_the_document_has_the_promised_fields():
    make_symbol()
    plan_row()

    code, document, errors = run_command("fit_models", "--note", "monthly")

    assert (code, errors) == (0, "")
    assert (document["ok"], document["schema"], document["warnings"]) == (True, "fit_models/1", [])
    assert set(document["data"]) == {"models", "failed", "seconds"}
    (model,) = document["data"]["models"]
    assert set(PROMISED) <= set(model)
    assert (model["symbol"], model["strategy"], model["version"], model["status"]) == ("BTCUSD", "ema_vol", 1, "active")
    assert datetime.fromisoformat(model["fit_from"]) == datetime(2024, 1, 1, tzinfo=UTC)
    assert model["params"]["fast_ema_window"] == 5
    assert set(model["fitted"]) == {"cdf_median_", "defactor_", "to_target_scaler_"}
    assert model["note"] == "monthly"


def test_without_json_a_person_reads_a_line_per_model_and_a_summary(capsys):
    make_symbol()
    plan_row()
    call_command("fit_models")
    *lines, summary = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("BTCUSD ema_vol fast_ema_window=5,min_values=30,vol_window=20 v1  active  300 bars")
    assert summary.startswith("1 fitted, 1 active, 0 failed in ")


def test_only_what_is_named_is_fitted():
    make_symbol("BTCUSD")
    make_symbol("ETHUSD")
    plan_row()
    plan_row("wed_thu", {"vol_window": 14, "min_values": 30})
    code, document, _ = run_command("fit_models", "--symbol", "ETHUSD", "--strategy", "wed_thu")
    assert code == 0
    assert [(model["symbol"], model["strategy"]) for model in document["data"]["models"]] == [("ETHUSD", "wed_thu")]


def test_no_activate_makes_candidates():
    make_symbol()
    plan_row()
    _, document, _ = run_command("fit_models", "--no-activate")
    assert [model["status"] for model in document["data"]["models"]] == ["candidate"]


def test_until_is_a_moment_in_utc():
    make_symbol()
    plan_row()
    _, document, _ = run_command("fit_models", "--until", "2024-01-11T00:00")
    (model,) = document["data"]["models"]
    assert datetime.fromisoformat(model["fit_to"]) == datetime(2024, 1, 10, 23, tzinfo=UTC)
    assert model["n_bars"] == 240


def test_a_dry_run_says_what_it_would_fit_and_writes_nothing(models_dir):
    make_symbol()
    plan_row()
    code, document, _ = run_command("fit_models", "--dry-run")
    assert code == 0
    assert document["data"]["models"] == []
    assert [(row["symbol"], row["strategy"]) for row in document["data"]["planned"]] == [("BTCUSD", "ema_vol")]
    assert not FittedModel.objects.exists()
    assert not models_dir.exists()


def test_a_dry_run_of_a_new_site_shows_the_default_plan_and_does_not_write_it():
    make_symbol(n_bars=0)
    code, document, _ = run_command("fit_models", "--dry-run")
    assert (code, len(document["data"]["planned"])) == (0, 16)
    assert not PlanRow.objects.exists()


# --- what goes wrong ------------------------------------------------------------------------------------------------


def test_an_unknown_symbol_is_wrong_usage_and_names_the_known_ones():
    make_symbol()
    plan_row()
    code, document, _ = run_command("fit_models", "--symbol", "DOGEUSD")
    assert (code, document["ok"]) == (2, False)
    assert document["error"] == "no symbol 'DOGEUSD'; known: BTCUSD"


def test_an_unknown_strategy_is_wrong_usage_and_names_the_known_ones():
    make_symbol()
    plan_row()
    code, document, _ = run_command("fit_models", "--strategy", "moonshot")
    assert code == 2
    assert document["error"].startswith("no strategy 'moonshot'; known: vol_scale, wed_thu, ema_vol")


@pytest.mark.parametrize("arguments", [["--jobs", "0"], ["--jobs", "-1"], ["--jobs", "two"], ["--until", "tomorrow"]])
def test_an_argument_that_makes_no_sense_is_wrong_usage(arguments):
    with pytest.raises(CommandError, match="must be") as caught:
        call_command("fit_models", *arguments)
    assert caught.value.returncode in (1, 2)  # from the command line argparse ends with 2 itself


def test_no_history_is_data_missing():
    make_symbol(n_bars=0)
    plan_row()
    code, document, _ = run_command("fit_models")
    assert (code, document["ok"]) == (5, False)
    assert document["data"]["failed"] == [
        {
            "symbol": "BTCUSD",
            "strategy": "ema_vol",
            "variant": "fast_ema_window=5,min_values=30,vol_window=20",
            "error": "no closed 1h bars of BTCUSD: run `manage.py data_update`",
        }
    ]


def test_thirty_bars_are_data_missing():
    make_symbol(n_bars=30)
    plan_row()
    code, document, _ = run_command("fit_models")
    assert code == 5
    assert "got 30" in document["data"]["failed"][0]["error"]


def test_nan_prices_are_data_missing(monkeypatch):
    bars = make_bars(0, 300)
    bars.loc[bars.index[7], "high"] = float("nan")
    monkeypatch.setattr(fitting, "joined_bars", lambda symbol, limit, until: bars)
    make_symbol(n_bars=0)
    plan_row()
    code, document, _ = run_command("fit_models")
    assert code == 5
    assert "column high must be finite" in document["data"]["failed"][0]["error"]


def test_some_failed_is_partly_done():
    make_symbol("BTCUSD")
    make_symbol("ETHUSD", n_bars=0)
    plan_row()
    code, document, _ = run_command("fit_models")
    assert code == 7
    assert (len(document["data"]["models"]), len(document["data"]["failed"])) == (1, 1)


def test_all_failed_of_something_else_than_data_is_a_failure(monkeypatch):
    def broken(*args, **kwargs):
        raise OSError(28, "No space left on device")

    make_symbol()
    plan_row()
    monkeypatch.setattr("strategies.artifacts.save", broken)
    code, document, _ = run_command("fit_models")
    assert code == 1
    assert "No space left" in document["data"]["failed"][0]["error"]


def test_one_cause_is_one_line_however_many_models_it_stopped(capsys):
    make_symbol(n_bars=0)
    plan_row()
    plan_row("ema_vol", EMA | {"fast_ema_window": 7})
    with pytest.raises(SystemExit):
        call_command("fit_models")
    failed = [line for line in capsys.readouterr().out.splitlines() if "no closed 1h bars" in line]
    assert len(failed) == 1
    assert failed[0].count("ema_vol") == 2


# --- model_list -----------------------------------------------------------------------------------------------------


def test_the_list_shows_what_trades_and_what_is_missing():
    make_symbol()
    plan_row()
    run_command("fit_models")
    run_command("fit_models")
    plan_row("wed_thu", {})

    code, document, _ = run_command("model_list")
    assert (code, document["schema"]) == (0, "model_list/1")
    assert [model["version"] for model in document["data"]["models"]] == [2]
    assert document["data"]["missing_model"] == {"BTCUSD": ["wed_thu default"]}
    assert document["warnings"] == ["BTCUSD has no active model for wed_thu default"]

    _, document, _ = run_command("model_list", "--all")
    assert [(model["version"], model["status"]) for model in document["data"]["models"]] == [
        (2, "active"),
        (1, "retired"),
    ]


def test_the_table_of_models_is_aligned(capsys):
    make_symbol()
    plan_row(strat_weight=0.05)
    run_command("fit_models")
    call_command("model_list")
    heading, row = capsys.readouterr().out.splitlines()
    assert heading.index("weight") == row.index("5.00%")
    assert heading.index("last bar") == row.index("2024-01-13 11:00")


def test_a_site_without_models_says_how_to_make_some(capsys):
    make_symbol(n_bars=0)
    call_command("model_list")
    assert capsys.readouterr().out == "no fitted models; make some with `manage.py fit_models`\n"


# --- the job --------------------------------------------------------------------------------------------------------


def test_a_fit_asked_for_twice_is_queued_once_for_the_research_cluster():
    run = jobs.enqueue_fit("2026-01", {}, actor=ANNA)
    assert jobs.enqueue_fit("2026-01", {}, actor=ANNA) == run
    assert [task.key for task in OrmQ.objects.all()] == ["research"]
    assert run.queue == "research"


def test_a_job_fits_what_its_run_asks_for_and_says_how_far_it_came():
    make_symbol("BTCUSD")
    make_symbol("ETHUSD")
    plan_row()
    run = jobs.enqueue_fit(
        "x", {"symbols": ["ETHUSD"], "until": "2024-01-11T00:00:00+00:00", "note": "by hand"}, actor=ANNA
    )

    jobs.fit_job(run.pk)

    run.refresh_from_db()
    model = FittedModel.objects.get()
    assert (model.symbol.name, model.n_bars, model.fitted_by, model.note) == ("ETHUSD", 240, "anna", "by hand")
    assert (run.status, run.error) == ("done", "")
    assert run.result["models"] == [model.pk]
    assert (run.progress_done, run.progress_total) == (1, 1)


def test_a_job_delivered_twice_fits_once():
    make_symbol()
    plan_row()
    run = jobs.enqueue_fit("x", {}, actor=ANNA)
    jobs.fit_job(run.pk)
    jobs.fit_job(run.pk)
    assert FittedModel.objects.count() == 1


@pytest.mark.parametrize(
    ("symbols", "status", "error"),
    [
        (["BTCUSD", "ETHUSD"], "partly", "1 not fitted; first ETHUSD ema_vol"),
        (["ETHUSD"], "failed", "no closed 1h bars of ETHUSD"),
        (["DOGEUSD"], "failed", "no symbol 'DOGEUSD'"),
    ],
)
def test_a_job_that_does_not_fit_everything_says_why(symbols, status, error):
    make_symbol("BTCUSD")
    make_symbol("ETHUSD", n_bars=0)
    plan_row()
    run = jobs.enqueue_fit("x", {"symbols": symbols}, actor=ANNA)
    jobs.fit_job(run.pk)
    run.refresh_from_db()
    assert run.status == status
    assert error in run.error


def test_a_job_that_breaks_is_not_left_running(monkeypatch):
    def broken(**options):
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr(jobs, "fit_models", broken)
    run, _ = runs.create_run(jobs.JOB, "x", {})
    with pytest.raises(RuntimeError):
        jobs.fit_job(run.pk)
    run.refresh_from_db()
    assert run.status == Run.Status.FAILED
    assert "unexpected" in run.error


def test_a_document_is_all_that_json_prints(capsys):
    make_symbol()
    plan_row()
    call_command("fit_models", "--json")
    assert json.loads(capsys.readouterr().out)["ok"] is True
