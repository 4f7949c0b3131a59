"""The gate refuses what it must, and what slips past it is refused at the fence."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import transaction

from execution.brokers.base import Permit
from execution.errors import RiskRefusedError
from execution.models import Attempt, ControlRow, LimitRow
from execution.safety import control, killswitch
from execution.safety.armed import ArmedMark
from execution.safety.control import State
from execution.safety.outcomes import Outcome
from execution.wire import open_site_terminal
from market.terminal.errors import TerminalRefusedError
from ops import leases
from ops.audit import SYSTEM
from simulator import metatrader5
from tests.desk import open_desk

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk(tmp_path):
    with open_desk(tmp_path) as opened:
        yield opened


def blocked(adjusted, words: str) -> bool:
    return words in adjusted.blocker


def test_nothing_is_opened_while_paused_and_positions_may_still_shrink(desk):
    desk.adjust("BTCUSD", "0.20")
    control.pause(SYSTEM, reason="lunch")

    assert blocked(desk.adjust("BTCUSD", "0.30", cause="slot 2"), "paused: lunch")
    assert desk.adjust("BTCUSD", "0.05", cause="slot 3").blocker == ""
    assert desk.lots("BTCUSD") == Decimal("0.05")


def test_the_open_leg_of_a_reverse_is_dropped_while_paused(desk):
    desk.adjust("BTCUSD", "0.20")
    control.pause(SYSTEM)
    desk.adjust("BTCUSD", "-0.20", cause="slot 2")

    assert desk.lots("BTCUSD") == 0


def test_without_the_armed_file_nothing_is_sent(desk):
    control.armed_file().path.unlink()

    assert blocked(desk.adjust("BTCUSD", "0.10"), "killed")
    assert desk.deals() == []
    assert Attempt.objects.count() == 0


def test_an_unreadable_armed_file_means_killed(desk):
    control.armed_file().path.write_text("{")

    assert blocked(desk.adjust("BTCUSD", "0.10"), "killed")


def test_another_account_than_the_armed_one_is_refused(desk):
    ControlRow.objects.update(armed_login=42)

    assert blocked(desk.adjust("BTCUSD", "0.10"), "not one that was armed")
    assert desk.deals() == []


def test_where_another_account_was_armed_by_file_and_row_this_one_is_refused(desk):
    control.armed_file().arm(ArmedMark(login=42, server=desk.account.server))
    ControlRow.objects.update(armed_login=42, armed_server=desk.account.server)

    assert blocked(desk.adjust("BTCUSD", "0.10"), "not one that was armed")
    assert desk.deals() == []


def test_a_trader_whose_lease_was_taken_over_reduces_nothing_either(desk):
    first = desk.gate(holder="first")
    desk.adjust("BTCUSD", "0.20", gate=first)
    desk.clock.slept += 60
    desk.gate(holder="second")

    assert blocked(desk.adjust("BTCUSD", "0.10", cause="slot 2", gate=first), "lease")
    assert desk.lots("BTCUSD") == Decimal("0.20")


@pytest.mark.parametrize(("target", "left"), [("0.30", "0.20"), ("0.05", "0.20"), ("0", "0")])
def test_a_doubt_that_arises_after_the_plan_stops_all_but_the_whole_close_of_a_ticket(desk, target, left):
    desk.adjust("BTCUSD", "0.20")
    gate = desk.gate()
    send = gate.send

    def send_into_a_doubt(leg, terms, **more):
        Attempt.objects.update(outcome="ambiguous", resolved_at=None)
        return send(leg, terms, **more)

    gate.send = send_into_a_doubt
    adjusted = desk.adjust("BTCUSD", target, cause="slot 2", gate=gate)

    assert blocked(adjusted, "not known yet") == (left != "0")
    assert desk.lots("BTCUSD") == Decimal(left)


def test_a_trader_whose_lease_was_taken_over_opens_nothing(desk):
    first = desk.gate(holder="first")
    desk.clock.slept += 60
    desk.gate(holder="second")

    assert blocked(desk.adjust("BTCUSD", "0.10", gate=first), "lease")
    assert desk.deals() == []


def test_a_limit_that_a_person_set_is_kept(desk):
    LimitRow.objects.create(name="max_order_notional", value=Decimal(100))

    adjusted = desk.adjust("BTCUSD", "0.10")

    assert blocked(adjusted, "order_cap")
    assert Attempt.objects.count() == 0


def test_a_stale_bar_opens_nothing(desk):
    target = desk.target("BTCUSD", "0.10")
    old = replace(target, terms=replace(target.terms, bar_at=target.terms.bar_at - timedelta(hours=1)))
    from execution.adjust import Adjuster

    adjusted = Adjuster(desk.broker, desk.account, desk.gate()).adjust(old)

    assert blocked(adjusted, "closed_bar")


def test_no_transaction_may_be_open_during_a_send(desk):
    with transaction.atomic(), pytest.raises(RuntimeError, match="no transaction"):
        desk.adjust("BTCUSD", "0.10")


def test_a_request_without_an_answer_freezes_its_symbol(desk):
    desk.adjust("BTCUSD", "0.10")
    Attempt.objects.update(outcome="", resolved_at=None)

    assert blocked(desk.adjust("BTCUSD", "0.20", cause="slot 2"), "not known yet")
    assert desk.adjust("ETHUSD", "0.50", cause="slot 2").blocker == ""


def test_an_unanswered_attempt_counts_as_exposure(desk):
    desk.adjust("BTCUSD", "0.10")
    Attempt.objects.update(outcome="", resolved_at=None)
    worth = Decimal("0.50") * desk.broker.quote("ETHUSD").mid
    held = Decimal("0.20") * desk.broker.quote("BTCUSD").mid  # 0.10 held, 0.10 perhaps
    equity = desk.broker.account().equity
    LimitRow.objects.create(
        name="max_gross", value=((worth + held) * Decimal("0.99") / equity).quantize(Decimal("1e-6"))
    )

    assert blocked(desk.adjust("ETHUSD", "0.50", cause="slot 2"), "gross_cap")


def test_somebody_elses_positions_count_as_exposure(desk):
    tick = metatrader5.symbol_info_tick("ETHUSD")
    request = {"action": 1, "symbol": "ETHUSD", "volume": 3.0, "type": 0, "price": tick.ask, "type_filling": 1}
    assert metatrader5.order_send(request).retcode == 10009
    worth = Decimal("0.10") * desk.broker.quote("BTCUSD").mid / desk.broker.account().equity
    LimitRow.objects.create(name="max_gross", value=(worth * Decimal("1.5")).quantize(Decimal("1e-6")))

    assert blocked(desk.adjust("BTCUSD", "0.10"), "gross_cap")


class TestTheFence:
    """Writes that arrive at the terminal too late, whatever their sender believed."""

    def request(self, desk):
        from execution.brokers.base import OrderTicket
        from execution.planning.orders import Side

        return OrderTicket(symbol="BTCUSD", side=Side.BUY, volume=Decimal("0.10"), magic=1)

    def test_after_the_latch_only_reductions_pass(self, desk):
        desk.adjust("BTCUSD", "0.10")
        killswitch.latch(SYSTEM, cause="test")
        result = desk.broker.submit(self.request(desk), Permit(fence=99, not_after=desk.broker.stamp() + 2))

        assert result.outcome is not Outcome.OK
        assert desk.lots("BTCUSD") == Decimal("0.10")

    def test_after_its_not_after_a_write_is_refused(self, desk):
        result = desk.broker.submit(self.request(desk), Permit(fence=99, not_after=desk.broker.stamp() - 0.001))

        assert result.outcome is not Outcome.OK
        assert desk.deals() == []

    def test_with_an_old_token_a_write_is_refused(self, desk):
        desk.adjust("BTCUSD", "0.10")
        old = leases.acquire("trader", holder="test", ttl_s=30).token - 1
        desk.adjust("BTCUSD", "0.20", cause="slot 2")
        result = desk.broker.submit(self.request(desk), Permit(fence=old, not_after=desk.broker.stamp() + 2))

        assert result.outcome is not Outcome.OK
        assert desk.lots("BTCUSD") == Decimal("0.20")

    def test_the_refusal_says_why(self, desk):
        terminal = open_site_terminal()
        terminal.latch()
        with pytest.raises(TerminalRefusedError) as refused:
            terminal.order_send({"action": 1}, fence=99, not_after=terminal.stamp() + 2)

        assert refused.value.reason == "latched"


def test_resuming_does_not_undo_a_kill(desk):
    killswitch.latch(SYSTEM, cause="test")

    assert not control.resume(SYSTEM)
    assert control.current_control().state in (State.KILLING, State.KILLED)


def test_refused_errors_carry_their_codes(desk):
    control.armed_file().disarm()
    from execution.sessions.hourly import require_not_killed

    with pytest.raises(RiskRefusedError) as refused:
        require_not_killed()
    assert refused.value.codes == ("state:killed",)
    assert refused.value.exit_code == 4
