"""``tune_strategy``: every trial kept and counted, whatever is searched and wherever the work is done."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace

import joblib
import numpy as np
import pytest
from django.core.management import call_command
from django_q.models import OrmQ

from ops import clock, runs
from ops.audit import SYSTEM
from ops.clock import SystemClock
from ops.models import Announcement, Run
from ops.progress import Silent
from strategies import tuning_jobs
from strategies.errors import ParameterError
from strategies.estimators import build
from strategies.models import TuningRun
from strategies.parallel import BackendError, fit_backend
from strategies.research.deflated import Moments, deflated_sharpe
from strategies.research.onbars import OnBars, rows_and_returns
from strategies.research.scorers import SharpeAfterCosts, information_coefficient
from strategies.research.splitters import PurgedWalkForward
from strategies.tuning import TuningRequest, tune_strategy
from strategies.tuning_jobs import enqueue_tuning, tuning_job
from strategies.tuning_spaces import candidates, parse_space
from tests.bars_builders import make_bars
from tests.command_line import manage
from tests.fits_builders import make_symbol, run_command

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
SMALL = {"vol_window": [20], "min_values": [30]}
GRID = SMALL | {"fast_ema_window": [3, 5, 8]}
PLAIN = ("ema_vol", "--symbol", "BTCUSD")
ON_BTC = (*PLAIN, "--splitter", "walk_forward")
TOUCHING = (*PLAIN, "--splitter", "permutation", "--block-length", "60", "--embargo", "0")
N_BARS = 900


@pytest.fixture(autouse=True)
def _symbol():
    with clock.use(SystemClock()):
        make_symbol(n_bars=N_BARS)
        yield


def tune(*arguments: str, space=GRID) -> dict:
    code, document, errors = run_command("tune_strategy", *ON_BTC, "--grid", json.dumps(space), *arguments)
    assert (code, errors) == (0, ""), document
    return document["data"]


def by_hand(fast_ema_window: int) -> tuple[list[float], np.ndarray]:
    """Return a trial's scores and tested returns, fold by fold, on bars that came from no database."""
    bars = make_bars(0, N_BARS)
    rows, ahead = rows_and_returns(bars)
    scores, returns = [], []
    for train, test in PurgedWalkForward().split(rows):
        strategy = build("ema_vol", vol_window=20, min_values=30, fast_ema_window=fast_ema_window)
        fitted = OnBars(strategy, bars).fit(rows.to_numpy()[train])
        scores.append(information_coefficient(fitted, rows.to_numpy()[test], ahead.to_numpy()[test]))
        returns.append(SharpeAfterCosts().returns(fitted, rows.to_numpy()[test], ahead.to_numpy()[test]))
    return scores, np.concatenate(returns)


# --- what is found --------------------------------------------------------------------------------------------------


def test_trials_are_those_of_cross_validation_by_hand():
    data = tune()

    assert [trial["params"]["fast_ema_window"] for trial in data["trials"]] == [3, 5, 8]
    sharpes = []
    for trial in data["trials"]:
        scores, returns = by_hand(trial["params"]["fast_ema_window"])
        assert trial["scores"] == pytest.approx(scores)
        assert trial["mean"] == pytest.approx(np.mean(scores))
        sharpes.append(returns.mean() / returns.std(ddof=1))
        assert trial["sharpe"] == pytest.approx(sharpes[-1] * np.sqrt(8760))
    best = max(data["trials"], key=lambda trial: trial["mean"])
    assert data["best"] == best
    moments = Moments.of(by_hand(best["params"]["fast_ema_window"])[1])
    assert data["luck"] == pytest.approx(1 - deflated_sharpe(moments, sharpes))


def test_the_document_and_the_row_say_the_same():
    data = tune("--note", "first")

    row = TuningRun.objects.get()
    assert data["id"] == row.pk
    assert (data["symbol"], data["strategy"], data["note"]) == ("BTCUSD", "ema_vol", "first")
    assert (data["trials"], data["n_trials"], data["luck"]) == (row.trials, 3, row.luck)
    assert row.config["space"] == GRID
    assert (row.end_at - row.begin_at).total_seconds() == N_BARS * 3600
    assert Announcement.objects.filter(topic="tunings").exists()


def test_a_person_reads_the_best_first(capsys):
    call_command("tune_strategy", *ON_BTC, "--grid", json.dumps(GRID))
    heading, *trials, luck, _ = capsys.readouterr().out.splitlines()
    assert heading.endswith("mean ic of folds")
    means = [float(line.split()[0]) for line in trials]
    assert means == sorted(means, reverse=True)
    assert luck.startswith("3 different trials on these bars so far; probability that the best is luck: ")


