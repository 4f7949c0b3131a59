"""The commands that trade and rule trading: their help, documents and exit codes, and what asks for a person."""

from __future__ import annotations

import builtins
import io
import sys
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.core.management import get_commands, load_command_class

from execution.models import Account, ControlRow, Decision, KillEvent
from execution.safety import control
from execution.safety.control import State
from ops import clock, heartbeats, leases
from ops.command import DeskCommand
from ops.models import AuditEntry, Run
from simulator import metatrader5 as mt5
from tests.command_line import Ended, manage
from tests.desk import START
from tests.fitted_desk import SYMBOLS, fitted_database
from tests.real_course import MovingClock

pytestmark = pytest.mark.slow

OURS = sorted(
    name
    for name, app in get_commands().items()
    if app in ("execution", "market", "strategies") and name not in ("terminal",)
)
SYMBOL_FIELDS = {
    *("symbol", "models", "position_pct", "clipped_pct", "all_in_lots", "target_lots", "current_lots"),
    *("legs", "verdict", "blocker"),
}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory, django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), fitted_database(tmp_path_factory) as fitted:
        yield fitted


@pytest.fixture
def desk(fitted, tmp_path):
    with fitted.opened(tmp_path) as opened:
        yield opened


def document(ended: Ended, name: str, code: int = 0) -> dict[str, Any]:
    """Return the data of a command that ended as it should, and wrote nothing but its document."""
    assert ended.code == code, ended
    assert set(ended.document) - {"error"} == {"ok", "schema", "data", "warnings"}
    assert (ended.document["schema"], ended.document["ok"]) == (f"{name}/1", code == 0)
    assert ended.out.count("\n") == 1
    return ended.data


def rows() -> dict[str, Any]:
    """Return what the apps that rule trading have stored."""
    models = [*apps.get_app_config("execution").get_models(), *apps.get_app_config("ops").get_models()]
    return {model.__name__: list(model._default_manager.order_by("pk").values_list()) for model in models}


# --- all of ours ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OURS)
def test_the_help_begins_with_two_examples_that_parse(name, capsys):
    command = load_command_class(get_commands()[name], name)
    assert isinstance(command, DeskCommand)
    with pytest.raises(SystemExit):
        command.run_from_argv(["manage.py", name, "--help"])
    shown = [line.strip() for line in capsys.readouterr().out.splitlines()]

    assert len(command.examples) == 2
    assert shown[1:3] == [f"manage.py {example}" for example in command.examples]
    assert {"--json", "--no-input"} <= {word.rstrip(",]") for line in shown for word in line.replace("[", "").split()}
    assert ("--dry-run" in " ".join(shown)) == command.writes


def test_every_command_that_changes_trading_can_be_tried_first():
    trading = {name: load_command_class(get_commands()[name], name) for name in OURS if name.startswith("trade_")}

    assert {name for name, command in trading.items() if not command.writes} == {"trade_status"}


# --- trade_status ---------------------------------------------------------------------------------------------------


def test_the_status_has_the_promised_fields_and_the_venues_numbers(desk):
    desk.adjust("BTCUSD", "0.05")
    tick = mt5.symbol_info_tick("ETHUSD")
    by_hand = {"action": 1, "symbol": "ETHUSD", "volume": 0.3, "type": mt5.ORDER_TYPE_SELL, "price": tick.bid}
    mt5.order_send(by_hand | {"type_filling": 1})
    heartbeats.beat("sentinel")
    data = document(manage("trade_status", "--json"), "trade_status")
    account, positions = mt5.account_info(), {p.symbol: p for p in mt5.positions_get()}

    assert set(data) >= {"mode", "state", "account", "positions", "orders", "last_reconcile", "heartbeat_age_s"}
    assert (data["mode"], data["state"]) == ("demo", "armed")
    assert data["account"] == {
        "login": account.login,
        "server": account.server,
        "balance": account.balance,
        "equity": account.equity,
        "margin": account.margin,
    }
    for row in data["positions"]:
        held = positions.pop(row["symbol"])
        shown = {name: row[name] for name in ("volume", "price_open", "price_now", "profit")}
        venue = {"volume": held.volume, "price_open": held.price_open, "price_now": held.price_current}
        assert shown == pytest.approx(venue | {"profit": held.profit})
        assert row["side"] == ("sell" if held.type else "buy")
        assert row["ours"] == (row["symbol"] == "BTCUSD")
    assert not positions
    assert data["orders"] == []
    assert datetime.fromisoformat(data["last_reconcile"]).tzinfo is not None
    assert 0 <= data["heartbeat_age_s"] < 60


