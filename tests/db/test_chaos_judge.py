"""The judge on a real course: it reads the venue's file and our journal, on either time line."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from execution.brokers.base import OrderTicket
from execution.chaos.facts import Repeat
from execution.chaos.judge import TimeLine, judge
from execution.chaos.reading import read_facts
from execution.models import Attempt, Intent
from execution.planning.orders import Side
from execution.safety import control, journal
from execution.safety.gate import Gate
from ops.audit import SYSTEM
from simulator import hand
from simulator.faults import FaultPlan, Rule, switch_on
from tests.desk import open_desk

pytestmark = pytest.mark.django_db(transaction=True)
NAME = "BTCUSD"


@pytest.fixture(params=["hedging", "netting"])
def desk(request, tmp_path):
    with open_desk(tmp_path, margin_mode=request.param) as opened:
        yield opened


def broken(desk) -> set[int]:
    found = judge(desk.world.config.sim_dir, is_settled=False)
    return {violation.invariant for violation in found}


def facts(desk):
    return read_facts(desk.world.config.sim_dir, time_line=TimeLine.REAL, is_settled=False, repeats=())


def test_an_increase_and_a_reversal_break_nothing(desk):
    desk.adjust(NAME, "0.1", cause="slot 1")
    desk.step(timedelta(hours=1))
    desk.adjust(NAME, "-0.05", cause="slot 2")
    assert judge(desk.world.config.sim_dir, is_settled=False) == []


def test_requests_are_read_as_they_came(desk):
    desk.adjust(NAME, "0.1")
    desk.adjust(NAME, "0.04", cause="slot 2")
    opened, reduced = facts(desk).requests
    assert (opened.volume, opened.side, opened.books.holdings) == ("0.1", 0, ())
    assert (reduced.volume, reduced.side, reduced.books.net(NAME)) == ("0.06", 1, Decimal("0.1"))
    assert (opened.retcode, opened.answered, opened.magic) == (10009, Decimal("0.1"), Intent.objects.last().magic)
    assert abs(opened.at_ms - Attempt.objects.last().sent_at.timestamp() * 1000) < 5_000
    assert reduced.books.grid == (Decimal("0.01"), Decimal("0.01"), Decimal(100))
    assert reduced.books.lot_values[NAME] == pytest.approx(desk.broker.quote(NAME).mid)


def test_a_send_that_the_journal_does_not_have_is_found(desk):
    gate, target = desk.gate(), desk.target(NAME, "0.1")
    desk.adjust(NAME, "0.1", gate=gate)
    leg = Intent.objects.get().legs.get()
    ticket = OrderTicket(symbol=NAME, side=Side.BUY, volume=Decimal("0.1"), magic=leg.intent.magic, comment="again")
    desk.broker.submit(ticket, gate._permit(leg, target.terms))
    assert broken(desk) == {3, 4}


def test_an_order_that_ignores_a_pause_is_found(desk, monkeypatch):
    control.pause(SYSTEM, reason="lunch")
    assert "paused" in desk.adjust(NAME, "0.1").blocker
    assert broken(desk) == set()
    monkeypatch.setattr(Gate, "_require_state", lambda *args: None)
    desk.adjust(NAME, "0.1", cause="slot 2")
    assert broken(desk) == {2}


def test_an_executor_that_forgets_doubt_is_found(desk, monkeypatch):
    switch_on(desk.world.config.sim_dir, FaultPlan(rules=(Rule(fault="M21", nth=1),)))
    desk.adjust(NAME, "0.1")
    assert desk.adjust(NAME, "0.2", cause="slot 2").blocker == "an earlier request's outcome is not known yet"
    assert broken(desk) == set()
    monkeypatch.setattr(journal, "is_in_doubt", lambda account, symbol: False)
    desk.step(timedelta(hours=1))
    desk.adjust(NAME, "0.2", cause="slot 3")
    assert broken(desk) == {5}


def test_what_a_person_trades_by_hand_is_no_request_of_ours(desk):
    assert hand.trade(NAME, "buy", 0.05) == 10009
    assert facts(desk).requests == ()
    assert broken(desk) == set()


def test_a_repetition_that_sends_is_found(desk):
    repeats = [Repeat(at_ms=0, what="run 1", before=2, after=3)]
    found = judge(desk.world.config.sim_dir, is_settled=False, repeats=repeats)
    assert [(v.invariant, v.detail) for v in found] == [(11, "run 1 was repeated, and 1 requests more were sent")]