@pytest.mark.parametrize("splitter", ["bootstrap", "permutation", "walk_forward"])
@pytest.mark.parametrize("scorer", ["ic", "sharpe"])
def test_every_splitter_and_scorer_can_be_asked_for(splitter, scorer):
    blocks = [] if splitter == "walk_forward" else ["--block-length", "100"]
    data = tune("--splitter", splitter, "--scorer", scorer, "--splits", "3", "--embargo", "10", *blocks)
    assert {len(trial["scores"]) for trial in data["trials"]} == {3}
    assert data["config"]["splitting"] == {"n_splits": 3, "embargo": 10} | ({"block_length": 100} if blocks else {})


def test_draws_are_the_same_for_the_same_seed_and_stay_in_their_range():
    space = {"vol_window": {"from": 10, "to": 30}, "alpha": {"from": 0.25, "to": 0.5}, "min_values": 20}
    ours = candidates(parse_space(json.dumps(space)), n_draws=50, seed=1)

    assert ours == candidates(parse_space(json.dumps(space)), n_draws=50, seed=1)
    assert ours != candidates(parse_space(json.dumps(space)), n_draws=50, seed=2)
    windows, alphas = {one["vol_window"] for one in ours}, [one["alpha"] for one in ours]
    assert windows <= set(range(10, 31))
    assert {type(window) for window in windows} == {int}
    assert 0.25 <= min(alphas) < max(alphas) <= 0.5
    assert {one["min_values"] for one in ours} == {20}


def test_a_random_search_tries_as_many_sets_as_were_drawn():
    space = json.dumps({"vol_window": {"from": 10, "to": 30}, "min_values": 20, "fast_ema_window": 5})
    code, document, _ = run_command("tune_strategy", *ON_BTC, "--random", space, "--n-iter", "4")
    assert (code, len(document["data"]["trials"])) == (0, 4)


def test_more_draws_than_there_are_sets_try_each_once():
    code, document, _ = run_command("tune_strategy", *ON_BTC, "--random", json.dumps(GRID), "--n-iter", "50")
    assert (code, len(document["data"]["trials"])) == (0, 3)


# --- how it is counted ----------------------------------------------------------------------------------------------


def test_earlier_trials_on_the_same_bars_count_and_the_same_again_does_not():
    first = tune()
    again = tune()
    wider = tune(space=SMALL | {"fast_ema_window": [5, 13]})
    otherwise = tune("--splitter", "permutation", "--splits", "4", "--block-length", "60")

    assert [data["n_trials"] for data in (first, again, wider, otherwise)] == [3, 3, 4, 7]
    assert first["luck"] == again["luck"]
    assert TuningRun.objects.count() == 4


def test_trials_of_another_strategy_count_and_those_on_another_symbol_do_not():
    make_symbol("ETHUSD", n_bars=N_BARS, seed=1)
    tune()
    space = json.dumps(SMALL | {"vol_window": [10, 20]})
    n_trials = {}
    for symbol in ("BTCUSD", "ETHUSD"):
        _, document, _ = run_command("tune_strategy", "vol_scale", *ON_BTC[3:], "--symbol", symbol, "--grid", space)
        n_trials[symbol] = document["data"]["n_trials"]
    assert n_trials == {"BTCUSD": 5, "ETHUSD": 2}


def test_trials_on_a_part_of_the_bars_are_no_trials_on_all_of_them():
    def n_trials(window: int, n_bars: int) -> int:
        space = SMALL | {"fast_ema_window": [window]}
        return tune("--splits", "2", "--bars", str(n_bars), space=space)["n_trials"]

    assert n_trials(3, 900) == 1
    assert n_trials(4, 440) == 1  # less than half of the bars of the first
    assert n_trials(5, 460) == 3  # half of them, and nearly all of the second's
    assert n_trials(6, 900) == 3  # with the first and the third


def test_later_trials_make_the_same_best_one_likelier_to_be_luck():
    alone = tune(space=SMALL | {"fast_ema_window": [8]})
    assert alone["lucky_sharpe"] == 0.0
    tune(space=SMALL | {"fast_ema_window": [2, 3, 4, 5, 6]})
    after = tune(space=SMALL | {"fast_ema_window": [8]})
    assert (after["n_trials"], after["best"]) == (6, alone["best"])
    assert after["luck"] > alone["luck"]