def test_a_person_reads_state_account_and_positions_and_no_whole_account_number(desk):
    desk.adjust("BTCUSD", "0.05")
    text = manage("trade_status").out

    assert text.startswith("demo · armed")
    assert f"…{str(desk.account.login)[-4:]}" in text
    assert str(desk.account.login) not in text
    assert "BTCUSD     buy  0.05 at " in text


# --- trade_pause and trade_resume -----------------------------------------------------------------------------------


def test_pausing_and_resuming_say_what_changed_and_who_asked(desk):
    steps = [
        (["trade_pause", "--reason", "news"], {"state": "paused", "changed": True}),
        (["trade_pause"], {"state": "paused", "changed": False}),
        (["trade_resume", "--reason", "over"], {"state": "armed", "changed": True}),
        (["trade_resume"], {"state": "armed", "changed": False}),
    ]
    for command, expected in steps:
        assert document(manage(*command, "--json"), command[0]) == expected

    entries = AuditEntry.objects.filter(action__in=["trade paused", "trade armed"]).order_by("id")
    assert [(entry.reason, entry.source) for entry in entries] == [("news", "command"), ("over", "command")]


@pytest.mark.parametrize("command", ["trade_pause", "trade_resume"])
def test_trying_a_pause_or_a_resume_changes_nothing(desk, command):
    if command == "trade_resume":
        manage("trade_pause")
    before = rows()
    data = document(manage(command, "--dry-run", "--json"), command)

    assert data == {"state": "paused" if command == "trade_pause" else "armed", "changed": True}
    assert "nothing was changed" in manage(command, "--dry-run").out
    assert rows() == before


# --- trade_kill -----------------------------------------------------------------------------------------------------


def test_a_kill_asks_nobody_and_reports_what_it_did(desk, monkeypatch):
    monkeypatch.setattr(builtins, "input", lambda *_: pytest.fail("stopping is easy"))
    desk.adjust("BTCUSD", "0.05")
    data = document(manage("trade_kill", "--reason", "wrong weights", "--json"), "trade_kill")

    assert (data["cause"], data["closed"], data["cancelled"], data["foreign"]) == ("wrong weights", 1, 0, [])
    moments = [datetime.fromisoformat(data[name]) for name in ("latched_at", "terminal_latched_at", "flat_at")]
    assert moments[0] <= moments[2]
    assert data["trouble"] == ""
    text = manage("trade_kill").out
    assert "0 closed, 0 cancelled; flat, read from the broker at" in text


# --- trade_arm ------------------------------------------------------------------------------------------------------


def test_arming_shows_its_checks(desk):
    manage("trade_kill")
    checks = document(manage("trade_arm", "--check", "--json"), "trade_arm")["checks"]

    assert [check["name"] for check in checks] == [
        "the broker answers",
        "no request is in doubt",
        "the broker holds what our book says",
        "there is room to lose",
        "the last kill is flat",
        "the data is fresh",
    ]
    assert all(check["ok"] for check in checks)
    Account.objects.update(initial_balance=200_000)
    failed = manage("trade_arm", "--check")
    assert failed.code == 3
    assert "FAIL there is room to lose: the total, drawdown limit is used up" in failed.out


@pytest.mark.parametrize("arguments", [[], ["--no-input"], ["--json"]])
def test_without_a_phrase_and_without_a_person_nothing_is_armed(desk, arguments):
    manage("trade_kill")
    ended = manage("trade_arm", *arguments)

    assert (ended.code, ended.complaint) == (2, "type the phrase with --phrase 'ARM DEMO'")
    assert control.armed_file().read() is None


