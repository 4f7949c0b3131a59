"""Who may close, cancel or kill, and when the gate sends nothing and writes nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest
from loguru import logger

from execution.brokers.base import Permit, Reduction
from execution.errors import BrokerUnavailableError, PositionGoneError, RiskRefusedError
from execution.planning.orders import MarginMode
from execution.safety import gate as gate_module
from execution.safety.control import Needed, State
from execution.safety.gate import Gate, Terms, sending_lock
from tests.execution_builders import D, make_account
from tests.gate_fakes import (
    BEFORE_A_SEND,
    DONE,
    ENTRY,
    MARK,
    NEWEST_CLOSED,
    around_the_gate,
    hold,
    make_close,
    make_leg,
    nothing_was_sent,
    reducing,
)


@pytest.fixture
def desk(monkeypatch, tmp_path):
    return around_the_gate(monkeypatch, tmp_path)


def test_what_a_rule_refuses_is_neither_journalled_nor_sent(desk):
    with pytest.raises(RiskRefusedError, match="position_cap"):
        desk.gate.send(make_leg("0.6"), ENTRY)
    assert desk.steps == BEFORE_A_SEND[:4]


def test_without_capital_or_a_bar_terms_allow_no_entry(desk):
    with pytest.raises(RiskRefusedError) as refused:
        desk.gate.send(make_leg(), Terms(needed=Needed.ENTER, plan_price=D(60_000)))
    assert [code.split(":")[0] for code in refused.value.codes] == ["closed_bar", "position_cap"]


@pytest.mark.parametrize("state", [State.PAUSED, State.BLOCKED, State.KILLING, State.KILLED])
def test_the_state_is_looked_at_last_and_refuses_an_entry(desk, state):
    desk.state, desk.reason = state, "lunch"
    with pytest.raises(RiskRefusedError, match=f"system is {state}: lunch") as refused:
        desk.gate.send(make_leg(), ENTRY)
    assert refused.value.codes == (f"state:{state}",)
    assert desk.steps == [*BEFORE_A_SEND[:5], "state"]
    assert desk.asked["scopes"] == ("rebalance", "BTCUSD")


def test_a_state_without_a_reason_says_so(desk):
    desk.state = State.PAUSED
    with pytest.raises(RiskRefusedError, match="no reason given"):
        desk.gate.send(make_leg(), ENTRY)


@pytest.mark.parametrize(
    ("bar_at", "code"),
    [
        (None, "closed_bar:forming_bar"),
        (NEWEST_CLOSED + timedelta(hours=1), "closed_bar:forming_bar"),
        (NEWEST_CLOSED - timedelta(hours=1), "closed_bar:stale_bar"),
    ],
)
def test_an_entry_on_any_other_bar_than_the_newest_closed_one_is_refused(desk, bar_at, code):
    with pytest.raises(RiskRefusedError) as refused:
        desk.gate.send(make_leg(), replace(ENTRY, bar_at=bar_at))
    assert refused.value.codes == (code,)


@pytest.mark.parametrize("mark", [None, replace(MARK, login=42), replace(MARK, server="Broker-Live")])
def test_an_entry_on_another_account_than_the_armed_one_is_refused(desk, mark):
    desk.mark = mark
    with pytest.raises(RiskRefusedError, match="not one that was armed") as refused:
        desk.gate.send(make_leg(), ENTRY)
    assert refused.value.codes == ("state:account",)
    assert nothing_was_sent(desk)


def test_an_entry_without_the_lease_is_refused(desk):
    desk.renewed = False
    with pytest.raises(RiskRefusedError) as refused:
        desk.gate.send(make_leg(), ENTRY)
    assert refused.value.codes == ("lease:lost",)
    assert nothing_was_sent(desk)


def test_a_gate_that_never_had_the_lease_enters_nothing(desk):
    desk.gate = Gate(desk, desk.gate.account)
    with pytest.raises(RiskRefusedError, match="lease"):
        desk.gate.send(make_leg(), ENTRY)
    assert nothing_was_sent(desk)


@pytest.mark.parametrize("needed", [Needed.REDUCE, Needed.KILL])
@pytest.mark.parametrize(("newest", "fence"), [(41, 41), (None, 0)])
def test_who_never_had_the_lease_reduces_under_the_newest_token(desk, needed, newest, fence):
    hold(desk, "0.1")
    desk.gate, desk.newest_token = Gate(desk, desk.gate.account), newest
    desk.gate.send(make_close(), reducing(needed))
    assert desk.asked["permit"] == Permit(fence=fence, not_after=102.0, reduce=True)
    assert desk.asked["fence"] == fence


def test_who_lost_the_lease_may_kill_and_no_longer_reduce(desk):
    hold(desk, "0.1")
    desk.renewed = False
    with pytest.raises(RiskRefusedError) as refused:
        desk.gate.send(make_close(), reducing())
    assert refused.value.codes == ("lease:lost",)
    assert nothing_was_sent(desk)

    desk.gate.send(make_close(), reducing(Needed.KILL))
    assert desk.asked["permit"].fence == 41


def test_in_doubt_nothing_is_entered(desk):
    desk.in_doubt = True
    with pytest.raises(RiskRefusedError, match="nobody knows") as refused:
        desk.gate.send(make_leg(), ENTRY)
    assert refused.value.codes == ("outcome:unknown",)
    assert desk.steps == BEFORE_A_SEND[:3]
    assert desk.asked["doubt"] == (desk.gate.account, "BTCUSD")


@pytest.mark.parametrize(
    ("mode", "lots", "filled", "is_sent"),
    [
        ("HEDGING", "-0.3", "0", True),
        ("HEDGING", "-0.4", "0.1", True),
        ("HEDGING", "-0.3", "0.1", False),  # a part could be closed twice
        ("HEDGING", "-0.2", "0", False),
        ("NETTING", "-0.3", "0", False),  # repeated, it would open the other way
    ],
)
def test_in_doubt_only_the_whole_close_of_a_ticket_is_sent(desk, monkeypatch, mode, lots, filled, is_sent):
    hold(desk, "0.3")
    desk.in_doubt = True
    desk.reads = replace(desk.reads, account=make_account(margin_mode=MarginMode[mode]))
    monkeypatch.setattr(gate_module, "evaluate", lambda request, context: ())
    leg = make_close(lots, filled=filled)
    if is_sent:
        desk.gate.send(leg, reducing())
    else:
        with pytest.raises(RiskRefusedError, match="nobody knows"):
            desk.gate.send(leg, reducing())
    assert nothing_was_sent(desk) is not is_sent


def test_in_doubt_an_entry_as_large_as_a_position_is_no_close(desk):
    hold(desk, "0.1")
    desk.in_doubt = True
    with pytest.raises(RiskRefusedError, match="nobody knows"):
        desk.gate.send(make_leg("0.1", ticket=1), ENTRY)


def test_a_reduction_with_the_lease_goes_with_our_own_token(desk):
    hold(desk, "0.1")
    desk.gate.send(make_close(), reducing())
    assert desk.asked["permit"].fence == 7


def test_a_reduction_takes_the_closers_lock_and_needs_no_armed_account(desk):
    hold(desk, "0.3")
    desk.mark, desk.state = None, State.PAUSED
    desk.gate.send(make_close(), reducing())
    assert desk.steps[:5] == ["lock closer.lock for 15 s", "read BTCUSD", "doubt", "rules", "stamp"]
    assert desk.steps[5:] == [
        "state", "renew for 30 s", "journal", "reduce", "unlock", "answer to attempt 1", "breaker",
    ]  # fmt: skip


def test_a_close_names_the_position_as_it_was_read(desk):
    hold(desk, "0.3")
    desk.gate.send(make_close("-0.3", filled="0.1"), reducing(), reprices=2)
    (position,) = desk.reads.positions
    comment = "rebalance close 12"
    expected = Reduction(position=position, volume=D("0.2"), magic=7_000_012, comment=comment, reprices=2)
    assert desk.asked["order"] == expected
    assert desk.asked["ticket"] == 1
    assert (desk.asked["permit"].reduce, desk.asked["context"].exposure.ticket_lots) == (True, D("0.3"))


def test_a_whole_position_is_closed(desk):
    hold(desk, "-0.1")
    desk.gate.send(make_close("0.1"), reducing())
    assert desk.asked["order"].volume == D("0.1")


# The rules are left out here: what is read between them and the order decides by itself.
@pytest.mark.parametrize("held", [("0.1", 2), ("-0.1", 1), ("0.09", 1)])
def test_a_close_of_what_is_not_there_any_more_is_not_sent(desk, monkeypatch, held):
    lots, ticket = held
    hold(desk, lots, ticket=ticket)
    monkeypatch.setattr(gate_module, "evaluate", lambda request, context: ())
    with pytest.raises(PositionGoneError, match="position 1 of BTCUSD is not there"):
        desk.gate.send(make_close("-0.1"), reducing())
    assert nothing_was_sent(desk)


@pytest.mark.parametrize("state", [State.KILLING, State.KILLED])
def test_a_killed_desk_reduces_by_a_kill_alone(desk, state):
    hold(desk, "0.1")
    desk.state = state
    with pytest.raises(RiskRefusedError, match="no reason given"):
        desk.gate.send(make_close(), reducing())
    assert nothing_was_sent(desk)

    desk.gate.send(make_close(), reducing(Needed.KILL))
    assert desk.asked["request"]["call"] == "reduce"


def test_a_kill_is_an_emergency_to_the_rules_and_a_reduction_is_not(desk, monkeypatch):
    hold(desk, "0.1")
    asked = []
    monkeypatch.setattr(gate_module, "evaluate", lambda request, context: asked.append(request.emergency) or ())
    desk.gate.send(make_close(), reducing(Needed.KILL))
    desk.gate.send(make_close(), reducing())
    assert asked == [True, False]


def test_a_kill_goes_on_without_the_lock_and_says_so(desk):
    hold(desk, "0.1")
    desk.lock_is_free = False
    said: list[str] = []
    sink = logger.add(said.append, format="{message}")
    try:
        desk.gate.send(make_close(), reducing(Needed.KILL))
    finally:
        logger.remove(sink)
    assert desk.steps[0] == "lock closer.lock for 2 s"
    assert "reduce" in desk.steps
    assert "the closer lock is held" in said[0]


@pytest.mark.parametrize("needed", [Needed.ENTER, Needed.REDUCE])
def test_nobody_else_goes_on_without_the_lock(desk, needed):
    desk.lock_is_free = False
    with pytest.raises(BrokerUnavailableError, match="somebody holds the lock"):
        desk.gate.send(make_leg(), replace(ENTRY, needed=needed))
    assert len(desk.steps) == 1


def test_the_locks_lie_in_the_safety_folder_and_end_with_their_block(desk, tmp_path):
    with sending_lock(Needed.ENTER):
        assert desk.steps == ["lock gate.lock for 15 s"]
    assert desk.steps[-1] == "unlock"
    assert desk.asked["lock"] == tmp_path / "gate.lock"


def test_what_cannot_be_journalled_is_not_sent(desk):
    desk.can_journal = False
    with pytest.raises(OSError, match="the disk is full"):
        desk.gate.send(make_leg(), ENTRY)
    assert desk.steps == [*BEFORE_A_SEND, "journal"]


@pytest.mark.parametrize("send", [lambda g: g.send(make_leg(), ENTRY), lambda g: g.cancel(make_leg(), needed="kill")])
def test_with_a_transaction_open_nothing_is_even_read(desk, monkeypatch, send):
    monkeypatch.setattr(gate_module, "connection", SimpleNamespace(in_atomic_block=True))
    with pytest.raises(RuntimeError, match="no transaction may be open"):
        send(desk.gate)
    assert desk.steps == []


@pytest.mark.parametrize(("ticket", "order_id"), [(55, 55), (None, 0)])
def test_a_cancellation_is_journalled_before_it_is_sent_and_fills_nothing(desk, ticket, order_id):
    result = desk.gate.cancel(make_close(ticket=ticket), needed=Needed.REDUCE)
    assert desk.steps == [
        "lock closer.lock for 15 s", "stamp", "state", "renew for 30 s", "journal", "cancel", "unlock",
        "answer to attempt 1",
    ]  # fmt: skip
    assert desk.asked["order"] == order_id
    assert desk.asked["permit"] == Permit(fence=7, not_after=102.0, reduce=True)
    assert (desk.asked["request"], desk.asked["verdicts"]) == ({"call": "cancel", "order": ticket}, ())
    assert desk.asked["fence"] == 7
    assert result is DONE
    assert desk.asked["stored"] == replace(DONE, volume=Decimal(0))


def test_a_killed_desk_cancels_by_a_kill_alone(desk):
    desk.state = State.KILLED
    with pytest.raises(RiskRefusedError):
        desk.gate.cancel(make_close(), needed=Needed.REDUCE)
    assert nothing_was_sent(desk)
    desk.gate.cancel(make_close(), needed=Needed.KILL)
    assert "cancel" in desk.steps