# --- what goes wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["moonshot", "--symbol", "BTCUSD", "--grid", '{"a": [1]}'], 2, "no strategy 'moonshot'; known: vol_scale"),
        (["ema_vol", "--symbol", "DOGEUSD", "--grid", '{"alpha": [1]}'], 2, "no symbol 'DOGEUSD'"),
        ([*ON_BTC, "--grid", '{"depth": [1]}'], 2, "has no parameter 'depth'; known: vol_window"),
        ([*ON_BTC, "--grid", '{"vol_window": [0]}'], 2, "vol_window must be a whole number of at least 2, was 0"),
        ([*ON_BTC, "--grid", "[1"], 2, "a space must be JSON like"),
        ([*ON_BTC, "--grid", "{}"], 2, "a space must be an object like"),
        ([*ON_BTC, "--grid", '{"alpha": []}'], 2, "alpha needs at least one value, had none"),
        ([*ON_BTC, "--grid", '{"alpha": {"from": 0, "to": 1}}'], 2, "a grid has no ranges"),
        ([*ON_BTC, "--random", '{"alpha": {"from": 1, "to": 0}}', "--n-iter", "3"], 2, "with from below to"),
        ([*ON_BTC, "--random", '{"alpha": [1]}'], 2, "--random and --n-iter go together"),
        ([*ON_BTC, "--grid", '{"alpha": [1]}', "--n-iter", "2"], 2, "--random and --n-iter go together"),
        ([*ON_BTC, "--random", '{"alpha": [1]}', "--n-iter", "0"], 2, "n_iter must be at least 1, was 0"),
        ([*ON_BTC, "--grid", '{"alpha": [1]}', "--scorer", "hope"], 2, "no scorer 'hope'; known: ic"),
        ([*ON_BTC, "--grid", '{"alpha": [1]}', "--block-length", "9"], 2, "walk_forward has no block_length"),
        ([*ON_BTC, "--grid", '{"alpha": [1]}', "--embargo", "-1"], 2, "embargo must be a whole number of at least 0"),
        ([*TOUCHING, "--grid", '{"alpha": [1]}'], 2, "the embargo of a splitter must be at least 1"),
        ([*ON_BTC, "--grid", '{"alpha": [1]}'], 5, "got 900"),
    ],
)
def test_what_cannot_be_searched_is_one_line_and_an_exit_code(arguments, code, words):
    ended, document, _ = run_command("tune_strategy", *arguments)
    assert (ended, document["ok"]) == (code, False)
    assert words in document["error"]
    assert "\n" not in document["error"]
    assert not TuningRun.objects.exists()


@pytest.mark.parametrize("arguments", [[], ["--grid", "{}", "--random", "{}"], ["--grid", "{}", "--splitter", "dice"]])
def test_arguments_that_make_no_sense_are_wrong_usage(arguments):
    assert manage("tune_strategy", *ON_BTC, *arguments).code == 2


def test_a_dry_run_says_how_many_sets_it_would_try_and_keeps_nothing():
    assert tune("--dry-run") == {"n_trials": 3, "n_splits": 5}
    assert not TuningRun.objects.exists()


def test_a_space_that_is_not_one_is_refused():
    with pytest.raises(ParameterError, match="alpha must be a list of values or"):
        parse_space('{"alpha": {"low": 1}}')


# --- the queue ------------------------------------------------------------------------------------------------------


def request(**changes) -> TuningRequest:
    return TuningRequest(
        **{"strategy": "ema_vol", "symbol": "BTCUSD", "space": GRID, "splitter": "walk_forward"} | changes
    )


def test_a_search_is_queued_for_the_research_cluster_and_told_of_fold_by_fold():
    data = tune("--queue")
    run = Run.objects.get(job="tune_strategy")
    assert data == {"run_id": run.pk, "status": "queued"}
    assert [task.key for task in OrmQ.objects.all()] == ["research"]

    tuning_job(run.pk)
    tuning_job(run.pk)  # delivered again

    run.refresh_from_db()
    row = TuningRun.objects.get()
    assert (run.status, run.result["tuning"], run.result["luck"]) == ("done", row.pk, row.luck)
    assert (run.progress_done, run.progress_total) == (15, 15)


def test_a_search_that_is_cancelled_stops_and_keeps_nothing(monkeypatch):
    run = enqueue_tuning(request(), actor=SYSTEM)

    def cancelled_meanwhile(*args, **kwargs):
        assert runs.cancel(run.pk)
        return search(*args, **kwargs)

    search = tuning_jobs.tune_strategy
    monkeypatch.setattr(tuning_jobs, "tune_strategy", cancelled_meanwhile)
    tuning_job(run.pk)

    run.refresh_from_db()
    assert (run.status, run.error) == ("cancelled", "cancelled at 0 of 15")
    assert not TuningRun.objects.exists()


def test_a_search_that_cannot_be_made_says_why():
    run = enqueue_tuning(request(space={"alpha": [0.5]}), actor=SYSTEM)
    tuning_job(run.pk)
    run.refresh_from_db()
    assert run.status == "failed"
    assert "got 900" in run.error


