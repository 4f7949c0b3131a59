"""Faults of the venue during a session, judged by the venue's own ledger: at the target or stopped, never twice."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from decimal import Decimal

import pytest

from execution.adjust import Adjuster
from execution.errors import ExecutionError
from execution.models import Attempt, Decision, Intent
from execution.safety import killswitch
from execution.safety.flatten import flatten_round
from execution.safety.reconcile import HORIZON_S, PROOFS_OF_ABSENCE, reconcile
from execution.wire import connect_broker
from market.models import Symbol
from ops import clock
from ops.audit import SYSTEM
from simulator import constants as mt5
from simulator import control, metatrader5
from simulator.faults import FaultPlan, Rule, read_log, switch_off, switch_on
from tests.desk import START, Desk, SteppedClock, run_slot
from tests.fitted_desk import fitted_database

pytestmark = pytest.mark.slow
NAME = "BTCUSD"
TICK_S = 15.0
DOUBT = "is not what our book says"


@pytest.fixture(scope="module")
def fitted(tmp_path_factory, django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), fitted_database(tmp_path_factory) as once:
        yield once


class MovingClock(SteppedClock):
    """A clock on which market time passes, too, when somebody waits; who polls sees a new tick each time."""

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        control.step(self.market_now() + timedelta(seconds=seconds if seconds > 1 else TICK_S))


@pytest.fixture(params=["hedging", pytest.param("netting", marks=pytest.mark.deep)])
def desk(request, fitted, tmp_path) -> Iterator[Desk]:
    with fitted.opened(tmp_path, margin_mode=request.param) as opened:
        Symbol.objects.exclude(name=NAME).update(is_traded=False)
        with clock.use(MovingClock(opened.clock.path)):
            yield opened


@contextmanager
def met(desk: Desk, *rules: Rule) -> Iterator[None]:
    """Play the rules' faults inside the block; each of them has to happen."""
    sim_dir = desk.world.config.sim_dir
    before = len(read_log(sim_dir))
    switch_on(sim_dir, FaultPlan(rules=rules))
    yield
    switch_off(sim_dir)
    assert {rule.fault for rule in rules} == {line["id"] for line in read_log(sim_dir)[before:]}


def session(desk: Desk, hour: int) -> None:
    """Run a slot's session; one that cannot go on ends with an error of ours, never with another."""
    with suppress(ExecutionError):
        run_slot(desk, START.replace(hour=hour))


def settle(desk: Desk) -> None:
    """Reconcile until every horizon is over and absence is proven, as the sentinel does meanwhile."""
    for _ in range(PROOFS_OF_ABSENCE + 1):
        clock.sleep(HORIZON_S + 1)
        reconcile(connect_broker(patient=False))


def venue_lots() -> Decimal:
    """Return what the ledger holds of the symbol, in signed lots."""
    held = [p for p in metatrader5.mounted_account().ledger.positions() if p.symbol == NAME]
    return sum((p.volume if p.type == mt5.POSITION_TYPE_BUY else -p.volume for p in held), Decimal(0))


def account_nets() -> bool:
    return not metatrader5.mounted_account().hedging


def foreign_lots() -> Decimal:
    """Return the signed lots of deals that are not ours."""
    deals = [d for d in metatrader5.mounted_account().ledger.deals() if d.symbol == NAME and not d.magic]
    return sum((d.volume if d.type == mt5.DEAL_TYPE_BUY else -d.volume for d in deals), Decimal(0))


def assert_nothing_was_traded_twice() -> None:
    """Compare each intent with the venue's deals of its magic; what the server closes bears its position's."""
    deals = [d for d in metatrader5.mounted_account().ledger.deals() if d.reason == mt5.DEAL_REASON_EXPERT]
    for intent in Intent.objects.filter(symbol=NAME).exclude(cause="cancel"):
        filled = sum((d.volume for d in deals if d.magic == intent.magic), Decimal(0))
        asked = sum(intent.legs.values_list("volume", flat=True), Decimal(0))
        assert filled <= asked <= abs(intent.target_lots - intent.from_lots), intent
    ours = {magic for (magic,) in Intent.objects.values_list("magic")}
    assert {d.magic for d in deals if d.symbol} - {0} <= ours


