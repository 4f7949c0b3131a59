"""A position of the bot without a resting stop is protected or closed within five seconds of being seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from execution.bot import services
from execution.brokers.base import OrderTicket, Permit, Protection, SendResult
from execution.brokers.magic import Family, encode_magic
from execution.brokers.mt5 import Mt5Broker
from execution.killing import kill_and_flatten
from execution.models import Attempt, BotTrade, Intent
from execution.planning.orders import Side
from execution.safety import control
from execution.safety.outcomes import Outcome as Answer
from execution.sentinel import Sentinel
from mlfilter.models import Outcome
from ops import clock
from ops.audit import SYSTEM
from ops.models import Alert, Run
from tests.bot_builders import (
    SYMBOL,
    bot_bar,
    found_setup,
    next_bar,
    set_levels,
    venue_deals,
    venue_positions,
    watch_symbol,
)
from tests.desk import Desk, open_desk
from tests.executor_builders import resting_order

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def desk(tmp_path) -> Iterator[Desk]:
    with open_desk(tmp_path) as opened:
        watch_symbol()
        next_bar(opened)
        yield opened


@pytest.fixture
def naked(desk) -> Desk:
    """The bot's position, from which somebody took the stop away."""
    bot_bar(desk, found_setup(desk))
    [position] = venue_positions()
    set_levels(position.ticket, target=position.tp)
    assert venue_positions()[0].sl == 0
    return desk


def answers(monkeypatch: pytest.MonkeyPatch, outcome: Answer) -> None:
    """Let the venue answer every protection with this, and set none."""

    def protect(self: Mt5Broker, protection: Protection, permit: Permit) -> SendResult:
        return SendResult(outcome=outcome, retcode=1, retcode_name="TEST", message="", sent_mono=clock.mono())

    monkeypatch.setattr(Mt5Broker, "protect", protect)


def test_one_look_of_the_sentinel_gives_it_its_planned_stop_back(naked):
    began = clock.mono()
    Sentinel().round()

    [position] = venue_positions()
    trade = BotTrade.objects.get()
    assert (position.sl, position.tp) == (float(trade.stop), float(trade.target))
    assert clock.mono() - began < 5
    assert Attempt.objects.latest("pk").request["call"] == "protect"
    assert Alert.objects.filter(key=f"naked:{position.ticket}").exists()


def test_the_alert_is_over_when_the_stop_rests_again(naked):
    sentinel = Sentinel()
    sentinel.round()
    assert Alert.objects.open().filter(key__startswith="naked:").count() == 1
    sentinel.round()
    assert not Alert.objects.open().filter(key__startswith="naked:").exists()
    Alert.objects.all().delete()
    Sentinel().round()
    assert not Alert.objects.filter(key__startswith="naked:").exists()


def test_a_desk_that_is_paused_protects_all_the_same(naked):
    control.pause(SYSTEM, reason="a test")
    Sentinel().round()

    assert venue_positions()[0].sl > 0


def test_a_stop_that_the_market_has_passed_closes_the_position_at_once(naked):
    above = naked.broker.quote(SYMBOL).ask * Decimal("1.01")
    BotTrade.objects.update(stop=above)
    Sentinel().round()

    assert venue_positions() == []
    next_bar(naked)
    assert [closed["reason"] for closed in bot_bar(naked).closed] == ["kill"]


@pytest.mark.parametrize("outcome", [Answer.LATER, Answer.AMBIGUOUS, Answer.REJECT])
def test_a_venue_that_sets_no_stop_has_the_position_closed_within_five_seconds(naked, monkeypatch, outcome):
    answers(monkeypatch, outcome)
    sentinel, began = Sentinel(), clock.mono()
    while venue_positions():
        sentinel.round()
        clock.sleep(0.5)
        assert clock.mono() - began < 5

    entry, closing = venue_deals()
    assert entry.position_id == closing.position_id


def test_another_traders_position_is_left_alone(desk):
    assert desk.adjust("ETHUSD", "0.5").blocker == ""
    Sentinel().round()

    assert venue_positions("ETHUSD")[0].sl == 0
    assert not Alert.objects.filter(key__startswith="naked:").exists()


def test_a_position_that_no_journal_knows_gets_the_stop_of_the_settings(desk):
    stranger = encode_magic(Family.SETUP, 4_000_000)  # a counter that this journal never gave out
    ticket = OrderTicket(symbol=SYMBOL, side=Side.SELL, volume=Decimal(1), magic=stranger)
    assert desk.broker.submit(ticket, Permit(fence=0, not_after=desk.broker.stamp() + 2)).outcome is Answer.OK
    Sentinel().round()

    [position] = venue_positions()
    assert position.sl == pytest.approx(position.price_open * 1.015, abs=0.02)
    assert position.tp == pytest.approx(position.price_open * 0.98, abs=0.02)


# --- a venue that takes no stop with an entry ----------------------------------------------------------------------


@pytest.fixture
def two_step(desk, monkeypatch) -> Desk:
    """A desk whose venue sets stops only once there is a position."""
    capabilities = replace(Mt5Broker.capabilities, stops_with_entry=False)
    monkeypatch.setattr(Mt5Broker, "capabilities", capabilities)
    return desk


def test_where_no_stop_rides_on_the_entry_it_is_set_right_after(two_step):
    began = clock.mono()
    report = bot_bar(two_step, found_setup(two_step))

    assert report.symbols[0].verdict == "traded"
    [position] = venue_positions()
    trade = BotTrade.objects.get()
    assert (position.sl, position.tp) == (float(trade.stop), float(trade.target))
    assert clock.mono() - began < 5
    requests = [attempt.request for attempt in Attempt.objects.order_by("pk")]
    assert [request["call"] for request in requests] == ["submit", "protect"]
    assert "stop" not in requests[0]


@pytest.mark.parametrize("outcome", [Answer.LATER, Answer.REJECT])
def test_where_it_cannot_be_set_right_after_the_position_is_closed(two_step, monkeypatch, outcome):
    answers(monkeypatch, outcome)
    began = clock.mono()
    bot_bar(two_step, found_setup(two_step))

    assert venue_positions() == []
    assert clock.mono() - began < 5
    assert Outcome.objects.get().exit_reason == "kill"


# --- the kill switch and the clock ------------------------------------------------------------------------------------


def test_a_kill_closes_the_bots_positions_and_cancels_what_rests(desk):
    bot_bar(desk, found_setup(desk))
    resting_order(SYMBOL, 1.0)
    kill_and_flatten(SYSTEM, cause="a test", timeout_s=5)

    assert venue_positions() == []
    assert desk.broker.working_orders() == ()
    next_bar(desk)
    report = bot_bar(desk, found_setup(desk))
    assert report.blocker.startswith("trading is killed")
    assert [closed["reason"] for closed in report.closed] == ["kill"]
    assert report.exit_code == 4
    assert not Intent.objects.open().exists()


def test_the_sentinels_clock_asks_for_each_bar_once(desk):
    Run.objects.all().delete()
    assert services.enqueue_due_bars()
    assert not services.enqueue_due_bars()
    [run] = Run.objects.filter(job="bot")
    assert (run.slot, run.queue) == ("15m:2026-01-05T08:00", "trading")
    next_bar(desk)
    Sentinel().round()
    assert Run.objects.filter(job="bot").count() == 2


def test_a_bar_that_is_not_due_yet_is_not_asked_for(desk):
    Run.objects.all().delete()
    slot = services.newest_slots()[0]
    desk.step(slot.bar_at + 2 * slot.length - clock.market_now())  # the next one has closed this very second
    assert not services.enqueue_due_bars()
