"""A terminal that is not there, not ours or not the right one: nothing is read, nothing is lost, nothing is sent, and a
kill latches all the same.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.db.models import Count, Sum

from execution.safety.armed import ArmedMark
from execution.safety.control import armed_file
from market.models import Bar, Kline
from ops.models import Run
from simulator import metatrader5
from tests.command_line import manage
from tests.fitted_desk import SYMBOLS, fitted_database
from tests.terminal_server import Server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fitted(tmp_path_factory, django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), fitted_database(tmp_path_factory) as fitted:
        yield fitted


@pytest.fixture
def desk(fitted, tmp_path):
    with fitted.opened(tmp_path) as opened:
        before = stored(), opened.deals()
        yield opened
        assert (stored(), opened.deals()) == before


def stored() -> list[dict[str, Any]]:
    """Return the stored bars, added up."""
    prices = {name: Sum(name) for name in ("open_ms", "open", "high", "low", "close")}
    return [model.objects.aggregate(n=Count("id"), **prices) for model in (Bar, Kline)]


@pytest.fixture(scope="module")
def real_server(tmp_path_factory):
    """Serve a terminal in a process of its own, which wants its token."""
    server = Server(tmp_path_factory.mktemp("server")).start()
    yield server.published()
    server.process.terminate()
    server.process.communicate()


def no_terminal(desk, settings, real_server, monkeypatch) -> None:
    settings.MT5_BRIDGE = ""


def nobody_listens(desk, settings, real_server, monkeypatch) -> None:
    settings.MT5_BRIDGE = "127.0.0.1:1"
    monkeypatch.setenv("MT5_BRIDGE_TOKEN", "t" * 40)


def a_wrong_token(desk, settings, real_server, monkeypatch) -> None:
    settings.MT5_BRIDGE = f"127.0.0.1:{real_server['port']}"
    monkeypatch.setenv("MT5_BRIDGE_TOKEN", "w" * 40)


def a_token_of_two_lines(desk, settings, real_server, monkeypatch) -> None:
    settings.MT5_BRIDGE = f"127.0.0.1:{real_server['port']}"
    monkeypatch.setenv("MT5_BRIDGE_TOKEN", "two\nlines")


def a_stranger(desk, settings, real_server, monkeypatch) -> None:
    settings.MT5_BRIDGE = settings.BINANCE_BASE.removeprefix("http://")
    monkeypatch.setenv("MT5_BRIDGE_TOKEN", "t" * 40)


def no_address(desk, settings, real_server, monkeypatch) -> None:
    settings.MT5_BRIDGE = "moon"


def no_module(desk, settings, real_server, monkeypatch) -> None:
    settings.MT5_BRIDGE = "module:moon"


def another_login(desk, settings, real_server, monkeypatch) -> None:
    settings.MT5_LOGIN, settings.MT5_SERVER = desk.account.login + 1, desk.account.server


def another_server(desk, settings, real_server, monkeypatch) -> None:
    settings.MT5_LOGIN, settings.MT5_SERVER = desk.account.login, "Real-1"


def a_wrong_password(desk, settings, real_server, monkeypatch) -> None:
    metatrader5.shutdown()
    settings.MT5_LOGIN, settings.MT5_SERVER = desk.account.login, desk.account.server
    settings.MT5_PASSWORD = "not-the-password"


CREDENTIALS = "Authorization failed"
CASES = [
    (no_terminal, "no terminal has published itself in", "start it with: manage.py terminal"),
    (nobody_listens, "no terminal answers at 127.0.0.1 port 1", "start it with: manage.py terminal"),
    (a_wrong_token, "refused the token", "set MT5_BRIDGE_TOKEN to its token"),
    (a_token_of_two_lines, "MT5_BRIDGE_TOKEN cannot be used", "a token is printable ASCII on one line"),
    (a_stranger, "is no terminal", "set MT5_BRIDGE to the address of one"),
    (no_address, "MT5_BRIDGE='moon'", "use host:port, module:dotted.path, or nothing"),
    (no_module, "cannot import module 'moon'", "No module named 'moon'"),
    (another_login, CREDENTIALS, "check MT5_LOGIN, MT5_SERVER and MT5_PASSWORD"),
    (another_server, CREDENTIALS, "check MT5_LOGIN, MT5_SERVER and MT5_PASSWORD"),
    (a_wrong_password, CREDENTIALS, "check MT5_LOGIN, MT5_SERVER and MT5_PASSWORD"),
]
TERMINALS = pytest.mark.parametrize(("spoil", "wrong", "remedy"), CASES)


@TERMINALS
def test_without_the_right_terminal_nothing_is_read_and_nothing_sent(
    desk, settings, real_server, monkeypatch, spoil, wrong, remedy
):
    spoil(desk, settings, real_server, monkeypatch)
    for command in (["signal_run"], ["trade_session", "--now"], ["trade_session", "--dry-run"], ["trade_status"]):
        ended = manage(*command, "--json")

        assert ended.code == 6, command
        assert ended.document["error"] == ended.complaint
        assert wrong in ended.complaint
        assert remedy in ended.complaint
        assert "not-the-password" not in ended.out + ended.err
    assert [run.status for run in Run.objects.all()] == [Run.Status.FAILED]
    assert wrong in Run.objects.get().error


@pytest.mark.parametrize(("spoil", "wrong", "remedy"), CASES[::3])
def test_without_the_right_terminal_the_other_sources_are_updated(
    desk, settings, real_server, monkeypatch, spoil, wrong, remedy
):
    spoil(desk, settings, real_server, monkeypatch)
    ended = manage("data_update", "--json")
    updates = {(row["symbol"], row["source"]): row["error"] for row in ended.data["symbols"]}

    assert (ended.code, ended.data["unreachable"]) == (6, ["mt5"])
    assert {updates[name, "binance"] for name in SYMBOLS} == {None}
    [warning] = ended.document["warnings"]
    assert {f"mt5: {updates[name, 'mt5']}" for name in SYMBOLS} == {warning}
    assert wrong in warning
    assert remedy in warning


@TERMINALS
def test_without_the_right_terminal_nothing_can_be_armed_and_a_kill_latches_all_the_same(
    desk, settings, real_server, monkeypatch, spoil, wrong, remedy
):
    spoil(desk, settings, real_server, monkeypatch)
    checked = manage("trade_arm", "--check")
    refused = manage("trade_arm", "--phrase", "ARM DEMO")
    killed = manage("trade_kill", "--timeout", "0.1", "--json")

    assert (checked.code, refused.code, killed.code) == (3, 4, 1)
    assert wrong in checked.out
    assert wrong in refused.complaint
    assert wrong in killed.document["warnings"][0]
    assert killed.data["flat_at"] is None
    assert armed_file().read() is None


def test_another_account_than_the_armed_one_is_not_traded(desk):
    armed_file().arm(ArmedMark(login=desk.account.login + 1, server=desk.account.server))
    ended = manage("trade_session", "--now", "--json")

    assert ended.code == 4
    assert {(row["verdict"], row["blocker"]) for row in ended.data["symbols"]} == {
        ("blocked", "this account is not one that was armed")
    }