def assert_at_target_or_stopped() -> None:
    """The newest decision's target is what the venue holds of ours, unless a stranger's trade on a net position is."""
    decision = Decision.objects.filter(symbol=NAME).latest("pk")
    if account_nets() and foreign_lots():
        assert (decision.verdict, DOUBT in decision.blocker) == ("failed", True)
        return
    assert decision.verdict in ("traded", "hold"), decision.blocker
    assert venue_lots() - foreign_lots() == decision.target_lots != 0
    assert [order for order in metatrader5.mounted_account().ledger.orders() if order.magic] == []


def rule(fault: str, **more: object) -> Rule:
    fields = {name: more.pop(name) for name in ("call", "nth", "times", "lasts_s") if name in more}
    return Rule(fault=fault, **({"times": 1} | fields), parameters=more)


OPENING = [
    pytest.param(rule("M20"), id="M20-None"),
    pytest.param(rule("M20", reply=1), id="M20-None-success"),
    pytest.param(rule("M20", reply=10012), id="M20-timeout"),
    pytest.param(rule("M20", reply=10031), id="M20-no-connection"),
    pytest.param(rule("M21"), id="M21-None"),
    pytest.param(rule("M21", reply=10012), id="M21-timeout"),
    pytest.param(rule("M22", after_s=10.0), id="M22-within-horizon"),
    pytest.param(rule("M22", after_s=24.0), id="M22-between-two-reads"),
    pytest.param(rule("M22", after_s=60.0), id="M22-after-absence-was-proven"),
    pytest.param(rule("M22", how="shows late", after_s=10.0), id="M22-history-late"),
    pytest.param(rule("M22", how="shows twice", after_s=60.0), id="M22-history-twice"),
    pytest.param(rule("M23", after_s=5.0), id="M23-fills"),
    pytest.param(rule("M23", after_s=5.0, then="reject"), id="M23-rejected"),
    pytest.param(rule("M24"), id="M24-partial"),
    pytest.param(rule("M24", retcode=10009), id="M24-less-than-asked"),
    pytest.param(rule("M26"), id="M26-requote-once"),
    pytest.param(rule("M26", times=2, retcode=10020), id="M26-price-changed-twice"),
    pytest.param(rule("M27"), id="M27-storm"),
    pytest.param(rule("M53"), id="M53-unknown"),
    pytest.param(rule("M53", executed=True), id="M53-unknown-executed"),
    pytest.param(rule("M03", call="order_send", seconds=0.05), id="M03-hang"),
    pytest.param(rule("M03", call="order_send", seconds=0.05, executed=True), id="M03-hang-executed"),
    pytest.param(rule("M04", call="order_send"), id="M04-drop"),
    pytest.param(rule("M04", call="order_send", executed=True), id="M04-drop-executed"),
    pytest.param(rule("M05", call="order_send"), id="M05-link-down"),
    pytest.param(rule("M08"), id="M08-other-account"),
    pytest.param(rule("M10"), id="M10-no-account"),
    pytest.param(rule("M46", call="order_send"), id="M46-comment"),
    pytest.param(rule("M51", call="order_send", volume=0.02), id="M51-foreign-position"),
    pytest.param(rule("M51", call="order_send", volume=0.02, kind="order"), id="M51-foreign-order"),
    pytest.param(rule("M56", call="positions_get"), id="M56-positions"),
    pytest.param(rule("M56", call="history_deals_get", nth=1), id="M56-history-before"),
    pytest.param(rule("M56", call="history_deals_get", nth=2), id="M56-history-after-send"),
    pytest.param(rule("M56", call="history_deals_get", times=100), id="M56-history-lost"),
]


@pytest.mark.parametrize("fault", OPENING)
def test_a_session_with_a_fault_ends_at_its_target_or_says_why_not(desk, fault):
    with met(desk, fault):
        session(desk, 9)
        assert_nothing_was_traded_twice()
        if fault.fault == "M22":
            settle(desk)  # the fault goes on: its fill, or the news of it, is still to come
    settle(desk)
    settle(desk)
    assert_nothing_was_traded_twice()
    assert not Attempt.objects.unresolved().exists()

    session(desk, 10)
    assert_nothing_was_traded_twice()
    assert_at_target_or_stopped()


