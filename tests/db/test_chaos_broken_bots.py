"""Bots that are broken on purpose: the judge names the promise that each of them breaks, and clears the whole one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from execution.bot.services import run_bot_now, run_of
from execution.chaos.facts import Violation
from execution.models import BotTrade
from execution.sentinel import Sentinel
from market.models import Symbol
from mlfilter.models import BotSettings, Setup
from ops import clock
from ops.errors import DeskError
from simulator import hand
from simulator.faults import FaultPlan, Rule, switch_off, switch_on
from tests import broken_bots as broken
from tests.bot_builders import QUARTER, SYMBOL, bot_slot, found_setup, scanning, venue_positions, watch_symbol
from tests.desk import Desk
from tests.executor_builders import NAME, judged, settle, trade, trading_desk, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

Judged = list[Violation]


def bar(*setups: Setup) -> None:
    """Run the bot on the newest closed bar once it is due, as its command does."""
    wait_until(bot_slot().at)
    with scanning(*setups), suppress(DeskError):
        run_bot_now(run_of(bot_slot()))


def bars(n: int) -> None:
    """Let so many bars pass, in which it finds nothing."""
    for _ in range(n):
        wait_until(bot_slot().at + QUARTER)
        bar()


def fault(desk: Desk, name: str, **parameters: object) -> None:
    """Let a fault happen once from now on."""
    switch_on(desk.state_dir / "sim", FaultPlan(rules=(Rule(fault=name, times=1, parameters=parameters),)))


# --- what happens to them -------------------------------------------------------------------------------------------


def a_bar_that_is_run_again(desk: Desk) -> Judged:
    setup = found_setup(desk)
    bar(setup)
    clock.sleep(60.0)
    bar(setup)
    bars(1)
    return judged(desk)


def an_entry(desk: Desk) -> Judged:
    bar(found_setup(desk))
    return judged(desk)


def a_stop_that_is_taken_away(desk: Desk) -> Judged:
    bar(found_setup(desk))
    [position] = venue_positions()
    hand.set_levels(SYMBOL, position.ticket)
    Sentinel().round()
    bars(1)
    return judged(desk)


def an_entry_that_rests_in_part(desk: Desk) -> Judged:
    fault(desk, "M23", then="stay")
    bar(found_setup(desk))
    switch_off(desk.state_dir / "sim")
    settle()
    bars(1)
    return judged(desk)


def a_position_that_is_closed_in_two_parts(desk: Desk) -> Judged:
    bar(found_setup(desk))
    [position] = venue_positions()
    half = float(position.volume // 2)
    for lots in (half, float(position.volume) - half):
        clock.sleep(30.0)
        hand.trade(SYMBOL, "sell", lots, position=position.ticket)
    bars(2)
    return judged(desk)


def a_trade_that_outlives_its_time(desk: Desk) -> Judged:
    bar(found_setup(desk, stop_pct=0.1, target_pct=0.1))
    bars(5)
    return judged(desk)


def a_fill_whose_reply_is_lost(desk: Desk) -> Judged:
    fault(desk, "M20", reply=10012)
    bar(found_setup(desk))
    switch_off(desk.state_dir / "sim")
    settle()
    bars(3)
    return judged(desk)


def a_setup_in_a_symbol_of_the_session(desk: Desk) -> Judged:
    trade(desk, "0.20", slot="slot 8")
    Symbol.objects.filter(name=NAME).update(is_traded=True)
    watch_symbol(NAME)
    wait_until(bot_slot().at + QUARTER)
    bar(found_setup(desk, symbol=NAME))
    return judged(desk, is_settled=False)


@dataclass(frozen=True)
class Case:
    """A way to be broken, the invariant that it breaks, and what brings it out."""

    broken: Callable[[pytest.MonkeyPatch], None]
    invariant: int
    scenario: Callable[[Desk], Judged]


CASES = [
    Case(broken.enters_a_setup_again, 11, a_bar_that_is_run_again),
    Case(broken.sends_no_stop, 14, an_entry),
    Case(broken.never_sets_a_stop_again, 14, a_stop_that_is_taken_away),
    Case(broken.leaves_what_rests, 6, an_entry_that_rests_in_part),
    Case(broken.counts_the_last_deal_alone, 4, a_position_that_is_closed_in_two_parts),
    Case(broken.never_books, 6, a_position_that_is_closed_in_two_parts),
    Case(broken.forgets_the_time, 6, a_trade_that_outlives_its_time),
    Case(broken.never_asks_what_was_filled, 6, a_fill_whose_reply_is_lost),
    Case(broken.ignores_the_owner, 12, a_setup_in_a_symbol_of_the_session),
]
SCENARIOS = dict.fromkeys(case.scenario for case in CASES)


@pytest.fixture
def desk(tmp_path: Any) -> Iterator[Desk]:
    with trading_desk(tmp_path, margin_mode="hedging") as opened:
        watch_symbol()
        BotSettings.objects.create(horizon=2, cooldown_bars=0)
        wait_until(bot_slot().at + QUARTER)
        yield opened


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.broken.__name__}-{case.invariant}")
def test_a_broken_bot_is_caught_by_the_promise_that_it_breaks(desk, case, monkeypatch):
    case.broken(monkeypatch)
    found = case.scenario(desk)

    assert case.invariant in {violation.invariant for violation in found}, found


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_the_whole_bot_keeps_every_promise_in_the_same_scenario(desk, scenario):
    assert scenario(desk) == []


def test_the_scenarios_trade(desk):
    a_trade_that_outlives_its_time(desk)
    assert BotTrade.objects.get().status == BotTrade.Status.CLOSED
