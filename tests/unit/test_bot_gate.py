"""What the gate does for the bot: levels on entries, the loss at the stop, and protections. A whole desk's is in db."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from execution.brokers.base import Permit, Protection
from execution.errors import RiskRefusedError
from execution.planning.orders import Side
from execution.safety import gate as gate_module
from execution.safety.control import Needed, State
from mlfilter.setups import Costs
from tests.bot_builders import make_standing
from tests.execution_builders import D
from tests.gate_fakes import DONE, ENTRY, NOW, around_the_gate, hold, make_close, make_leg, nothing_was_sent

QUARTER = timedelta(minutes=15)
PROTECTED = replace(ENTRY, stop=D("59100"), target=D("61200"))
PROTECTION = Protection(symbol="BTCUSD", side=Side.BUY, ticket=1, stop=D("59100"), target=D("61200"))


@pytest.fixture
def desk(monkeypatch, tmp_path) -> Any:
    desk = around_the_gate(monkeypatch, tmp_path)
    desk.capabilities = SimpleNamespace(stops_with_entry=True)
    desk.protect = lambda protection, permit: desk._sent("protect", protection, permit)
    return desk


def of_the_bot(lots: str = "0.1") -> Any:
    leg = make_leg(lots)
    leg.intent.family = "setup"
    return leg


def test_levels_ride_on_an_entry_where_the_venue_takes_them(desk):
    desk.gate.send(make_leg(), PROTECTED)
    assert (desk.asked["order"].stop, desk.asked["order"].target) == (D("59100"), D("61200"))
    assert desk.asked["request"]["stop"] == "59100"
    assert desk.asked["request"]["target"] == "61200"


def test_elsewhere_they_do_not_and_the_rules_know_them_all_the_same(desk):
    desk.capabilities.stops_with_entry = False
    desk.gate.send(make_leg(), PROTECTED)
    assert (desk.asked["order"].stop, desk.asked["order"].target) == (None, None)
    assert "stop" not in desk.asked["request"]
    assert desk.asked["judged"].stop == D("59100")


def test_the_loss_at_the_stop_is_reckoned_from_the_price_of_now_with_costs_of_both_fills(desk):
    costs = Costs(half_spread=0.0, slippage=0.0, fee=0.001)
    desk.gate.send(make_leg("0.1"), replace(PROTECTED, costs=costs, rate=D(2)))
    # A buy gets the ask, 60,006: 906 to the stop, and a thousandth of 60,006 and of 59,100; twice as much in dollars.
    assert desk.asked["judged"].worst_loss == D("0.1") * 2 * (906 + D("119.106"))


def test_a_reduction_loses_nothing_at_a_stop(desk):
    hold(desk, "0.3")
    desk.gate.send(make_close(), replace(PROTECTED, needed=Needed.REDUCE))
    assert desk.asked["judged"].worst_loss == 0


def test_an_entry_that_loses_more_than_it_may_is_not_sent(desk):
    with pytest.raises(RiskRefusedError, match="risk_per_trade"):
        desk.gate.send(make_leg("0.1"), replace(PROTECTED, stop=D("49000")))  # 1,100 of 100,000
    assert nothing_was_sent(desk)


def test_an_entry_of_the_bot_without_a_stop_is_not_sent(desk, monkeypatch):
    monkeypatch.setattr(gate_module, "read_standing", lambda *of, **what: make_standing())
    with pytest.raises(RiskRefusedError, match="resting_stop: the entry has no stop"):
        desk.gate.send(of_the_bot(), ENTRY)
    assert nothing_was_sent(desk)


def test_a_bar_is_judged_by_its_own_length(desk):
    newest = NOW - timedelta(minutes=15, seconds=30)  # 11:45, which closed at noon
    desk.gate.send(make_leg(), replace(PROTECTED, bar_at=newest, interval=QUARTER))
    assert desk.asked["context"].is_bar_fresh
    for bar_at, blocker in ((newest - QUARTER, "stale_bar"), (newest + QUARTER, "forming_bar")):
        with pytest.raises(RiskRefusedError) as refused:
            desk.gate.send(make_leg(), replace(PROTECTED, bar_at=bar_at, interval=QUARTER))
        assert refused.value.codes[0] == f"closed_bar:{blocker}"


def test_a_protection_is_permitted_and_journalled_before_it_is_sent(desk):
    desk.in_doubt = True  # which holds up no protection
    assert desk.gate.protect(make_close(), PROTECTION, needed=Needed.KILL) is DONE
    assert desk.steps[-3:] == ["protect", "unlock", "answer to attempt 1"]
    assert desk.steps.index("state") < desk.steps.index("journal") < desk.steps.index("protect")
    assert "doubt" not in desk.steps
    assert desk.asked["request"] == {"call": "protect", "ticket": 1, "stop": "59100", "target": "61200"}
    # A terminal takes no change of a stop for a reduction: one can be widened.
    assert desk.asked["permit"] == Permit(fence=7, not_after=102.0, reduce=False)
    assert desk.asked["stored"].volume == 0


def test_a_protection_is_sent_in_every_state_but_a_kills(desk):
    desk.state = State.PAUSED
    desk.gate.protect(make_close(), PROTECTION, needed=Needed.REDUCE)
    desk.state = State.KILLED
    with pytest.raises(RiskRefusedError, match="killed"):
        desk.gate.protect(make_close(), PROTECTION, needed=Needed.REDUCE)


def test_without_a_journal_no_protection_is_sent(desk):
    desk.can_journal = False
    with pytest.raises(OSError, match="the disk is full"):
        desk.gate.protect(make_close(), PROTECTION, needed=Needed.KILL)
    assert "protect" not in desk.steps