@pytest.mark.parametrize("reply", [-10005, -10002, 1, 10012, 10031, 10011])
def test_while_a_fill_may_still_come_nothing_more_is_sent(desk, reply):
    with met(desk, rule("M22", reply=reply, after_s=10.0)):
        adjust(desk, "0.10", cause="slot 1")
        adjust(desk, "0.10", cause="slot 2")
        assert venue_lots() == 0
        settle(desk)
    adjust(desk, "0.10", cause="slot 3")

    assert venue_lots() == Decimal("0.10")
    assert_nothing_was_traded_twice()


@pytest.fixture
def exchange_filling(desk, monkeypatch):
    """Let the symbol be an exchange's that takes RETURN alone: the rest of a partial fill goes on working."""
    symbols = desk.world.market.symbols
    exchange = {"trade_exemode": mt5.SYMBOL_TRADE_EXECUTION_EXCHANGE, "filling_mode": 0}
    monkeypatch.setitem(symbols, NAME, dataclasses.replace(symbols[NAME], **exchange))


def resting() -> list[int]:
    return [order.ticket for order in metatrader5.mounted_account().ledger.orders()]


@pytest.mark.usefixtures("exchange_filling")
def test_the_working_rest_of_an_order_is_taken_back_at_once(desk):
    with met(desk, rule("M25")):
        adjust(desk, "0.10", cause="slot 1")
    assert (venue_lots(), resting()) == (Decimal("0.05"), [])
    adjust(desk, "0.10", cause="slot 2")
    assert venue_lots() == Decimal("0.10")


@pytest.mark.usefixtures("exchange_filling")
def test_a_rest_that_a_dead_process_left_is_taken_back_before_anything_is_planned(desk, monkeypatch):
    with met(desk, rule("M25")), monkeypatch.context() as dead:
        dead.setattr(Adjuster, "_take_back", lambda *_: "")
        adjust(desk, "0.10", cause="slot 1")
    assert len(resting()) == 1
    adjust(desk, "0.10", cause="slot 2")

    assert (venue_lots(), resting()) == (Decimal("0.10"), [])
    assert_nothing_was_traded_twice()


@pytest.mark.usefixtures("exchange_filling")
def test_a_rest_that_cannot_be_taken_back_keeps_its_symbol_from_trading(desk):
    with met(desk, rule("M25", nth=1), rule("M04", call="order_send", nth=2)):
        adjust(desk, "0.10", cause="slot 1")
        assert (venue_lots(), len(resting())) == (Decimal("0.05"), 1)
        adjust(desk, "0.10", cause="slot 2")
    assert (venue_lots(), resting()) == (Decimal("0.05"), [])
    settle(desk)
    adjust(desk, "0.10", cause="slot 3")
    assert (venue_lots(), resting()) == (Decimal("0.10"), [])


@pytest.mark.usefixtures("exchange_filling")
def test_the_working_rest_of_a_close_is_taken_back_too(desk):
    assert desk.adjust(NAME, "0.10").blocker == ""
    with met(desk, rule("M25")):
        adjust(desk, "0", cause="slot 2")
    assert (venue_lots(), resting()) == (Decimal("0.05"), [])


def test_an_order_that_still_works_is_not_proven_absent(desk):
    with met(desk, rule("M23", then="stay")):
        adjust(desk, "0.10", cause="slot 1")
        for _ in range(2):
            settle(desk)
    assert len(resting()) == Attempt.objects.unresolved().count() == 1


def test_an_order_that_works_for_ever_is_taken_back_and_its_symbol_trades_again(desk):
    with met(desk, rule("M23", then="stay")):
        adjust(desk, "0.10", cause="slot 1")
    settle(desk)
    adjust(desk, "0.10", cause="slot 2")
    assert (venue_lots(), resting()) == (0, [])
    for _ in range(2):
        settle(desk)
    adjust(desk, "0.10", cause="slot 3")

    assert (venue_lots(), resting()) == (Decimal("0.10"), [])
    assert not Attempt.objects.unresolved().exists()


