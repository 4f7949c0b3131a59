"""The bot's process dies at every step of entry, protection, exit and booking: nothing twice, nothing naked after.

Judged by the venue's own ledger. Each block of a test is one process, and its end may be a crash.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from execution.brokers.mt5 import Mt5Broker
from execution.chaos.crashes import POINTS, Doom, crash_at, passages
from execution.models import BotTrade
from execution.sentinel import LOOP_S, Sentinel
from mlfilter.models import BotSettings, Outcome, Setup
from ops import clock
from simulator import constants as mt5
from simulator import hand
from tests.bot_builders import (
    QUARTER,
    SYMBOL,
    bot_bar,
    bot_slot,
    found_setup,
    venue_deals,
    venue_positions,
    watch_symbol,
)
from tests.desk import Desk
from tests.executor_builders import assert_nothing_is_left_open, judged, settle, trading_desk, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

OF_AN_ENTRY = ("opening the intent", "recording the legs", "reading the venue", "asking the rules", "the permit")
OF_AN_ENTRY += ("looking at the state", "renewing the lease", "beginning the attempt", "handing over to the broker")
OF_AN_ENTRY += ("the venue's write", "finishing the attempt", "counting the fill", "setting the status")
AROUND_IT = ("booking the fills", "reconciling", "storing the fills", "settling the attempts", "closing the orphans")
AROUND_IT += ("taking the lease", "giving the lease back")
OF_A_STEP = ("recording a step of the kill", "carrying out a step of the kill")  # exits and protections are steps, too
N_COMMITS = 12


def points(*steps: str) -> list[str]:
    return [name for name, point in POINTS.items() if point.step in steps]


def mostly_deep(cases: list[tuple[str, int]]) -> list[object]:
    """Return the cases, five of six marked as deep: CI tries every sixth, `make deep` the rest."""
    return [case if i % 6 == 0 else pytest.param(case, marks=pytest.mark.deep) for i, case in enumerate(cases)]


COMMITS = [(f"{moment} a commit", nth) for nth in range(1, N_COMMITS + 1) for moment in ("before", "after")]
ENTRIES = [(point, 1) for point in points(*OF_AN_ENTRY, *AROUND_IT)] + COMMITS
# Each is passed once by the entry and once more by its protection, its exit, or what books it.
STEPS = [(point, 1) for point in points(*OF_A_STEP)] + [
    (point, 1) for point in points("beginning the attempt", "the venue's write", "finishing the attempt")
]


@pytest.fixture
def desk(tmp_path) -> Iterator[Desk]:
    with trading_desk(tmp_path, margin_mode="hedging") as opened:
        watch_symbol()
        BotSettings.objects.create(horizon=2, cooldown_bars=0)
        wait_until(bot_slot().at + QUARTER)
        yield opened


def bar(desk: Desk, *setups: Setup) -> None:
    """Run the bot on the newest closed bar, once that is due."""
    wait_until(bot_slot().at)
    bot_bar(desk, *setups)


def recover(doom: Doom) -> None:
    """Be a sentinel that starts when leases and horizons are over; who dies while recovering is started again."""
    for _ in range(1 + len(doom.plan)):
        with doom.process():
            settle()


def watch_for_five_seconds() -> None:
    """Be a sentinel that was there all the time, in the seconds after another process died."""
    sentinel, began = Sentinel(), clock.mono()
    while clock.mono() - began < 4:  # a round itself takes no time here, and starts one a second
        sentinel.round()
        clock.sleep(LOOP_S)


def assert_entered_once_at_most(setup: Setup) -> None:
    entries = [deal for deal in venue_deals() if deal.entry == mt5.DEAL_ENTRY_IN]
    assert len(entries) <= 1, entries
    assert len({deal.magic for deal in entries}) == len(entries)
    assert BotTrade.objects.filter(setup=setup).count() <= 1


def assert_nothing_is_naked() -> None:
    assert all(position.sl > 0 for position in venue_positions()), venue_positions()


def live_to_the_end(desk: Desk, setup: Setup, doom: Doom) -> None:
    """Enter, be delivered again, recover, and go on until every trade has ended by its horizon."""
    with doom.process():
        bar(desk, setup)
    with doom.process():
        bar(desk, setup)  # the queue delivers again at once
    recover(doom)
    assert_nothing_is_naked()
    assert_entered_once_at_most(setup)
    for _ in range(4):
        with doom.process():
            bar(desk, setup)
        assert_entered_once_at_most(setup)
        wait_until(bot_slot().at + QUARTER)


def assert_all_has_ended(desk: Desk, setup: Setup, *, is_judged: bool = True) -> None:
    """Flat, booked once with the ledger's money, and nothing half-done; no promise broken, by the judge of MT5."""
    recover(Doom(plan=[]))
    bar(desk)
    assert not is_judged or judged(desk, is_disturbed=True) == []
    assert venue_positions() == []
    assert_entered_once_at_most(setup)
    assert not BotTrade.objects.live().exists()
    assert_nothing_is_left_open()
    deals = venue_deals()
    outcome = Outcome.objects.filter(setup=setup).first()
    setup.refresh_from_db()
    if not deals:
        assert outcome is None
        assert setup.missed_reason
        return
    earned = sum(deal.profit + deal.commission + deal.swap for deal in deals)
    assert outcome is not None
    assert float(outcome.pnl) == pytest.approx(float(earned), abs=0.02)
    assert setup.missed_reason == ""


