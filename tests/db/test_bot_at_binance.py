"""The bot at Binance, spot and futures: armed, entered, protected and killed there; the exchange's books judge."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_DOWN, Decimal
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser

from execution.bot import services
from execution.bot.naked import Protector
from execution.errors import BrokerUnavailableError
from execution.killing import kill_and_flatten
from execution.models import Account, Attempt, BotTrade, ControlRow, FillRecord, KillEvent
from execution.rearm import arm_checked, arm_checks
from execution.safety import control, killswitch
from execution.safety.armed import ArmedMark
from execution.safety.control import State
from execution.safety.killswitch import waiting_venues
from execution.sentinel import Sentinel
from execution.trading_venues import venues_entered, venues_in_use
from execution.venue_guard import UNREACHABLE, VenueGuard
from execution.venues import named_broker
from mlfilter.models import BotSettings, Outcome, Setup
from ops.audit import SYSTEM
from ops.models import Alert, Run
from simulator.binance.rows import Order
from simulator.ratelimit import Verdict, WeightLimiter
from tests.bot_builders import bot_slot, found_setup, next_bar, scanning, venue_positions, watch_symbol
from tests.command_line import manage
from tests.desk import Desk, open_desk
from tests.docs_shapes import assert_documented
from tradingsite.health.finding import State as Health
from tradingsite.health.venues import check_venues
from tradingsite.pages.safety import build_kill_progress
from tradingsite.pages.safety_data import StepState

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
SYMBOL, BASE = "SOLUSDT", "SOL"
# What does not depend on how a venue trades is looked at on one.
on_one = pytest.mark.parametrize("venue", ["binance_futures"], indirect=True)


@pytest.fixture(params=["binance_spot", "binance_futures"])
def venue(request) -> str:
    return request.param


@pytest.fixture
def desk(tmp_path, venue) -> Iterator[Desk]:
    with open_desk(tmp_path, armed=False) as opened:
        watch_symbol(SYMBOL, broker=venue, data_symbol=SYMBOL)
        BotSettings.objects.create(cooldown_bars=0, horizon=8)
        arm_checked(SYSTEM, reason="a test", start=State.ARMED)
        next_bar(opened)
        yield opened


def setup_at(venue: str, desk: Desk, **changes: Any) -> Setup:
    """Store an approved setup of the newest bar at a venue."""
    setup = found_setup(desk, symbol="SOLUSD", **changes)
    Setup.objects.filter(pk=setup.pk).update(symbol=SYMBOL, broker=venue, data_symbol=SYMBOL)
    return Setup.objects.get(pk=setup.pk)


def run_bar(*setups: Setup) -> tuple[Any, ...]:
    """Run the bot on the newest closed bar at every venue, in which it finds these setups."""
    with scanning(*setups):
        slot = bot_slot()
        return services.run_bot_now(services.run_of(slot))


def held(desk: Desk, venue: str) -> Decimal:
    """Return what the exchange's books hold, signed base units; spot's dust below a thousandth does not count."""
    with desk.exchange.venue.live():
        if venue == "binance_futures":
            return sum(
                (one.amount for one in desk.exchange.venue.books.positions() if one.symbol == SYMBOL), Decimal(0)
            )
        return desk.exchange.venue.books.balance("spot", BASE).quantize(Decimal("0.001"), ROUND_DOWN)


def resting(desk: Desk) -> list[Order]:
    """Return the orders that rest at the exchange."""
    with desk.exchange.venue.live():
        return desk.exchange.venue.books.open_orders(symbol=SYMBOL)


def cash(desk: Desk, venue: str) -> Decimal:
    with desk.exchange.venue.live():
        return desk.exchange.venue.books.balance(venue.removeprefix("binance_"), "USDT")


def live_on(desk: Desk, *, bars: int) -> None:
    """Run the bot bar by bar until its trade has ended."""
    for _ in range(bars):
        next_bar(desk)
        run_bar()
        if not BotTrade.objects.live().exists():
            return


@pytest.fixture
def entered(desk, venue) -> Desk:
    [report] = run_bar(setup_at(venue, desk))
    assert [(one.symbol, one.verdict) for one in report.symbols] == [(SYMBOL, "traded")], report
    return desk


def test_an_entry_rests_with_its_stop_and_its_target_at_the_exchange(entered, venue):
    trade = BotTrade.objects.get()

    assert held(entered, venue) > 0
    assert trade.account.broker == venue
    levels = {order.stop_price or order.price for order in resting(entered)}
    assert {trade.stop, trade.target} == {level.quantize(trade.stop) for level in levels}
    assert {order.side for order in resting(entered)} == {"SELL"}
    assert not Alert.objects.exists()  # that it was naked until the exchange had both is no news


@on_one
def test_the_same_bar_again_enters_nothing(entered, venue):
    before = held(entered, venue)
    run_bar(Setup.objects.get())

    assert held(entered, venue) == before
    assert len(resting(entered)) == 2


def test_a_trade_ends_at_its_stop_or_target_and_its_outcome_is_the_money_of_the_exchange(desk, venue, monkeypatch):
    monkeypatch.setattr(WeightLimiter, "charge", lambda self, weight: Verdict(200, 0))  # many bars in a real minute
    BotSettings.objects.update(horizon=90)
    before = cash(desk, venue)
    run_bar(setup_at(venue, desk, stop_pct=0.012, target_pct=0.006))
    live_on(desk, bars=60)

    trade, outcome = BotTrade.objects.get(), Outcome.objects.get()
    assert outcome.exit_reason in ("stop", "target")
    assert trade.status == BotTrade.Status.CLOSED
    assert (held(desk, venue), resting(desk)) == (0, [])
    earned = cash(desk, venue) - before
    dust = Decimal("0.15") if venue == "binance_spot" else Decimal(0)  # of a coin below the grid, which stays
    assert abs(trade.result - earned) <= dust + Decimal("0.03")  # three deals, rounded to cents
    assert (trade.result > 0) == (outcome.exit_reason == "target")


def test_a_trade_that_lasts_too_long_is_closed_with_nothing_left_resting(desk, venue):
    BotSettings.objects.update(horizon=2)
    run_bar(setup_at(venue, desk, stop_pct=0.05, target_pct=0.05))
    live_on(desk, bars=4)

    assert Outcome.objects.get().exit_reason == "timeout"
    assert (held(desk, venue), resting(desk)) == (0, [])


def test_a_short_is_for_futures_alone(desk, venue):
    [report] = run_bar(setup_at(venue, desk, direction="short"))
    [symbol] = report.symbols

    if venue == "binance_spot":
        assert (symbol.verdict, symbol.blocker.partition(":")[0]) == ("missed", "entry")
        assert held(desk, venue) == 0
    else:
        assert symbol.verdict == "traded"
        assert held(desk, venue) < 0
        assert {order.side for order in resting(desk)} == {"BUY"}


def test_a_stop_that_somebody_cancelled_is_back_after_one_look(entered, venue):
    with named_broker(venue) as broker:
        [position] = broker.positions()
        permit = _permit(broker)
        for order in broker.working_orders()[: 1 if venue == "binance_spot" else 2]:
            broker.cancel(order.order_id, permit)
    assert resting(entered) == []
    guard = VenueGuard(venue)
    guard.look()  # seen; whoever entered has a moment to set it himself
    assert not Alert.objects.exists()
    entered.clock.sleep(2)
    guard.look()
    assert Alert.objects.open().filter(key=f"{venue}:naked:{position.ticket}").exists()
    guard.look()

    assert len(resting(entered)) == 2
    assert not Alert.objects.open().filter(key__startswith=f"{venue}:naked:").exists()


def test_an_entry_whose_stop_the_exchange_refuses_is_closed_at_once(desk, venue, monkeypatch):
    setup = setup_at(venue, desk)
    monkeypatch.setattr(Protector, "_protect", lambda self, position: False)
    run_bar(setup)

    assert held(desk, venue) == 0
    next_bar(desk)
    run_bar()
    assert Outcome.objects.get().exit_reason == "kill"


def _permit(broker: Any) -> Any:
    from execution.brokers.base import Permit

    return Permit(fence=broker.highest_fence(), not_after=broker.stamp() + 2, reduce=True)


# --- killing ---------------------------------------------------------------------------------------------------------


def test_a_kill_is_flat_when_every_venue_is(entered, venue):
    event = killswitch.latch(SYSTEM, cause="a test")
    Sentinel().round()  # MetaTrader 5 holds nothing of ours
    assert waiting_venues(event) == [venue]
    assert KillEvent.objects.get().flat_at is None
    steps = {step.name: step.state for step in build_kill_progress(AnonymousUser()).steps}
    assert steps["Read again from the broker, twice"] == StepState.DONE
    assert steps[f"Read again from {venue}, twice"] == StepState.WAITING
    for _ in range(3):
        VenueGuard(venue).look()

    assert KillEvent.objects.get().flat_at is not None
    assert control.current_control().state == State.KILLED
    assert (held(entered, venue), resting(entered)) == (0, [])


def test_who_kills_closes_everywhere_when_the_sentinel_is_gone(entered, venue):
    state = kill_and_flatten(SYSTEM, cause="a test", timeout_s=30)

    assert state["flat_at"] is not None, state
    assert (held(entered, venue), resting(entered), state["waiting_for"]) == (0, [], [])
    assert state["closed"] == 1


def test_an_exchange_that_is_away_keeps_the_kill_shouting_and_leaves_the_broker_flat(entered, venue, monkeypatch):
    entered.adjust("BTCUSD", "0.05")
    monkeypatch.setattr("execution.brokers.binance_account.BinanceAccount._attach", _away)
    state = kill_and_flatten(SYSTEM, cause="a test", timeout_s=3)

    assert state["flat_at"] is None
    assert state["waiting_for"] == [venue]
    assert "away" in state["trouble"]
    assert entered.lots("BTCUSD") == 0


def _away(self: object) -> None:
    raise BrokerUnavailableError("the exchange is away")


@on_one
def test_killed_nothing_is_entered_and_what_the_kill_closed_is_booked(entered, venue):
    kill_and_flatten(SYSTEM, cause="a test", timeout_s=30)
    n_sent = Attempt.objects.count()
    next_bar(entered)
    [report] = run_bar(setup_at(venue, entered))

    assert report.blocker
    assert (held(entered, venue), Attempt.objects.count()) == (0, n_sent)
    assert Outcome.objects.get().exit_reason == "kill"


def test_while_the_database_takes_no_row_the_kill_closes_all_the_same(entered, venue, monkeypatch):
    from django.db import OperationalError

    def locked(*args: object, **kwargs: object) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr("execution.safety.killswitch._write_kill", locked)
    with pytest.raises(Exception, match="flat, read from the broker"):
        kill_and_flatten(SYSTEM, cause="a test", timeout_s=2)

    assert (held(entered, venue), resting(entered)) == (0, [])


# --- arming ----------------------------------------------------------------------------------------------------------


@on_one
def test_arming_reads_every_venue_in_use_and_binds_to_its_account(desk, venue):
    checks = arm_checks()

    assert {f"{venue} answers", f"no request is in doubt at {venue}", f"{venue} holds what our book says"} <= {
        check.name for check in checks
    }
    account = Account.objects.get(broker=venue)
    mark = control.armed_mark()
    assert mark is not None
    assert mark.venues == {venue: (account.login, account.server)}
    assert ControlRow.objects.get(scope="system").armed_venues == {venue: [account.login, account.server]}


@on_one
def test_a_venue_that_was_added_after_arming_trades_once_it_is_armed_too(tmp_path, venue):
    with open_desk(tmp_path) as desk:
        watch_symbol(SYMBOL, broker=venue, data_symbol=SYMBOL)
        next_bar(desk)
        assert (venues_in_use(), venues_entered()) == (("mt5", venue), ("mt5",))
        [report] = run_bar(setup_at(venue, desk))
        assert report.symbols[0].blocker.startswith("state:account")
        assert kill_and_flatten(SYSTEM, cause="a test", timeout_s=10)["flat_at"]  # not held up by that venue


@on_one
def test_an_armed_file_of_other_accounts_arms_nothing(desk, venue):
    ControlRow.objects.filter(scope="system").update(armed_venues={venue: [1, "another"]})
    [report] = run_bar(setup_at(venue, desk))

    assert control.armed_mark() is None
    assert report.symbols[0].blocker.startswith("state:account")
    assert held(desk, venue) == 0


# --- side by side ----------------------------------------------------------------------------------------------------


@on_one
def test_the_bot_goes_on_at_the_broker_while_an_exchange_is_away(desk, venue, monkeypatch):
    watch_symbol()
    mine, there = found_setup(desk), setup_at(venue, desk, direction="short")
    monkeypatch.setattr("execution.brokers.binance_account.BinanceAccount._attach", _away)
    monkeypatch.setattr("execution.brokers.binance_account.PAUSES_S", ())
    reports = {report.broker: report for report in run_bar(mine, there)}

    assert [one.verdict for one in reports["mt5"].symbols] == ["traded"]
    assert [one.verdict for one in reports[venue].symbols] == ["failed"]
    assert len(venue_positions("SOLUSD")) == 1
    assert Run.objects.get(job="bot").status == Run.Status.PARTLY
    assert Alert.objects.open().filter(key=f"{venue}:bot").exists()


@on_one
def test_the_guard_tells_of_an_exchange_that_is_away_and_of_its_return(desk, venue):
    guard = VenueGuard(venue)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("execution.brokers.binance_account.BinanceAccount._attach", _away)
        guard.look()
    assert Alert.objects.open().filter(key=f"{venue}:{UNREACHABLE}").exists()
    guard.look()

    assert not Alert.objects.open().filter(key=f"{venue}:{UNREACHABLE}").exists()
    assert not Alert.objects.filter(key=UNREACHABLE).exists()


@on_one
def test_the_page_and_the_analysis_keep_to_the_account_of_the_broker(entered, venue):
    from execution.account_periods import current_live_account
    from execution.services import account_row

    VenueGuard(venue).look()
    assert account_row() == current_live_account() == Account.objects.get(broker="mt5")


def test_a_lost_answer_to_a_protection_is_settled_while_the_stop_rests(entered, venue):
    protection = Attempt.objects.filter(request__call="protect").latest("pk")
    Attempt.objects.filter(pk=protection.pk).update(outcome="ambiguous", resolved_at=None)
    guard = VenueGuard(venue)
    for _ in range(4):
        entered.clock.sleep(70)
        guard.look()

    assert not Attempt.objects.unresolved().exists()
    assert len(resting(entered)) == 2


@on_one
def test_the_command_reports_each_venue(desk, venue):
    setup = setup_at(venue, desk)
    with scanning(setup):
        ended = manage("bot_run", "--once", "--json")

    assert ended.code == 0
    assert [(run["broker"], run["symbols"][0]["verdict"]) for run in ended.data["runs"]] == [(venue, "traded")]


@on_one
def test_fills_are_booked_once(entered, venue):
    account = Account.objects.get(broker=venue)
    before = FillRecord.objects.filter(account=account).count()
    for _ in range(2):
        VenueGuard(venue).look()

    assert before == FillRecord.objects.filter(account=account).count() >= 1


@on_one
def test_the_status_shows_every_account_and_says_of_one_that_is_away_why(entered, venue, monkeypatch):
    seen = manage("trade_status", "--json").data
    assert_documented("trade_status", seen)
    [there] = seen["venues"]
    assert (there["broker"], [p["symbol"] for p in there["positions"]], there["trouble"]) == (venue, [SYMBOL], "")
    assert Decimal(str(there["positions"][0]["volume"])) == held(entered, venue)
    assert SYMBOL in manage("trade_status").out
    monkeypatch.setattr("execution.brokers.binance_account.BinanceAccount._attach", _away)

    [gone] = manage("trade_status", "--json").data["venues"]
    assert (gone["account"], gone["positions"], gone["trouble"]) == (None, [], "the exchange is away")
    assert f"{venue}: the exchange is away" in manage("trade_status").out


@on_one
def test_the_doctor_looks_at_each_account_and_whether_it_is_armed(desk, venue, monkeypatch):
    assert [(f.name, f.state) for f in check_venues()] == [(venue, Health.OK)]
    control.armed_file().arm(ArmedMark(login=1, server="Sim"))
    ControlRow.objects.filter(scope="system").update(armed_login=1, armed_server="Sim", armed_venues={})
    assert [(f.name, f.state) for f in check_venues()] == [(venue, Health.OK), (f"{venue} armed", Health.WARN)]
    monkeypatch.setattr("execution.brokers.binance_account.BinanceAccount._attach", _away)
    assert [(f.state, f.detail) for f in check_venues()] == [(Health.FAIL, "the exchange is away")]