def test_a_search_of_no_symbol_is_not_queued():
    code, _, _ = run_command("tune_strategy", "ema_vol", "--symbol", "DOGEUSD", "--grid", json.dumps(GRID), "--queue")
    assert code == 2
    assert not Run.objects.exists()


# --- where the work is done -----------------------------------------------------------------------------------------


def callable_there(function, name):
    return {"somebody": function(name)}


def test_one_job_works_here_whatever_the_backend(settings):
    settings.FIT_BACKEND = "dask"
    assert len(tune()["trials"]) == 3


def test_more_jobs_are_joblibs_workers(monkeypatch):
    used = []

    @contextmanager
    def noted(**options):
        used.append(options)
        yield

    monkeypatch.setattr(joblib, "parallel_config", noted)
    with fit_backend(2):
        pass
    assert used == [{"backend": "loky", "n_jobs": 2}]


def test_dask_is_imported_when_chosen_and_talks_to_its_scheduler(settings, monkeypatch):
    settings.FIT_BACKEND, settings.DASK_SCHEDULER = "dask", "tcp://scheduler:8786"
    used = []

    @contextmanager
    def client(address, *, timeout):
        used.append(address)
        yield SimpleNamespace(run=callable_there, run_on_scheduler=callable_there)
        used.append("closed")

    @contextmanager
    def noted(**options):
        used.append(options)
        yield

    module = ModuleType("dask.distributed")
    module.Client = client
    monkeypatch.setitem(sys.modules, "dask", ModuleType("dask"))
    monkeypatch.setitem(sys.modules, "dask.distributed", module)
    monkeypatch.setattr(joblib, "parallel_config", noted)
    with fit_backend(4):
        used.append("working")
    assert used == ["tcp://scheduler:8786", {"backend": "dask", "n_jobs": 4}, "working", "closed"]


@pytest.mark.parametrize(
    ("scheduler", "words"), [("", "needs DASK_SCHEDULER"), ("tcp://127.0.0.1:1", "needs dask: install requirements")]
)
def test_dask_that_cannot_be_used_is_one_line(settings, monkeypatch, scheduler, words):
    settings.FIT_BACKEND, settings.DASK_SCHEDULER = "dask", scheduler
    monkeypatch.setitem(sys.modules, "dask", None)
    code, document, _ = run_command("tune_strategy", *ON_BTC, "--grid", json.dumps(GRID), "--jobs", "2")
    assert code == 6
    assert words in document["error"]


def test_a_scheduler_that_does_not_answer_is_one_line(settings, monkeypatch):
    settings.FIT_BACKEND, settings.DASK_SCHEDULER = "dask", "tcp://127.0.0.1:1"

    def client(address, *, timeout):
        raise OSError("Timed out trying to connect")

    module = ModuleType("dask.distributed")
    module.Client = client
    monkeypatch.setitem(sys.modules, "dask", ModuleType("dask"))
    monkeypatch.setitem(sys.modules, "dask.distributed", module)
    with pytest.raises(BackendError, match="no dask scheduler answers at tcp://127"), fit_backend(2):
        pass


def cannot_import(function, name):
    raise ModuleNotFoundError("No module named 'strategies'")


@pytest.mark.parametrize(
    ("on_scheduler", "on_workers", "words"),
    [
        (callable_there, lambda *_: {}, "has no workers"),
        (callable_there, cannot_import, "cannot import strategies.research.onbars"),
        (cannot_import, callable_there, "cannot import strategies.research.onbars"),
    ],
)
def test_a_cluster_that_cannot_do_the_work_is_one_line_instead_of_a_wait(
    on_scheduler, on_workers, words, settings, monkeypatch
):
    settings.FIT_BACKEND, settings.DASK_SCHEDULER = "dask", "tcp://127.0.0.1:1"

    @contextmanager
    def client(address, *, timeout):
        yield SimpleNamespace(run=on_workers, run_on_scheduler=on_scheduler)

    module = ModuleType("dask.distributed")
    module.Client = client
    monkeypatch.setitem(sys.modules, "dask", ModuleType("dask"))
    monkeypatch.setitem(sys.modules, "dask.distributed", module)
    with pytest.raises(BackendError, match=words), fit_backend(2):
        pass


@pytest.mark.processes
def test_workers_find_what_one_process_finds():
    here = tune_strategy(request(), actor=SYSTEM, progress=Silent())
    there = tune_strategy(request(jobs=2), actor=SYSTEM, progress=Silent())
    assert there.trials == here.trials
    assert there.n_trials == 3
