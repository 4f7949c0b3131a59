"""Executors that are broken on purpose: the judge names the promise that each of them breaks, and clears the whole one.

A judge that finds nothing is worth what it finds here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from execution.chaos.crashes import crash_at
from execution.chaos.facts import Repeat, Violation
from execution.chaos.judge import TimeLine
from execution.chaos.reading import read_facts
from execution.chaos.readings import adds_risk
from execution.models import KillEvent, LimitRow
from execution.safety import control, killswitch
from execution.safety.gate import LEASE_TTL_S, TRADER_LEASE, Gate
from execution.safety.risk import days
from execution.sentinel import Sentinel
from ops import clock, leases
from ops.audit import SYSTEM
from simulator import hand
from simulator.faults import FaultPlan, Rule, switch_off, switch_on
from tests import broken_executors as broken
from tests.desk import START, Desk
from tests.executor_builders import NAME, judged, ledger, settle, trade, trading_desk, venue_lots, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

Judged = list[Violation]


def fault(desk: Desk, name: str, *, call: str | None = None, nth: int | None = None, **parameters: object) -> None:
    """Let a fault happen once from now on."""
    rule = Rule(fault=name, call=call, nth=nth, times=1, parameters=parameters)
    switch_on(desk.state_dir / "sim", FaultPlan(rules=(rule,)))


def next_slot(desk: Desk, hour: int, lots: str) -> None:
    """Let everything settle, and trade an hour's slot without faults."""
    switch_off(desk.state_dir / "sim")
    settle()
    wait_until(START.replace(hour=hour) + timedelta(seconds=45))
    trade(desk, lots, slot=f"slot {hour}")


def a_pause() -> None:
    """Hold trading up for a moment: of a desk that somebody held up nobody expects that it trades every slot."""
    assert control.pause(SYSTEM, reason="a test")
    clock.sleep(1.0)
    assert control.resume(SYSTEM, reason="a test")
    clock.sleep(1.0)


# --- what happens to them -------------------------------------------------------------------------------------------


def a_fill_whose_reply_is_lost(desk: Desk) -> Judged:
    fault(desk, "M20", reply=10012)
    trade(desk, "0.20", slot="slot 8")
    next_slot(desk, 9, "0.20")
    return judged(desk)


def a_fill_that_comes_late(desk: Desk) -> Judged:
    fault(desk, "M22", after_s=10.0)
    trade(desk, "0.20", slot="slot 8")
    clock.sleep(1.0)
    trade(desk, "0.20", slot="slot 8 by hand", kind="manual")
    clock.sleep(20.0)
    next_slot(desk, 9, "0.20")
    return judged(desk)


def a_kill_that_a_trader_does_not_hear_of(desk: Desk) -> Judged:
    trade(desk, "0.20", slot="slot 8")
    killswitch.latch(SYSTEM, cause="a test")
    clock.sleep(5.0)
    trade(desk, "0.40", slot="slot 8 by hand", kind="manual")
    Sentinel().round()
    return judged(desk)


def reads_that_fail(desk: Desk) -> Judged:
    trade(desk, "0.80", slot="slot 8")
    switch_on(desk.state_dir / "sim", FaultPlan(rules=(Rule(fault="M56", call="positions_get"),)))
    trade(desk, "0.80", slot="slot 8 by hand", kind="manual")
    next_slot(desk, 9, "0.80")
    return judged(desk)


def targets_up_and_down(desk: Desk) -> Judged:
    for number, lots in enumerate(("0.10", "0.30", "0.05")):
        trade(desk, lots, slot=f"slot 8 {number}", kind="manual")
    return judged(desk)


def a_position_by_hand(desk: Desk) -> Judged:
    hand.trade(NAME, "buy", 0.30)
    trade(desk, "0.10", slot="slot 8")
    return judged(desk)


def a_busy_evening(desk: Desk) -> Judged:
    """Trade more than a day's orders allow, on both sides of midnight in New York, which is no one's day here."""
    a_pause()
    LimitRow.objects.update_or_create(name="max_orders_per_day", defaults={"value": 4})
    for hour in range(3, 9):
        wait_until(START + timedelta(days=1, hours=hour - START.hour, seconds=45))
        trade(desk, "0.10" if hour % 2 else "0.20", slot=f"slot {hour}")
    return judged(desk)


def a_crash_after_the_send(desk: Desk) -> Judged:
    a_pause()
    with crash_at(("after the venue's write", 1)) as doom, doom.process():
        trade(desk, "0.20", slot="slot 8")
    assert doom.crashed
    next_slot(desk, 9, "0.20")
    return judged(desk)


def a_trader_who_wakes_after_his_lease(desk: Desk) -> Judged:
    a_pause()
    paused = Gate(desk.broker, desk.account, lease=leases.acquire(TRADER_LEASE, holder="one", ttl_s=LEASE_TTL_S))
    clock.sleep(LEASE_TTL_S + 1)
    trade(desk, "0.20", slot="slot 8", gate=desk.gate(holder="another"))
    trade(desk, "0.40", slot="slot 8 of the paused one", gate=paused, kind="manual")
    next_slot(desk, 9, "0.20")
    return judged(desk)


def a_reduction(desk: Desk) -> Judged:
    trade(desk, "0.20", slot="slot 8")
    trade(desk, "0.10", slot="slot 8 by hand", kind="manual")
    return judged(desk)


def a_reverse(desk: Desk) -> Judged:
    trade(desk, "0.20", slot="slot 8")
    trade(desk, "-0.20", slot="slot 8 by hand", kind="manual")
    return judged(desk)


