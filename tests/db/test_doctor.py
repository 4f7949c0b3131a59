"""The doctor sees what is wrong, says what to type, and never trades."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils.module_loading import import_string

from execution.models import ControlRow, Intent
from execution.safety import control, killswitch
from execution.wire import open_site_terminal
from market.models import Bar, Symbol
from market.symbols import default_symbols
from ops import clock, heartbeats, queues, runs
from ops.audit import SYSTEM
from ops.clock import SystemClock
from ops.errors import ExitCode
from ops.models import Announcement
from strategies.models import FittedModel, PlanRow
from tests.desk import fit_desk, open_desk
from tradingsite import doctor
from tradingsite.doctor import CHECKS, Check, examine
from tradingsite.health import machine, packages
from tradingsite.health.finding import State

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def state(tmp_path, settings):
    """An empty state folder."""
    settings.STATE_DIR = tmp_path
    for name, folder in (("RUN_DIR", "run"), ("SAFETY_DIR", "safety"), ("SIM_DIR", "sim"), ("MODEL_DIR", "models")):
        (tmp_path / folder).mkdir(mode=0o700)
        setattr(settings, name, tmp_path / folder)
    tmp_path.chmod(0o700)
    settings.STATIC_ROOT = tmp_path / "static"
    return tmp_path


@pytest.fixture
def desk(tmp_path):
    with open_desk(tmp_path) as opened:
        yield opened


def look(group: str) -> dict[str, Check]:
    """Return a group's checks by name."""
    return {check.name: check for check in examine([group])}


def one(group: str) -> Check:
    [check] = examine([group])
    return check


# --- as a whole ---------------------------------------------------------------------------------------------------


def test_every_check_is_a_function_that_can_be_called():
    for path in CHECKS.values():
        assert callable(import_string(path))


def test_a_new_site_has_no_failure_but_what_up_will_do(state):
    checks = examine()

    assert {check.group for check in checks} == set(CHECKS)
    assert [check.name for check in checks if check.state is State.FAIL] == ["manifest"]
    assert all(check.fix for check in checks if check.state in (State.FAIL, State.WARN))


def test_a_failure_ends_with_3_and_a_warning_does_not(state):
    def run(*groups: str) -> tuple[int, dict]:
        out = StringIO()
        try:
            call_command("doctor", *groups, "--json", stdout=out)
        except SystemExit as end:
            return int(end.code or 0), json.loads(out.getvalue())
        return 0, json.loads(out.getvalue())

    code, document = run("models")
    assert (code, document["ok"], document["schema"]) == (0, True, "doctor/1")
    assert document["data"]["checks"][0]["state"] == "warn"

    code, document = run("static")
    assert (code, document["ok"]) == (ExitCode.FOUND, False)
    assert set(document["data"]["checks"][0]) == {"group", "name", "state", "detail", "fix"}


def test_an_unknown_group_is_wrong_usage():
    with pytest.raises(CommandError, match="known: environment"):
        call_command("doctor", "horoscope")


def test_it_never_trades(desk):
    default_symbols()
    before = len(desk.deals())

    assert look("terminal")["account"].state is State.OK
    examine()

    assert len(desk.deals()) == before
    assert not Intent.objects.exists()


def test_a_database_without_tables_is_told_once(state, monkeypatch):
    for table in ("ops_heartbeat", "market_symbol"):
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table} RENAME TO {table}_away")
    monkeypatch.setitem(CHECKS, "database", "tests.db.test_doctor.broken_database")
    try:
        checks = {check.group: check for check in examine(["database", "queues", "data"])}
        alone = one("queues")
    finally:
        for table in ("ops_heartbeat", "market_symbol"):
            with connection.cursor() as cursor:
                cursor.execute(f"ALTER TABLE {table}_away RENAME TO {table}")
    assert [checks[group].state for group in ("database", "queues", "data")] == [State.FAIL, State.SKIP, State.SKIP]
    assert alone.state is State.FAIL
    assert alone.fix == "manage.py migrate"


def broken_database():
    yield machine.fail("migrations", "52 not applied", fix="manage.py migrate")


# --- the machine --------------------------------------------------------------------------------------------------


def test_a_key_that_others_can_read_is_a_failure(state):
    key = state / "keys" / "secret_key"
    key.parent.mkdir()
    key.write_text("x" * 40)
    key.chmod(0o600)
    assert look("environment")["secrets"].state is State.OK

    key.chmod(0o640)
    found = look("environment")["secrets"]
    assert found.state is State.FAIL
    assert found.fix == f"chmod 600 {key}"