class Person(io.StringIO):
    """Somebody at a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("typed", "code", "state"), [("ARM DEMO", 0, State.PAUSED), ("yes", 4, State.KILLED)])
def test_a_person_is_asked_for_the_phrase(desk, monkeypatch, typed, code, state):
    manage("trade_kill")
    monkeypatch.setattr(sys, "stdin", Person(f"{typed}\n"))
    ended = manage("trade_arm", "--reason", "weights corrected")

    assert ended.code == code
    assert "Type ARM DEMO to arm: " in ended.err
    assert "Type" not in ended.out
    assert control.current_control().state == state


def test_arming_ends_paused_and_is_audited(desk):
    manage("trade_kill")
    arguments = ["--phrase", "ARM DEMO", "--reason", "weights corrected"]
    before = rows()
    tried = document(manage("trade_arm", *arguments, "--dry-run", "--json"), "trade_arm")
    assert (tried, control.armed_file().read()) == ({"state": "paused", "dry_run": True}, None)
    assert {name for name, kept in rows().items() if kept != before[name]} == {"Heartbeat"}  # of the reconcile
    data = document(manage("trade_arm", *arguments, "--json"), "trade_arm")

    assert data == {"state": "paused", "server": desk.account.server}
    assert AuditEntry.objects.get(action="trade arm", reason="weights corrected").after == {"state": "paused"}
    assert (ControlRow.objects.get(scope="system").armed_login, KillEvent.objects.filter(rearmed_at=None).count()) == (
        desk.account.login,
        0,
    )


# --- trade_session --------------------------------------------------------------------------------------------------


def test_a_session_by_hand_reports_each_symbol_and_every_leg(desk):
    data = document(manage("trade_session", "--now", "--json"), "trade_session")

    assert {"run_id", "bar_time", "symbols"} <= set(data)
    assert Run.objects.get(pk=data["run_id"]).status == Run.Status.DONE
    assert datetime.fromisoformat(data["bar_time"]) == START.replace(hour=7)
    assert [row["symbol"] for row in data["symbols"]] == list(SYMBOLS)
    deals = {deal.symbol: deal for deal in desk.deals()}
    for row in data["symbols"]:
        assert set(row) >= SYMBOL_FIELDS
        assert {frozenset(model) for model in row["models"]} == {
            frozenset({"strategy", "variant", "version", "position_pct"})
        }
        [leg] = row["legs"]
        deal = deals[row["symbol"]]
        assert leg == {
            "scene": "new",
            "side": "buy" if row["target_lots"] > 0 else "sell",
            "volume": float(deal.volume),
            "retcode": mt5.TRADE_RETCODE_DONE,
            "price": deal.price,
        }
        assert (row["verdict"], row["blocker"]) == ("traded", "")


def test_a_session_that_is_tried_sends_and_stores_nothing_and_shows_the_same_targets(desk):
    before = rows()
    tried = document(manage("trade_session", "--dry-run", "--json"), "trade_session")
    assert (rows(), desk.deals(), tried["run_id"]) == (before, [], None)
    done = document(manage("trade_session", "--now", "--json"), "trade_session")

    def targets(data: dict[str, Any]) -> dict[str, float]:
        return {row["symbol"]: row["target_lots"] for row in data["symbols"]}

    assert targets(tried) == targets(done)


def test_a_session_of_one_symbol_leaves_the_others_alone(desk):
    data = document(manage("trade_session", "--now", "--symbol", "ETHUSD", "--json"), "trade_session")

    assert [row["symbol"] for row in data["symbols"]] == ["ETHUSD"]
    assert {deal.symbol for deal in desk.deals()} == {"ETHUSD"}
    assert set(Decision.objects.values_list("symbol", flat=True)) == {"ETHUSD"}


def test_a_session_waits_for_its_slot_and_the_next_one_for_the_one_after(desk):
    with clock.use(MovingClock(desk.clock.path)) as moving:
        slots = []
        for hour in (8, 9):
            moving.sleep_until(START.replace(hour=hour, second=44))  # it waits for the last second
            slots.append(document(manage("trade_session", "--json"), "trade_session")["slot"])
            assert timedelta(0) <= moving.market_now() - START.replace(hour=hour, second=45) < timedelta(seconds=2)
    assert slots == ["2026-01-05T08", "2026-01-05T09"]


def test_a_session_while_somebody_else_trades_is_refused(desk):
    leases.acquire("trader", holder="another machine", ttl_s=300)
    ended = manage("trade_session", "--now", "--json")

    assert ended.code == 4
    assert ended.document["error"].startswith("trader is held by another machine for another ")
    assert desk.deals() == []