def a_reverse_that_closes_in_part(desk: Desk) -> Judged:
    trade(desk, "0.20", slot="slot 8")
    fault(desk, "M24")
    trade(desk, "-0.20", slot="slot 8 by hand", kind="manual")
    next_slot(desk, 9, "-0.20")
    return judged(desk)


def a_cause_that_is_delivered_twice(desk: Desk) -> Judged:
    """The price has moved meanwhile, so that the target is another one."""
    trade(desk, "0.20", slot="slot 8")
    n_before = n_requests()
    desk.adjust(NAME, "0.30", cause="slot 8")
    repeat = Repeat(at_ms=0, what="slot 8", before=n_before, after=n_requests())
    next_slot(desk, 9, "0.30")
    return judged(desk, repeats=[repeat])


def n_requests() -> int:
    return ledger().meta("requests")


@dataclass(frozen=True)
class Case:
    """A way to be broken, the invariant that it breaks, and what brings it out."""

    broken: Callable[[pytest.MonkeyPatch], None]
    invariant: int
    scenario: Callable[[Desk], Judged]
    margin_mode: str = "hedging"


CASES = [
    Case(broken.retries_on_a_timeout, 4, a_fill_whose_reply_is_lost),
    Case(broken.retries_on_a_timeout, 5, a_fill_whose_reply_is_lost),
    Case(broken.ignores_the_freeze, 5, a_fill_that_comes_late),
    Case(broken.does_not_look_at_the_latch, 1, a_kill_that_a_trader_does_not_hear_of),
    Case(broken.does_not_look_at_the_latch, 2, a_kill_that_a_trader_does_not_hear_of),
    Case(broken.takes_none_for_flat, 7, reads_that_fail),
    Case(broken.has_one_magic_for_all, 4, targets_up_and_down),
    Case(broken.has_one_magic_for_all, 3, targets_up_and_down),
    Case(broken.takes_its_symbols_positions_for_its_own, 12, a_position_by_hand),
    Case(broken.counts_days_of_new_york, 13, a_busy_evening),
    Case(broken.journals_after_the_send, 3, a_crash_after_the_send),
    Case(broken.has_no_lease_and_no_fence, 10, a_trader_who_wakes_after_his_lease),
    Case(broken.closes_without_the_ticket, 12, a_reduction),
    Case(broken.crosses_zero_in_one_order, 12, a_reverse, "netting"),
    Case(broken.counts_a_part_as_the_whole, 12, a_reverse_that_closes_in_part, "netting"),
    Case(broken.has_a_new_cause_each_time, 11, a_cause_that_is_delivered_twice),
]
SCENARIOS = dict.fromkeys((case.scenario, case.margin_mode) for case in CASES)


@pytest.fixture
def desk(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Desk]:
    with trading_desk(tmp_path, margin_mode=request.param) as opened:
        yield opened


@pytest.mark.parametrize(
    ("desk", "case"),
    [
        pytest.param(case.margin_mode, case, id=f"{case.broken.__name__}-{case.invariant}-{case.margin_mode}")
        for case in CASES
    ],
    indirect=["desk"],
)
def test_a_broken_executor_is_caught_by_the_promise_that_it_breaks(desk, case, monkeypatch):
    case.broken(monkeypatch)
    found = case.scenario(desk)

    assert case.invariant in {violation.invariant for violation in found}, found


@pytest.mark.parametrize(
    ("desk", "scenario"),
    [pytest.param(mode, scenario, id=f"{scenario.__name__}-{mode}") for scenario, mode in SCENARIOS],
    indirect=["desk"],
)
def test_the_whole_executor_keeps_every_promise_in_the_same_scenario(desk, scenario):
    assert scenario(desk) == []


HARD_LINE = Decimal(95_500)  # 100,000 at the Prague midnight, less nine tenths of the 5 % that a day may lose


def two_losses_of_one_day(desk: Desk) -> None:
    """Lose 2,400 before and after midnight in New York, which is one day in Prague; then somebody wants more."""
    for hour, lots in ((4, "0.10"), (5, "0.20")):
        wait_until(START + timedelta(days=1, hours=hour - START.hour, seconds=45))
        fault(desk, "M52", kind="commission", amount=-2400.0)
        Sentinel().round()
        trade(desk, lots, slot=f"slot {hour}")


def entries_past(desk: Desk, line: Decimal) -> list[Decimal]:
    """Return the venue's equity at each request that came below a line and would have added to the position."""
    facts = read_facts(desk.state_dir / "sim", time_line=TimeLine.MARKET, is_settled=False, repeats=())
    equities = [r.books.equity for r in facts.requests if adds_risk(r, hedging=facts.hedging)]
    return [equity for equity in equities if equity < line]


@pytest.mark.parametrize("desk", ["hedging", "netting"], indirect=True)
@pytest.mark.parametrize("zone", ["Europe/Prague", "America/New_York"])
def test_who_counts_a_days_losses_in_another_zone_goes_on_past_the_hard_line(desk, zone, monkeypatch):
    monkeypatch.setattr(days, "LOSS_DAY_ZONE", ZoneInfo(zone))
    Sentinel().round()
    two_losses_of_one_day(desk)

    is_broken = zone != "Europe/Prague"
    assert bool(entries_past(desk, HARD_LINE)) == is_broken
    assert KillEvent.objects.exists() != is_broken
    assert is_broken or venue_lots() == 0


def test_there_are_at_least_eight_of_them():
    assert len({case.broken for case in CASES}) >= 8