def test_a_state_folder_that_cannot_be_written_is_a_failure(state, settings):
    (state / "file").touch()
    settings.STATE_DIR = state / "file"
    assert look("environment")["STATE_DIR"].state is State.FAIL


def test_a_state_folder_that_is_open_to_others_is_a_warning(state):
    state.chmod(0o755)
    assert look("environment")["STATE_DIR"].fix == f"chmod 700 {state}"


def test_packages_are_held_to_their_pins(tmp_path):
    pins = tmp_path / "requirements.txt"

    pins.write_text("numpy  # arrays\npsutil\nno-such-package==1.0; sys_platform == 'nowhere'\n")
    [found] = packages.check_packages(pins)
    assert (found.state, found.detail) == (State.OK, "2 as pinned, all import")

    pins.write_text("numpy==0.1\n")
    [found] = packages.check_packages(pins)
    assert found.state is State.WARN
    assert "numpy" in found.detail

    pins.write_text("no-such-package==1.0\n")
    [found] = packages.check_packages(pins)
    assert found.state is State.FAIL


def test_a_package_that_is_installed_and_broken_is_a_failure(tmp_path, monkeypatch):
    def refuse(name: str) -> None:
        raise ImportError(f"{name}.so: undefined symbol")

    monkeypatch.setattr(packages.importlib, "import_module", refuse)
    pins = tmp_path / "requirements.txt"
    pins.write_text("numpy\n")
    [found] = packages.check_packages(pins)
    assert found.state is State.FAIL
    assert "undefined symbol" in found.detail


def test_a_migration_that_is_not_applied_is_a_failure(state):
    recorder = MigrationRecorder(connection)
    app, name = max(key for key in recorder.applied_migrations() if key[0] == "ops")
    recorder.record_unapplied(app, name)
    try:
        found = look("database")["migrations"]
    finally:
        recorder.record_applied(app, name)
    assert (found.state, found.fix) == (State.FAIL, "manage.py migrate")
    assert f"{app}.{name}" in found.detail
    assert look("database")["migrations"].state is State.OK


@pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite's journal")
def test_a_database_without_a_write_ahead_log_is_a_failure(state):
    assert look("database")["journal"].state is State.OK
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode=DELETE")
        try:
            assert look("database")["journal"].state is State.FAIL
        finally:
            cursor.execute("PRAGMA journal_mode=WAL")


def test_an_outbox_that_keeps_nothing_is_a_failure(state, monkeypatch):
    assert one("outbox").state is State.OK
    assert not Announcement.objects.exists(), "it leaves no trace"

    monkeypatch.setattr(machine, "announce", lambda topic, payload: None)
    assert one("outbox").state is State.FAIL


def test_queues_are_skipped_while_nothing_runs(state):
    assert one("queues").state is State.SKIP
    assert "manage.py up" in one("queues").detail


def test_queues_are_judged_by_what_went_through_them(state):
    heartbeats.beat("sentinel")
    heartbeats.beat(queues.beat_name(queues.TRADING))
    found = look("queues")
    assert [found[name].state for name in ("sentinel", "trading")] == [State.OK, State.OK]
    assert found["research"].state is State.FAIL
    assert "replaces it by itself" in found["research"].detail

    run, _ = runs.create_run("fit_models", "by hand", queue=queues.RESEARCH)
    with clock.use(SystemClock()):
        runs.begin(run.pk)
    assert look("queues")["research"].detail.startswith("busy")


def test_a_supervised_desk_without_a_sentinel_is_a_failure(state, monkeypatch):
    monkeypatch.setattr(machine, "groups_file", Supervised)
    assert one("queues").state is State.FAIL


class Supervised:
    def is_supervised(self) -> bool:
        return True


def test_collected_files_that_are_missing_are_a_failure(state):
    folder = state / "static"
    folder.mkdir()
    (folder / "staticfiles.json").write_text(json.dumps({"paths": {"a.css": "a.1.css"}}))
    assert one("static").state is State.FAIL
    (folder / "a.1.css").touch()
    assert one("static").state is State.OK


# --- the market ---------------------------------------------------------------------------------------------------