def test_a_life_of_a_trade_passes_every_point_that_is_said_to_be_one_of_it(desk):
    setup = found_setup(desk)
    with passages() as passed:
        live_to_the_end(desk, setup, Doom(plan=[]))
    assert set(points(*OF_AN_ENTRY, *AROUND_IT, *OF_A_STEP)) <= set(passed)
    assert_all_has_ended(desk, setup)
    assert len(venue_deals()) == 2


@pytest.mark.parametrize("crash", mostly_deep(ENTRIES), ids=str)
def test_a_bot_that_dies_at_any_step_of_its_entry_enters_once_at_most(desk, crash):
    setup = found_setup(desk)
    with crash_at(crash) as doom:
        live_to_the_end(desk, setup, doom)
    assert_all_has_ended(desk, setup)


@pytest.mark.parametrize("crash", mostly_deep(STEPS), ids=str)
def test_a_bot_that_dies_while_it_protects_leaves_nothing_naked(desk, crash, monkeypatch):
    monkeypatch.setattr(Mt5Broker, "capabilities", replace(Mt5Broker.capabilities, stops_with_entry=False))
    setup = found_setup(desk)
    point, _ = crash
    second = (point, 1 if point in points(*OF_A_STEP) else 2)  # the first passage is the entry's own
    with crash_at(second) as doom:
        with doom.process():
            bar(desk, setup)
        assert doom.crashed == [point]
        watch_for_five_seconds()  # before any other run of the bot
        assert_nothing_is_naked()
        live_to_the_end(desk, setup, doom)
    assert_all_has_ended(desk, setup, is_judged=False)  # the judge wants a stop in every entry


@pytest.mark.parametrize("crash", mostly_deep(STEPS), ids=str)
def test_a_bot_that_dies_at_any_step_of_an_exit_closes_once(desk, crash):
    setup = found_setup(desk)
    bar(desk, setup)
    wait_until(BotTrade.objects.get().deadline_at + timedelta(seconds=10))
    with crash_at(crash) as doom:
        with doom.process():
            bar(desk)
        with doom.process():
            bar(desk)
        recover(doom)
        with doom.process():
            bar(desk)
    assert doom.crashed == [crash[0]]
    assert_all_has_ended(desk, setup)
    assert len(venue_deals()) == 2


@pytest.mark.parametrize("crash", mostly_deep(COMMITS), ids=str)
def test_a_bot_that_dies_while_it_books_books_once(desk, crash):
    setup = found_setup(desk)
    bar(desk, setup)
    [position] = venue_positions()
    hand.trade(SYMBOL, "sell", float(position.volume), position=position.ticket)
    wait_until(bot_slot().at + QUARTER)
    with crash_at(crash) as doom:
        for _ in range(2):
            with doom.process():
                bar(desk)
        recover(doom)
    assert_all_has_ended(desk, setup)
    assert Outcome.objects.get().exit_reason == "manual"
