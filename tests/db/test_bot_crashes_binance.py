"""The bot's process dies around every request that it sends to Binance, and at the steps of its journal.

Judged by the exchange's own books: entered once at most, nothing naked after the guard has looked, nothing left over.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from decimal import ROUND_DOWN, Decimal
from typing import Any
from unittest import mock

import pytest

from execution.bot import services
from execution.brokers.binance_wire import BinanceWire
from execution.chaos.crashes import POINTS, Crash, crash_at
from execution.models import Attempt, BotTrade
from execution.rearm import arm_checked
from execution.safety.control import State
from execution.venue_guard import VenueGuard
from mlfilter.models import BotSettings, Outcome, Setup
from ops import clock
from ops.audit import SYSTEM
from simulator.binance.rows import Order, Trade
from simulator.ratelimit import Verdict, WeightLimiter
from tests.bot_builders import QUARTER, bot_slot, found_setup, scanning, watch_symbol
from tests.desk import Desk
from tests.executor_builders import settle, trading_desk, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
SYMBOL, BASE = "SOLUSDT", "SOL"
VENUES = ("binance_spot", "binance_futures")
OF_AN_ENTRY = ("opening the intent", "the permit", "beginning the attempt", "handing over to the broker")
OF_AN_ENTRY += ("finishing the attempt", "counting the fill", "setting the status", "booking the fills")
OF_AN_ENTRY += ("recording a step of the kill", "carrying out a step of the kill")  # the protection is one, too
STEPS = [name for name, point in POINTS.items() if point.step in OF_AN_ENTRY]
N_WRITES = 3  # of an entry and its protection: on futures the order, its stop and its target
MOMENTS = ("before", "after")


def mostly_deep(cases: list[tuple[Any, ...]], one_of: int = 5) -> list[Any]:
    """Return the cases, all but one of so many marked as deep: CI tries those, `make deep` the rest."""
    return [case if i % one_of == 0 else pytest.param(*case, marks=pytest.mark.deep) for i, case in enumerate(cases)]


@pytest.fixture
def venue(request) -> str:
    return request.param


@pytest.fixture
def desk(tmp_path, venue, monkeypatch) -> Iterator[Desk]:
    monkeypatch.setattr(WeightLimiter, "charge", lambda self, weight: Verdict(200, 0))  # hours in real seconds
    with trading_desk(tmp_path, margin_mode="hedging") as opened:
        watch_symbol(SYMBOL, broker=venue, data_symbol=SYMBOL)
        BotSettings.objects.create(horizon=2, cooldown_bars=0)
        arm_checked(SYSTEM, reason="a test", start=State.ARMED)
        wait_until(bot_slot().at + QUARTER)
        yield opened


@pytest.fixture
def setup(desk, venue) -> Setup:
    found = found_setup(desk, symbol="SOLUSD", stop_pct=0.05, target_pct=0.05)
    Setup.objects.filter(pk=found.pk).update(symbol=SYMBOL, broker=venue, data_symbol=SYMBOL)
    return Setup.objects.get(pk=found.pk)


@contextmanager
def dies_at_write(nth: int, moment: str) -> Iterator[list[str]]:
    """Let the process die before or after the n-th write that reaches Binance."""
    whole, met = BinanceWire.call, []

    def call(self: BinanceWire, endpoint: str, parameters: dict[str, Any] | None = None) -> Any:
        if "Post" not in endpoint and "Delete" not in endpoint:
            return whole(self, endpoint, parameters)
        met.append(endpoint)
        if len(met) == nth and moment == "before":
            raise Crash(endpoint)
        reply = whole(self, endpoint, parameters)
        if len(met) == nth:
            raise Crash(endpoint)
        return reply

    with mock.patch.object(BinanceWire, "call", call):
        yield met


def bar(*setups: Setup) -> None:
    wait_until(bot_slot().at)
    with scanning(*setups):
        services.run_bot_now(services.run_of(bot_slot()))


def held(desk: Desk, venue: str) -> Decimal:
    with desk.exchange.venue.live():
        books = desk.exchange.venue.books
        if venue == "binance_futures":
            return sum((one.amount for one in books.positions() if one.symbol == SYMBOL), Decimal(0))
        return books.balance("spot", BASE).quantize(Decimal("0.001"), ROUND_DOWN)


def resting(desk: Desk) -> list[Order]:
    with desk.exchange.venue.live():
        return desk.exchange.venue.books.open_orders(symbol=SYMBOL)


def entries(desk: Desk) -> set[int]:
    """Return the orders that bought something."""
    with desk.exchange.venue.live():
        return {
            trade.order_id for trade in desk.exchange.venue.books.select(Trade, symbol=SYMBOL) if trade.side == "BUY"
        }


def watch_for_five_seconds(venue: str) -> None:
    """Be the guard of the venue, which was there all the time, after another process died."""
    guard, began = VenueGuard(venue), clock.mono()
    while clock.mono() - began < 4:
        guard.look()
        clock.sleep(1)


def assert_safe(desk: Desk, venue: str) -> None:
    """Nothing twice, and nothing without a stop at the exchange."""
    assert len(entries(desk)) <= 1
    stops = [order for order in resting(desk) if order.type in ("STOP_LOSS", "STOP_LOSS_LIMIT", "STOP_MARKET")]
    assert held(desk, venue) == 0 or len(stops) == 1, resting(desk)


def live_to_the_end(desk: Desk, venue: str, setup: Setup) -> None:
    """Be delivered again, start again, and go on until the trade has ended by its horizon."""
    bar(setup)
    assert_safe(desk, venue)
    for _ in range(4):
        settle()
        VenueGuard(venue).look()
        wait_until(bot_slot().at + QUARTER)
        bar(setup)
        assert_safe(desk, venue)
    assert (held(desk, venue), resting(desk)) == (0, [])
    assert not BotTrade.objects.live().exists()
    assert not Attempt.objects.unresolved().exists()
    assert Outcome.objects.filter(setup=setup).count() == len(entries(desk))
    setup.refresh_from_db()
    assert bool(setup.missed_reason) == (not entries(desk))


@pytest.mark.parametrize(
    ("venue", "nth", "moment"),
    mostly_deep([(venue, nth, moment) for venue in VENUES for nth in range(1, N_WRITES + 1) for moment in MOMENTS]),
    indirect=["venue"],
)
def test_a_bot_that_dies_around_any_request_of_an_entry_leaves_nothing_twice_and_nothing_naked(
    desk, venue, setup, nth, moment
):
    with dies_at_write(nth, moment) as met, suppress(Crash):
        bar(setup)
    assert len(met) == nth or venue == "binance_spot"  # an entry on spot is two requests
    watch_for_five_seconds(venue)
    assert_safe(desk, venue)
    live_to_the_end(desk, venue, setup)


@pytest.mark.parametrize(
    ("venue", "point"), mostly_deep([(venue, point) for point in STEPS for venue in VENUES], 11), indirect=["venue"]
)
def test_a_bot_that_dies_at_any_step_of_its_journal_leaves_nothing_twice_and_nothing_naked(desk, venue, setup, point):
    with crash_at((point, 1)) as doom, doom.process():
        bar(setup)
    assert doom.crashed == [point]
    watch_for_five_seconds(venue)
    assert_safe(desk, venue)
    live_to_the_end(desk, venue, setup)


@pytest.mark.parametrize(
    ("venue", "nth", "moment"),
    mostly_deep([(venue, nth, moment) for moment in MOMENTS for venue in VENUES for nth in (1, 2, 3)]),
    indirect=["venue"],
)
def test_a_bot_that_dies_around_any_request_of_an_exit_closes_once(desk, venue, setup, nth, moment):
    bar(setup)
    wait_until(BotTrade.objects.get().deadline_at)
    with dies_at_write(nth, moment), suppress(Crash):
        bar()
    watch_for_five_seconds(venue)
    assert_safe(desk, venue)
    live_to_the_end(desk, venue, setup)
    assert Outcome.objects.get().exit_reason in ("timeout", "kill")