def test_a_terminal_that_nobody_serves_is_skipped(state, settings):
    settings.MT5_BRIDGE = ""
    assert one("terminal").state is State.SKIP
    assert one("clock").state is State.SKIP


def test_a_terminal_that_should_answer_and_does_not_is_a_failure(state, settings):
    settings.MT5_BRIDGE = "127.0.0.1:9"
    assert look("terminal")["terminal"].state is State.FAIL


def test_a_latch_that_disagrees_with_the_desk_is_a_failure(desk):
    assert look("terminal")["latch"].state is State.OK

    open_site_terminal().latch()
    assert look("terminal")["latch"].state is State.FAIL

    killswitch.latch(SYSTEM, cause="a test")
    assert look("terminal")["latch"].state is State.OK

    open_site_terminal().unlatch()
    found = look("terminal")["latch"]
    assert (found.state, found.fix) == (State.FAIL, "manage.py trade_kill")


@pytest.mark.parametrize(
    ("zone", "state"), [("", State.OK), ("GMT+2", State.OK), ("GMT-4", State.FAIL), ("GMT+9", State.WARN)]
)
def test_the_brokers_clock_is_held_to_the_markets(desk, settings, zone, state):
    """In January the simulated server is at UTC+2; read as further west its ticks lie in the future."""
    default_symbols()
    settings.MT5_TZ = zone
    found = one("clock")
    assert found.state is state, found.detail
    if zone == "GMT-4":
        assert "6 h off" in found.detail


def test_data_is_judged_by_its_end(desk, monkeypatch):
    fit_desk("BTCUSD")
    assert {check.state for check in examine(["data"])} == {State.OK}

    desk.step(timedelta(hours=5))
    late = examine(["data"])
    assert {check.state for check in late} == {State.WARN}, "nothing runs that could bring them"
    assert late[0].fix == "manage.py data_update --symbol BTCUSD"

    monkeypatch.setattr("tradingsite.health.market.groups_file", Supervised)
    assert {check.state for check in examine(["data"])} == {State.FAIL}

    Bar.objects.all().delete()
    assert look("data")["BTCUSD rates"].detail == "no bars"


def test_no_symbol_is_a_warning_not_a_failure(desk):
    Symbol.objects.all().delete()
    assert one("data").state is State.WARN


# --- what is traded on --------------------------------------------------------------------------------------------


def test_models_are_opened_as_a_session_would(desk):
    PlanRow.objects.create(strategy="ema_vol", params={"fast_ema_window": 24}, strat_weight=0.2)
    fit_desk("BTCUSD")
    assert one("models").state is State.OK

    PlanRow.objects.create(strategy="ema_vol", params={"fast_ema_window": 48}, strat_weight=0.2)
    found = one("models")
    assert found.state is State.FAIL
    assert "fast_ema_window=48" in found.detail
    PlanRow.objects.filter(params__fast_ema_window=48).delete()

    model = FittedModel.objects.get()
    file = desk.state_dir / "models" / model.path / "model.joblib"
    file.write_bytes(file.read_bytes() + b"x")
    found = one("models")
    assert (found.state, found.fix) == (State.FAIL, "manage.py fit_models --symbol BTCUSD")


def test_nothing_fitted_is_a_warning(state):
    assert one("models").state is State.WARN


def test_the_armed_file_and_the_row_have_to_agree(desk):
    assert one("armed").state is State.OK

    ControlRow.objects.update(armed_login=1)
    assert one("armed").state is State.FAIL

    control.armed_file().disarm()
    assert "counts as killed" in one("armed").detail

    ControlRow.objects.update(state=ControlRow.State.KILLED)
    assert one("armed").state is State.WARN

    control.armed_file().path.write_text('{"login": 1, "server": "x"}')
    found = one("armed")
    assert (found.state, found.fix) == (State.FAIL, f"rm {control.armed_file().path}")


@pytest.mark.parametrize(("mode", "state_of_it"), [("demo", State.SKIP), ("live", State.WARN)])
def test_a_desk_that_was_never_armed(state, settings, mode, state_of_it):
    settings.TRADING_MODE = mode
    assert one("armed").state is state_of_it


def test_the_text_puts_the_fix_under_what_is_wrong(state):
    text = doctor.as_text(examine(["static", "armed"]))
    fix = "fix: manage.py collectstatic --no-input"
    assert fix in text
    assert text.endswith("0 ok, 0 warn, 1 fail, 1 skip")