def test_a_kill_takes_an_order_back_that_never_came_to_its_end(desk):
    assert desk.adjust(NAME, "0.10").blocker == ""
    with met(desk, rule("M23", then="stay")):
        adjust(desk, "0.20", cause="slot 2")
        event = killswitch.latch(SYSTEM, cause="a test")
        flatten_round(desk.broker, desk.account, event)
        settle(desk)
    rounds = [flatten_round(desk.broker, desk.account, event) for _ in range(2)]

    assert rounds[-1]
    assert (venue_lots(), resting()) == (0, [])


def test_what_is_done_stays_done_when_its_deals_cannot_be_read(desk):
    with met(desk, rule("M56", call="history_deals_get", times=100)):
        adjust(desk, "0.10", cause="slot 1")
    (intent,) = Intent.objects.filter(symbol=NAME)
    assert (intent.status, venue_lots()) == (Intent.Status.DONE, Decimal("0.10"))


@pytest.mark.parametrize("desk", ["hedging"], indirect=True)
def test_an_order_that_became_several_positions_is_still_one_order(desk):
    with met(desk, rule("M55")):
        session(desk, 9)
    assert len(metatrader5.positions_get()) > 1
    session(desk, 10)

    assert_nothing_was_traded_twice()
    assert_at_target_or_stopped()


CLOSING = [
    pytest.param(rule("M20"), id="M20-None"),
    pytest.param(rule("M20", reply=10031), id="M20-no-connection"),
    pytest.param(rule("M21"), id="M21-None"),
    pytest.param(rule("M22", after_s=10.0), id="M22-late"),
    pytest.param(rule("M24"), id="M24-partial"),
    pytest.param(rule("M26"), id="M26-requote"),
    pytest.param(rule("M03", call="order_send", seconds=0.05, executed=True), id="M03-hang-executed"),
    pytest.param(rule("M04", call="order_send", executed=True), id="M04-drop-executed"),
    pytest.param(rule("M39"), id="M39-close-only"),
    pytest.param(rule("M44"), id="M44-close-in-flight"),
    pytest.param(rule("M51", call="order_send", volume=0.02), id="M51-foreign-position"),
    pytest.param(rule("M56", call="positions_get"), id="M56-positions"),
]


@pytest.mark.parametrize("fault", CLOSING)
def test_a_close_with_a_fault_ends_flat_and_never_on_the_other_side(desk, fault):
    assert desk.adjust(NAME, "0.10").blocker == ""
    with met(desk, fault):
        adjust(desk, "0", cause="slot 2")
        settle(desk)
    assert_never_short()
    adjust(desk, "0", cause="slot 3")

    assert_never_short()
    assert_nothing_was_traded_twice()
    if not (account_nets() and foreign_lots()):
        assert venue_lots() == max(foreign_lots(), Decimal(0))


@pytest.mark.parametrize("desk", ["hedging"], indirect=True)
@pytest.mark.parametrize(
    "fault",
    [rule("M40"), rule("M40", by="stop-out"), rule("M42")],
    ids=lambda one: f"{one.fault}-{one.parameters.get('by', 'as usual')}",
)
def test_a_close_of_a_ticket_that_is_gone_or_smaller_opens_nothing(desk, fault):
    assert desk.adjust(NAME, "0.10").blocker == ""
    with met(desk, fault):
        adjust(desk, "0", cause="slot 2")
        settle(desk)
    adjust(desk, "0", cause="slot 3")

    assert_never_short()
    assert venue_lots() == 0


def adjust(desk: Desk, lots: str, *, cause: str) -> None:
    """Bring the symbol to so many lots over a connection of its own, as each session does."""
    with suppress(ExecutionError):
        desk.broker.connect()
        desk.adjust(NAME, lots, cause=cause)


def assert_never_short() -> None:
    """Add the venue's deals up, one by one."""
    lots = Decimal(0)
    for deal in metatrader5.mounted_account().ledger.deals():
        if deal.symbol == NAME:
            lots += deal.volume if deal.type == mt5.DEAL_TYPE_BUY else -deal.volume
            assert lots >= 0, deal
