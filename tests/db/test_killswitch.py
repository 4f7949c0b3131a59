"""Kill: latched at once, flat by the broker's word, the same once or ten times."""

from __future__ import annotations

from decimal import Decimal

import pytest

from execution.errors import RiskRefusedError, UnknownKillError
from execution.guarding import notice_missing_file
from execution.killing import kill_and_flatten
from execution.models import Attempt, ControlRow, Intent, KillEvent
from execution.rearm import arm, arm_checks, arm_phrase
from execution.safety import control, killswitch
from execution.safety.control import State
from execution.sentinel import Sentinel
from ops import heartbeats
from ops.audit import SYSTEM
from ops.models import Alert, AuditEntry
from simulator import metatrader5
from tests.desk import open_desk

pytestmark = pytest.mark.django_db(transaction=True)
TEN = ["BTCUSD", "ETHUSD", "BNBUSD", "SOLUSD", "ADAUSD"]


@pytest.fixture(params=["hedging", "netting"])
def desk(request, tmp_path):
    with open_desk(tmp_path, margin_mode=request.param) as opened:
        yield opened


def open_several(desk) -> None:
    for number, symbol in enumerate(TEN):
        lots = "0.10" if number % 2 else "-0.10"
        if symbol == "ADAUSD":
            lots = "10"
        assert desk.adjust(symbol, lots, cause=f"slot {number}").blocker == ""


def by_hand(symbol: str, volume: float) -> None:
    tick = metatrader5.symbol_info_tick(symbol)
    request = {"action": 1, "symbol": symbol, "volume": volume, "type": 0, "price": tick.ask, "type_filling": 1}
    assert metatrader5.order_send(request).retcode == 10009


def test_a_kill_closes_everything_of_ours_and_the_broker_confirms_it(desk):
    open_several(desk)
    state = kill_and_flatten(SYSTEM, cause="test", timeout_s=30)

    assert state["flat_at"] is not None
    assert state["closed"] == len(TEN)
    assert desk.broker.positions() == ()
    assert control.current_control().state == State.KILLED


def test_killing_twice_is_the_same_as_once(desk):
    open_several(desk)
    killswitch.latch(SYSTEM, cause="first")
    killswitch.latch(SYSTEM, cause="second")

    assert KillEvent.objects.count() == 1
    assert KillEvent.objects.get().cause == "first"


def test_seeing_a_kill_through_that_is_flat_already_begins_no_other(desk):
    open_several(desk)
    event = killswitch.latch(SYSTEM, cause="first")
    Sentinel().round()
    state = kill_and_flatten(SYSTEM, cause="second", timeout_s=30, latched=event.pk)

    assert (KillEvent.objects.count(), state["cause"]) == (1, "first")
    assert state["flat_at"] is not None
    assert control.current_control().state == State.KILLED


def test_a_kill_that_is_not_there_cannot_be_seen_through(desk):
    with pytest.raises(UnknownKillError, match="no kill 7"):
        kill_and_flatten(SYSTEM, cause="test", timeout_s=30, latched=7)


def test_a_position_made_by_hand_is_left_alone_and_counted(tmp_path):
    with open_desk(tmp_path, margin_mode="hedging") as desk:
        desk.adjust("BTCUSD", "0.10")
        by_hand("ETHUSD", 0.5)
        state = kill_and_flatten(SYSTEM, cause="test", timeout_s=30)

        assert state["flat_at"] is not None
        assert [p.symbol for p in desk.broker.positions()] == ["ETHUSD"]
        assert state["foreign_untouched"] == 1


def test_the_sentinel_flattens_what_somebody_else_killed(desk):
    open_several(desk)
    killswitch.latch(SYSTEM, cause="test")
    Sentinel().round()

    assert desk.broker.positions() == ()
    assert KillEvent.objects.get().flat_at is not None


def test_removing_the_file_by_hand_is_a_kill(desk):
    desk.adjust("BTCUSD", "0.10")
    control.armed_file().path.unlink()
    notice_missing_file()

    assert ControlRow.objects.get(scope="system").state == State.KILLING
    assert "armed file" in KillEvent.objects.get().cause


def test_who_killed_flattens_when_the_sentinel_is_gone(desk):
    desk.adjust("BTCUSD", "0.10")
    heartbeats.beat("sentinel")
    desk.clock.slept += 10

    assert kill_and_flatten(SYSTEM, cause="test", timeout_s=30)["flat_at"] is not None


def test_every_close_of_a_kill_was_journalled(desk):
    open_several(desk)
    before = Attempt.objects.count()
    kill_and_flatten(SYSTEM, cause="test", timeout_s=30)

    assert Attempt.objects.count() - before == len(TEN)
    assert Intent.objects.filter(cause="kill", status=Intent.Status.DONE).count() == len(TEN)


def test_a_kill_is_audited_and_shouts(desk):
    killswitch.latch(SYSTEM, cause="test")

    assert AuditEntry.objects.filter(action="trade kill").exists()
    assert Alert.objects.get(key="kill").level == Alert.Level.CRITICAL


def test_a_kill_works_while_the_terminal_is_away(desk, settings):
    desk.adjust("BTCUSD", "0.10")
    settings.MT5_BRIDGE = "127.0.0.1:1"
    event = killswitch.latch(SYSTEM, cause="test")

    assert event.terminal_latched_at is None
    assert control.armed_file().read() is None
    assert ControlRow.objects.get(scope="system").state == State.KILLING


class TestRearming:
    def test_it_takes_the_phrase(self, desk):
        kill_and_flatten(SYSTEM, cause="test", timeout_s=30)
        with pytest.raises(RiskRefusedError, match="ARM DEMO"):
            arm(SYSTEM, phrase="please", reason="")

    def test_a_failed_check_is_named(self, desk):
        desk.adjust("BTCUSD", "0.10")
        killswitch.latch(SYSTEM, cause="test")
        failed = {check.name for check in arm_checks() if not check.ok}

        assert "the last kill is flat" in failed
        with pytest.raises(RiskRefusedError, match="not armed"):
            arm(SYSTEM, phrase=arm_phrase(), reason="")

    def test_after_rearming_trading_is_paused_and_resume_lets_it_trade(self, desk, monkeypatch):
        monkeypatch.setattr("execution.rearm._data_checks", lambda: iter(()))
        kill_and_flatten(SYSTEM, cause="test", timeout_s=30)
        arm(SYSTEM, phrase=arm_phrase(), reason="fixed")

        assert control.current_control().state == State.PAUSED
        assert control.resume(SYSTEM)
        assert desk.adjust("BTCUSD", "0.10", cause="slot 9").blocker == ""
        assert desk.lots("BTCUSD") == Decimal("0.10")
