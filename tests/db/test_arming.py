"""After a kill or during a pause: what it takes to trade again, and what is done meanwhile."""

from __future__ import annotations

import pytest

from execution.models import ControlRow, RebalanceSettings
from execution.safety import control, killswitch
from execution.safety.control import State
from execution.wire import open_site_terminal
from market.models import Bar
from ops.audit import SYSTEM
from tests.command_line import manage
from tests.desk import START, run_slot
from tests.fitted_desk import SYMBOLS, fitted_database

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fitted(tmp_path_factory, django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), fitted_database(tmp_path_factory) as fitted:
        yield fitted


@pytest.fixture
def desk(fitted, tmp_path):
    with fitted.opened(tmp_path) as opened:
        yield opened


def refused(*arguments: str) -> str:
    ended = manage("trade_arm", *arguments)
    assert ended.code == 4
    assert control.armed_file().read() is None
    return ended.complaint


def test_arming_takes_the_phrase_and_every_check(desk, monkeypatch):
    desk.adjust("BTCUSD", "0.05")
    killswitch.latch(SYSTEM, cause="test")
    assert refused("--phrase", "arm demo") == "type 'ARM DEMO' to arm, was 'arm demo'"
    assert refused("--phrase", "ARM DEMO") == "not armed: the last kill is flat: positions are still open"
    assert manage("trade_kill").code == 0
    newest = Bar.objects.filter(symbol="BTCUSD").order_by("-open_ms").values_list("pk", flat=True)[:5]
    Bar.objects.filter(pk__in=list(newest)).delete()
    assert refused("--phrase", "ARM DEMO").startswith("not armed: the data is fresh: BTCUSD (")
    assert manage("data_update").code == 0
    assert manage("trade_arm", "--phrase", "ARM DEMO", "--reason", "weights corrected").code == 0

    assert control.current_control().state == State.PAUSED
    assert not open_site_terminal().status().latched
    assert "paused" in desk.adjust("ETHUSD", "0.50", cause="slot 8").blocker
    assert manage("trade_resume").code == 0
    assert desk.adjust("ETHUSD", "0.50", cause="slot 9").blocker == ""


def test_resuming_is_no_way_out_of_a_kill(desk):
    assert manage("trade_kill").code == 0
    ended = manage("trade_resume", "--json")

    assert (ended.code, ended.data) == (4, {"state": "killed", "changed": False})
    assert ControlRow.objects.get(scope="system").state == State.KILLED


def test_a_pause_keeps_sessions_from_opening_lets_them_reduce_and_ends_with_a_resume(desk):
    def hour(number: int, capital: int) -> tuple[set[str], int]:
        RebalanceSettings.objects.update_or_create(pk=1, defaults={"sizing_capital": capital})
        report = run_slot(desk, START.replace(hour=number))
        return {row.verdict for row in report.symbols}, int(report.exit_code)

    assert manage("trade_pause", "--reason", "news").code == 0
    assert hour(9, 40_000) == ({"blocked"}, 4)
    assert desk.deals() == []
    assert manage("trade_resume").code == 0
    assert hour(10, 40_000) == ({"traded"}, 0)
    held = {name: abs(desk.lots(name)) for name in SYMBOLS}
    manage("trade_pause")
    assert hour(11, 10_000) == ({"traded"}, 0)
    reduced = {name: abs(desk.lots(name)) for name in SYMBOLS}
    assert all(0 < reduced[name] < held[name] for name in SYMBOLS)
    assert hour(12, 80_000) == ({"blocked"}, 4)
    assert {name: abs(desk.lots(name)) for name in SYMBOLS} == reduced
