"""What ``docs/commands.md`` says of each command's document and exit codes, against the commands on a small desk."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.core.management import call_command, get_commands, load_command_class
from django.db import connection

from execution.watching import store_watched, watch
from market.models import Symbol
from market.updating import update_all_data
from ops import runs
from ops.command import DeskCommand
from ops.errors import ExitCode
from ops.models import Alert
from strategies.models import Backtest, FittedModel
from tests.alert_receiver import listening, told_to
from tests.bars_builders import make_bars
from tests.desk import open_desk
from tests.docs_shapes import COMMANDS, Shape, assert_documented, assert_shape, documented, shape_of
from tests.fits_builders import plan_row, run_command
from tests.programme_builders import make_programme

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("documented commands"), pytest.mark.slow]

LASTING = {"up", "sentinel", "notifier"}  # they serve until they are stopped
# They want a day of sessions, minutes, a process, a filter: test_backtest_replay, test_benchmarks, test_chaos_run,
# test_mlfilter_setups, test_mlfilter_training and test_bot_commands type them.
ELSEWHERE = {"backtest_receipt", "bench", "chaos_run", "setup_train", "setup_scan", "setup_backtest", "bot_run"}
# Every line is typed on the same desk, in this order, and has to end so.
TYPED = [
    ("status", 0),
    ("doctor database outbox", 0),
    ("doctor everything", 2),
    ("signal_explain BTCUSD", 5),
    ("fit_models --dry-run", 0),
    ("fit_models", 0),
    ("fit_models --symbol NONE", 2),
    ("model_list", 0),
    ("model_list --symbol NONE", 2),
    ("model_list --archive --no-input", 2),
    ("model_show MODEL", 0),
    ("model_show 0", 2),
    ("model_rollback MODEL", 1),
    ("model_rollback", 2),
    ("fit_models --no-activate", 0),
    ("model_promote MODEL --dry-run", 4),
    ("model_promote MODEL --override", 2),
    ("model_promote MODEL --shadow", 0),
    ("model_promote 0", 2),
    ("fit_models", 0),
    ("model_rollback --all --dry-run", 0),
    ("data_update", 0),
    ("data_update --symbol NONE", 2),
    ("data_status", 0),
    ("data_check", 3),  # the hour that the broker's clock shows twice
    ("data_import FILE --symbol BTCUSD --dry-run", 0),
    ("data_import MISSING --symbol BTCUSD", 2),
    ("signal_run", 0),
    ("signal_run --symbol NONE", 2),
    ("trade_session --now", 0),
    ("trade_session --now --dry-run", 0),
    ("signal_explain BTCUSD", 0),
    ("signal_explain BTCUSD --at noon", 2),
    ("trade_status", 0),
    ("risk_status", 0),
    ("ftmo_status", 5),
    ("ftmo_status --programme PROGRAMME", 0),
    ("ftmo_status --programme none", 2),
    ("job_list", 0),
    ("job_cancel RUN", 0),
    ("job_cancel RUN", 4),
    ("job_cancel 0", 2),
    ("session_replay --begin 2026-01-05 --end 2026-01-06", 6),
    ("chaos_run --seed 1 --hours 0", 2),
    ("tune_strategy break_vol --symbol BTCUSD --grid GRID --splits 2", 0),
    ("tune_strategy break_vol --symbol BTCUSD --grid GRID --queue", 0),
    ("tune_strategy none --symbol BTCUSD --grid GRID", 2),
    ("backtest_run --begin 2026-01-02 --end 2026-01-04 --dry-run", 0),
    ("backtest_run --begin 2025-12-01 --end 2026-01-04", 0),
    ("backtest_run --begin 2025-12-01 --end 2026-01-04 --spread 0", 0),
    ("backtest_run --begin 2026-01-02 --end 2026-01-04 --queue", 0),
    ("backtest_run --begin 2026-01-04 --end 2026-01-02", 2),
    ("backtest_list", 0),
    ("backtest_compare FIRST SECOND", 0),
    ("backtest_compare FIRST", 2),
    ("backtest_export FIRST --dir FOLDER", 0),
    ("backtest_report FIRST --out SHEET", 0),
    ("backtest_receipt --day 2025-01-01", 5),
    ("cost_compare", 0),
    ("cost_compare --symbol NONE", 2),
    ("pnl_analyse --backtest FIRST", 0),
    ("pnl_analyse --backtest 0", 2),
    ("sync_schedules", 0),
    ("trade_pause", 0),
    ("trade_resume", 0),
    ("trade_kill --dry-run", 0),
    ("trade_arm --check", 0),
    ("trade_kill", 0),
    ("alert_list", 0),
    ("alert_acknowledge ALERT --dry-run", 0),
    ("alert_acknowledge ALERT", 0),
    ("alert_acknowledge 0", 2),
    ("alert_test --dry-run", 0),
    ("alert_test", 0),
    ("trade_session --now", 4),
    ("trade_resume", 4),
    ("trade_arm --no-input", 2),
    ("trade_arm --phrase nonsense", 4),
    ("trade_arm --phrase ARM_DEMO --dry-run", 0),
    ("trade_arm --phrase ARM_DEMO", 0),
    ("demo_load", 0),
    ("demo_clear --dry-run", 0),
    ("demo_clear --no-input", 2),
]


@dataclass(frozen=True, slots=True)
class Said:
    """What a typed line came to."""

    line: str
    expected: int
    code: int
    data: Shape
    error: str


@pytest.fixture(scope="module")
def said(tmp_path_factory, django_db_setup, django_db_blocker) -> list[Said]:
    """Type every line on a desk of one symbol and one small model."""
    folder = tmp_path_factory.mktemp("documented")
    with django_db_blocker.unblock():
        assert connection.settings_dict["NAME"] == connection.settings_dict["TEST"]["NAME"], "this empties the database"
        try:
            with open_desk(folder) as desk, listening() as receiver, told_to(receiver.url):
                store_watched(desk.account, watch(desk.broker))
                Symbol.objects.create(name="BTCUSD", binance_symbol="BTCUSDT")
                plan_row(strat_weight=1.0)
                make_programme()
                update_all_data()
                return [_typed(line, expected, folder) for line, expected in TYPED]
        finally:
            call_command("flush", verbosity=0, interactive=False)


def _typed(line: str, expected: int, folder: Path) -> Said:
    newest = FittedModel.objects.order_by("-pk").first()
    waiting, _ = runs.create_run("fit_models", "asked for")
    words = {"FILE": str(_bar_file(folder)), "MISSING": str(folder / "none.csv"), "ARM_DEMO": "ARM DEMO"}
    alert = Alert.objects.first()
    words |= {"PROGRAMME": "two-step", "ALERT": str(alert.pk if alert else 0)}
    words |= {"MODEL": str(newest.pk if newest else 0), "RUN": str(waiting.pk)}
    words |= {"GRID": '{"breakout_window": [48, 96]}', "FOLDER": str(folder / "out"), "SHEET": str(folder / "a.html")}
    tested = [str(key) for key in Backtest.objects.order_by("pk").values_list("pk", flat=True)]
    words |= dict(zip(("FIRST", "SECOND"), tested, strict=False))
    name, *arguments = [words.get(word, word) for word in line.split()]
    code, document, error = run_command(name, *arguments)
    return Said(line, expected, code, document.get("data", {}), document.get("error", error))


def _bar_file(folder: Path) -> Path:
    """Return a file of ten hours as Binance publishes them."""
    bars = make_bars(n=10, start="2019-01-01")
    rows = bars[["open", "high", "low", "close", "volume"]].reset_index(drop=True)
    rows.insert(0, "open_time", bars.index.as_unit("ms").asi8)
    rows.to_csv(folder / "bars.csv", index=False)
    return folder / "bars.csv"


def legs_are_there(said: list[Said]) -> bool:
    return any(one.data["symbols"][0]["legs"] for one in said if one.line == "trade_session --now" and one.data)


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - LASTING - ELSEWHERE))
def test_a_document_has_the_fields_that_the_docs_say(command, said):
    shapes = documented(command, "Data")
    runs = [one for one in said if one.line.split()[0] == command and one.data]
    assert bool(runs) == bool(shapes), f"{command} was typed {len(runs)} times, the docs have {len(shapes)} shapes"
    for one in runs:
        assert_documented(one.line, one.data)


def test_a_session_of_the_small_desk_sends_something(said):
    assert legs_are_there(said)


@pytest.mark.parametrize("line", range(len(TYPED)), ids=[line for line, _ in TYPED])
def test_a_command_ends_as_the_docs_say(line, said):
    one = said[line]
    assert one.code == one.expected, one.error
    assert one.code in exit_codes(one.line.split()[0])


def exit_codes(command: str) -> set[int]:
    [text] = documented(command, "Exit").values()
    return {int(code) for code in re.findall(r"(?:^|· )(\d+)", text)}


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_exit_codes_are_of_the_list_and_have_those_that_the_code_names(command):
    loaded = load_command_class(get_commands()[command], command)
    if not isinstance(loaded, DeskCommand):
        return  # the simulator and the terminal say theirs in their own words
    assert exit_codes(command) <= {int(code) for code in ExitCode}
    source = Path(__import__(type(loaded).__module__, fromlist=["Command"]).__file__).read_text()
    named = {int(ExitCode[name]) for name in re.findall(r"ExitCode\.([A-Z]+)", source)}
    assert named <= exit_codes(command)


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("a, b", {"a": None, "b": None}),
        ("a: {b, c: [{d}]}, e", {"a": {"b": None, "c": {"d": None}}, "e": None}),
        ("a: {b, …}", {"a": {"b": None, "…": None}}),
    ],
)
def test_a_shape_is_read_as_it_is_written(text, shape):
    assert shape_of(text) == shape


def test_a_field_that_the_docs_lack_is_noticed():
    with pytest.raises(AssertionError, match=r"x\.a"):
        assert_shape({"a": {"b": None}}, {"a": [{"b": 1, "c": 2}]}, "x")
    assert_shape({"a": {"b": None, "…": None}}, {"a": [{"b": 1, "c": 2}]}, "x")
