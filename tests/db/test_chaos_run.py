"""Short runs of chaos: without a breach, the same log for the same seed, and a breach where the executor is broken."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
from django.test import override_settings

from execution.chaos import desk, plans
from execution.chaos.sandbox import BEFORE_FIRST, BEGIN, MARK
from execution.safety import journal
from execution.safety.gate import Gate
from execution.safety.outcomes import Outcome
from simulator.faults import FAULTS
from tests.docs_shapes import assert_documented
from tests.fits_builders import run_command

pytestmark = [pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
HOURS = 8


def typed(*arguments: str) -> tuple[int, dict]:
    """Run the command in a process of its own."""
    command = [sys.executable, "manage.py", "chaos_run", "--json", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603
    assert done.stdout, done.stderr[-2000:]
    return done.returncode, json.loads(done.stdout)


def one_run(folder: Path) -> tuple[int, dict, str]:
    """Run one seed; return how it ended, its document and its log."""
    code, document = typed("--seed", "4", "--hours", str(HOURS), "--log", str(folder / "log.jsonl"))
    return code, document, (folder / "log.jsonl").read_text()


@pytest.fixture(scope="module")
def once(tmp_path_factory) -> tuple[int, dict, str]:
    return one_run(tmp_path_factory.mktemp("chaos"))


def test_a_short_run_keeps_every_promise(once):
    code, document, log = once
    data = document["data"]
    assert (code, data["violations"]) == (0, [])
    assert (data["seed"], data["hours"], data["margin_mode"]) == (4, HOURS, "hedging")
    assert data["sessions"] > HOURS
    assert data["orders"] > 0
    assert data["bot"]["runs"] >= 4 * HOURS
    assert_documented("chaos_run", data)
    assert set(data["faults"]) <= set(FAULTS)
    assert data["faults"]
    lines = [json.loads(line) for line in log.splitlines()]
    assert {"decision", "intent", "attempt", "request", "deal", "fault"} <= {line["kind"] for line in lines}
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)


@pytest.mark.deep
def test_the_same_seed_gives_the_same_log_byte_for_byte(once, tmp_path):
    again = one_run(tmp_path)
    assert again[2] == once[2]
    assert again[1]["data"]["log_sha256"] == once[1]["data"]["log_sha256"]


@pytest.fixture
def state(tmp_path, monkeypatch, db):
    """Give this process a state that has not traded, and a simulated world of its own."""
    for name in ("run", "safety", "sim", "models", "logs"):
        (tmp_path / name).mkdir()
    (tmp_path / MARK).touch()
    for name, value in {"STATE_DIR": str(tmp_path), "SIM_START": (BEGIN + BEFORE_FIRST).isoformat()}.items():
        monkeypatch.setenv(name, value)
    folders = {"STATE_DIR": tmp_path, "RUN_DIR": tmp_path / "run", "SAFETY_DIR": tmp_path / "safety"}
    more = {"SIM_DIR": tmp_path / "sim", "MODEL_DIR": tmp_path / "models", "BINANCE_BASE": ""}
    monkeypatch.setenv("SIM_MARGIN_MODE", "netting")
    with override_settings(**folders, **more, MT5_BRIDGE=desk.BRIDGE):
        yield tmp_path


def answers_lost(seed: int, begin: datetime, n_hours: int, **_: object) -> plans.Plan:
    """Return a plan in which the first answers are lost, and nothing else happens."""
    faults = {"rules": [{"fault": "M20", "times": 4}]}
    return plans.Plan(seed=seed, begin=begin, hours=(plans.HourPlan(),) * n_hours, days=(json.dumps(faults),))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("broken", [True, False], ids=["retries", "waits"])
def test_an_executor_that_retries_what_may_have_been_executed_is_found(state, monkeypatch, broken):
    real = Gate.send

    def again(gate, leg, terms, *, reprices=0):
        result = real(gate, leg, terms, reprices=reprices)
        return real(gate, leg, terms) if result.outcome is Outcome.AMBIGUOUS else result

    monkeypatch.setattr(plans, "make_plan", answers_lost)
    if broken:
        monkeypatch.setattr(Gate, "send", again)
        monkeypatch.setattr(journal, "is_in_doubt", lambda account, symbol: False)
    options = ("--seed", "4", "--hours", "2", "--margin-mode", "netting")  # without the bot, whose filters take a while
    code, document, _ = run_command("chaos_run", "--inside", *options)
    found = {violation["invariant"] for violation in document["data"]["violations"]}
    assert (code, found & {4, 5}) == ((3, {4, 5}) if broken else (0, set()))


def test_what_makes_no_sense_is_wrong_usage():
    for words in (["--hours", "0"], ["--faults", "M99"], ["--margin-mode", "exchange"]):
        assert run_command("chaos_run", "--seed", "1", *words)[0] == 2, words
    assert run_command("chaos_run", "--seed", "-1")[0] == 2


def test_a_state_that_something_lives_in_is_left_alone(tmp_path):
    with override_settings(STATE_DIR=tmp_path):
        for wild in ([], ["--wild"]):
            code, document, _ = run_command("chaos_run", "--inside", "--seed", "1", *wild)
            assert (code, document["ok"]) == (2, False)
    assert list(tmp_path.iterdir()) == []
