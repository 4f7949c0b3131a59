"""Requests that fail one after the other, or that the venue bars, stop new risk until a person resumes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import pytest

from execution.adjust import Adjusted
from execution.models import LimitRow
from execution.safety.breaker import KEY
from execution.safety.control import State, current_control, resume
from execution.safety.reconcile import HORIZON_S, reconcile
from ops.audit import SYSTEM, Actor
from ops.models import Alert, AuditEntry
from simulator.faults import FaultPlan, Rule, switch_off, switch_on
from tests.desk import Desk, open_desk

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
REJECT, REQUOTE, ALGO_OFF, DISABLED, CLOSE_ONLY, TOO_MANY = 10006, 10004, 10027, 10017, 10044, 10024
ANNA = Actor(name="anna", source=AuditEntry.Source.COMMAND)
N = 5


@pytest.fixture
def desk(tmp_path):
    with open_desk(tmp_path, margin_mode="hedging") as opened:
        yield opened


@contextmanager
def answered(desk: Desk, retcode: int, **fields: object) -> Iterator[None]:
    """Have the venue refuse what is sent inside the block."""
    switch_on(
        desk.world.config.sim_dir, FaultPlan(rules=(Rule(fault="M26", parameters={"retcode": retcode}, **fields),))
    )
    yield
    switch_off(desk.world.config.sim_dir)


class Slots:
    """Adjustments, each for a cause of its own."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.count = desk, 0

    def adjust(self, lots: str = "0.10") -> Adjusted:
        self.count += 1
        return self.desk.adjust("BTCUSD", lots, cause=f"slot {self.count}")


@pytest.fixture
def slots(desk) -> Slots:
    return Slots(desk)


def state() -> State:
    return current_control().state


def test_so_many_rejects_in_a_row_pause_and_one_fewer_do_not(desk, slots):
    with answered(desk, REJECT):
        for _ in range(N - 1):
            slots.adjust()
        assert state() == State.ARMED
        slots.adjust()

    control = current_control()
    assert (control.state, control.reason) == (
        State.PAUSED,
        "5 requests in a row failed, the last one with REJECT: request rejected",
    )
    alert = Alert.objects.open().get(key=KEY)
    assert (alert.level, alert.title) == (Alert.Level.CRITICAL, f"Paused: {control.reason}")
    assert "paused" in slots.adjust().blocker


def test_the_count_is_a_limit_that_a_person_sets(desk, slots):
    LimitRow.objects.create(name="max_failures_in_a_row", value=2)
    with answered(desk, REJECT):
        slots.adjust()
        assert state() == State.ARMED
        slots.adjust()
    assert state() == State.PAUSED


def test_a_fill_in_between_begins_the_count_anew(desk, slots):
    for lots in ("0.10", "0.20"):
        with answered(desk, REJECT):
            for _ in range(N - 1):
                slots.adjust(lots)
        assert slots.adjust(lots).blocker == ""
    assert state() == State.ARMED


def test_what_is_to_be_tried_later_is_no_failure(desk, slots):
    with answered(desk, TOO_MANY):
        for _ in range(N + 1):
            slots.adjust()
    assert state() == State.ARMED


def test_a_price_that_moves_three_times_counts_once(desk, slots):
    with answered(desk, REQUOTE):
        slots.adjust()
    assert state() == State.ARMED


def test_requests_in_doubt_count_until_they_are_found_executed(desk, slots):
    lost = FaultPlan(rules=(Rule(fault="M20", parameters={"executed": True}),))
    switch_on(desk.world.config.sim_dir, lost)
    for n in range(N - 1):
        slots.adjust(f"0.{n + 1}")
        desk.clock.slept += HORIZON_S + 1
        reconcile(desk.broker)
    switch_off(desk.world.config.sim_dir)
    with answered(desk, REJECT):
        slots.adjust("0.90")
    assert state() == State.ARMED


def test_a_person_resumes_and_the_count_begins_anew(desk, slots):
    with answered(desk, REJECT):
        for _ in range(N):
            slots.adjust()
        assert resume(ANNA, reason="the broker had a bad hour")
        for _ in range(N - 1):
            slots.adjust()
        assert state() == State.ARMED
    assert slots.adjust().blocker == ""
    assert not Alert.objects.open().filter(key=KEY).exists()


def test_what_bars_the_account_pauses_at_once(desk, slots):
    with answered(desk, ALGO_OFF):
        slots.adjust()
    assert state() == State.PAUSED
    assert "CLIENT_DISABLES_AT" in current_control().reason


@pytest.mark.parametrize("retcode", [DISABLED, CLOSE_ONLY])
def test_what_bars_one_symbol_leaves_the_others_alone(desk, slots, retcode):
    with answered(desk, retcode, symbol="BTCUSD"):
        for _ in range(N - 2):
            slots.adjust()
        assert desk.adjust("ETHUSD", "1", cause="another").blocker == ""
        slots.adjust()
    assert state() == State.ARMED


def test_while_paused_by_it_a_position_may_still_be_reduced(desk, slots):
    assert slots.adjust().blocker == ""
    with answered(desk, ALGO_OFF):
        slots.adjust("0.20")
    assert slots.adjust("0.05").blocker == ""
    assert sum((p.volume for p in desk.broker.positions()), Decimal(0)) == Decimal("0.05")


def test_a_pause_of_the_breaker_is_in_the_audit(desk, slots):
    with answered(desk, ALGO_OFF):
        slots.adjust()
    entry = AuditEntry.objects.filter(action="trade paused").latest("pk")
    assert entry.actor == SYSTEM.name
