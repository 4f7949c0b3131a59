"""A kill whose close may or may not have been executed: repeated where that is harmless, waited for where it is not."""

from __future__ import annotations

from decimal import Decimal

import pytest

from execution.models import Attempt, Intent, KillEvent
from execution.safety import killswitch
from execution.safety.flatten import flatten_round
from execution.safety.reconcile import HORIZON_S, PROOFS_APART_S
from ops.audit import SYSTEM
from simulator import metatrader5
from simulator.faults import FaultPlan, Rule, switch_on
from tests.desk import Desk, open_desk

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=["hedging", "netting"])
def desk(request, tmp_path):
    with open_desk(tmp_path, margin_mode=request.param) as opened:
        assert opened.adjust("BTCUSD", "0.10").blocker == ""
        yield opened


@pytest.fixture
def kill(desk) -> KillEvent:
    """A kill whose first close is answered "something is in flight" and whose first round is over."""
    switch_on(desk.world.config.sim_dir, FaultPlan(rules=(Rule(fault="M44", times=1),)))
    event = killswitch.latch(SYSTEM, cause="a test")
    assert not flatten_round(desk.broker, desk.account, event)
    return event


def is_held(desk: Desk) -> bool:
    return bool(metatrader5.mounted_account().ledger.positions())


@pytest.mark.parametrize("desk", ["netting"], indirect=True)
def test_a_netting_close_is_not_repeated_before_its_horizon(desk, kill):
    for _ in range(3):
        assert not flatten_round(desk.broker, desk.account, kill)
    assert Attempt.objects.filter(leg__reduces=True).count() == 1
    desk.clock.slept += HORIZON_S
    flatten_round(desk.broker, desk.account, kill)
    assert is_held(desk)
    desk.clock.slept += PROOFS_APART_S
    rounds = [flatten_round(desk.broker, desk.account, kill) for _ in range(2)]

    assert rounds[-1]
    assert not is_held(desk)
    deals = metatrader5.mounted_account().ledger.deals()
    assert sum((d.volume for d in deals if d.symbol), Decimal(0)) == Decimal("0.20")


@pytest.mark.parametrize("desk", ["hedging"], indirect=True)
def test_the_close_of_a_ticket_is_repeated_at_once(desk, kill):
    assert flatten_round(desk.broker, desk.account, kill)
    assert not is_held(desk)


def test_a_step_that_a_crash_left_is_ended_when_the_kill_is_flat(desk):
    event = killswitch.latch(SYSTEM, cause="a test")
    intent = Intent.objects.get()
    left = {"account": desk.account, "symbol": "BTCUSD", "family": "rebalance", "cause": "kill", "mode": "demo"}
    Intent.objects.create(
        **left, cause_id=f"{event.pk}:1:0", magic=intent.magic + 50, counter=99, target_lots=0, from_lots=0
    )
    assert flatten_round(desk.broker, desk.account, event)
    assert not Intent.objects.open().exists()
