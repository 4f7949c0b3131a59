"""After a crash or a doubtful reply the venue's history decides, and nothing is traded twice."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from decimal import Decimal

import pytest

from execution.brokers.base import SendResult
from execution.brokers.magic import Family, encode_magic
from execution.errors import ConfigError, RiskRefusedError
from execution.guarding import guard_account
from execution.limits import current_limits, loss_budgets
from execution.models import Account, Attempt, FillRecord, Intent, LegRecord
from execution.safety import killswitch
from execution.safety.control import State, current_control
from execution.safety.outcomes import Outcome
from execution.safety.reconcile import HORIZON_S, PROOFS_APART_S, PROOFS_OF_ABSENCE, close_orphans, reconcile
from execution.safety.risk.context import LossKind
from execution.sentinel import Sentinel
from execution.wire import connect_broker
from ops import clock
from ops.audit import SYSTEM
from simulator import control, metatrader5
from simulator.faults import FaultPlan, Rule, switch_off, switch_on
from tests.desk import open_desk

pytestmark = pytest.mark.django_db(transaction=True)


class Crash(BaseException):
    """The process dies here."""


@pytest.fixture(params=["hedging", "netting"])
def desk(request, tmp_path):
    with open_desk(tmp_path, margin_mode=request.param) as opened:
        yield opened


def after_horizon(desk) -> None:
    """Reconcile as often as two proofs of absence take, each after the horizon."""
    for _ in range(PROOFS_OF_ABSENCE):
        desk.clock.slept += HORIZON_S + 1
        reconcile(desk.broker)
    close_orphans(desk.account)


def die_before_sending(*_: object) -> SendResult:
    raise Crash


def die_after_sending(submit):
    def sent(*arguments: object) -> SendResult:
        submit(*arguments)
        raise Crash

    return sent


def test_a_crash_before_the_send_leaves_nothing_and_frees_the_symbol(desk, monkeypatch):
    monkeypatch.setattr(desk.broker, "submit", die_before_sending)
    with pytest.raises(Crash):
        desk.adjust("BTCUSD", "0.10")
    monkeypatch.undo()
    assert "not known yet" in desk.adjust("BTCUSD", "0.10", cause="slot 2").blocker
    after_horizon(desk)

    assert desk.adjust("BTCUSD", "0.10", cause="slot 3").blocker == ""
    assert desk.lots("BTCUSD") == Decimal("0.10")
    assert len(desk.deals()) == 1


def test_a_crash_after_the_send_is_found_in_the_history_and_not_sent_again(desk, monkeypatch):
    monkeypatch.setattr(desk.broker, "submit", die_after_sending(desk.broker.submit))
    with pytest.raises(Crash):
        desk.adjust("BTCUSD", "0.10")
    monkeypatch.undo()
    after_horizon(desk)

    assert Attempt.objects.get().outcome == "ok"
    assert Intent.objects.get().status == Intent.Status.DONE
    assert desk.adjust("BTCUSD", "0.10").blocker != ""
    assert desk.adjust("BTCUSD", "0.10", cause="slot 2").plan.scene == "hold"
    assert len(desk.deals()) == 1


def test_one_look_is_no_proof_of_absence(desk, monkeypatch):
    monkeypatch.setattr(desk.broker, "submit", die_before_sending)
    with pytest.raises(Crash):
        desk.adjust("BTCUSD", "0.10")
    desk.clock.slept += HORIZON_S + 1
    reconcile(desk.broker)

    assert Attempt.objects.unresolved().count() == 1


def test_before_the_horizon_nothing_is_settled(desk, monkeypatch):
    monkeypatch.setattr(desk.broker, "submit", die_after_sending(desk.broker.submit))
    with pytest.raises(Crash):
        desk.adjust("BTCUSD", "0.10")
    reconcile(desk.broker)

    assert Attempt.objects.unresolved().count() == 1


def test_an_ambiguous_reply_waits_for_the_history(desk, monkeypatch):
    submit = desk.broker.submit

    def unsure(*arguments: object) -> SendResult:
        done = submit(*arguments)
        return SendResult(
            outcome=Outcome.AMBIGUOUS, retcode=10012, retcode_name="TIMEOUT", message="", sent_mono=done.sent_mono
        )

    monkeypatch.setattr(desk.broker, "submit", unsure)
    desk.adjust("BTCUSD", "0.10")
    assert Intent.objects.get().status == Intent.Status.AMBIGUOUS
    monkeypatch.undo()
    after_horizon(desk)

    assert Intent.objects.get().status == Intent.Status.DONE
    assert desk.lots("BTCUSD") == Decimal("0.10")


def test_reconciling_again_changes_nothing(desk):
    desk.adjust("BTCUSD", "0.10")
    reconcile(desk.broker)
    rows = FillRecord.objects.count()
    again = reconcile(desk.broker)

    assert again.new_fills == 0
    assert FillRecord.objects.count() == rows


def test_every_deal_of_the_venue_is_in_the_book_with_its_money(desk):
    for step, lots in enumerate(["0.10", "0.30", "-0.10", "0"]):
        desk.adjust("BTCUSD", lots, cause=f"slot {step}")
    reconcile(desk.broker)

    booked = FillRecord.objects.exclude(symbol="")
    assert booked.count() == len(desk.deals())
    money = sum((fill.profit + fill.commission + fill.swap + fill.fee for fill in booked), Decimal(0))
    assert desk.broker.account().balance == Decimal(100_000) + money


@pytest.mark.parametrize("amount", [-30_000, 30_000])
def test_what_is_paid_out_or_in_is_neither_a_loss_nor_room(desk, amount):
    guard_account(desk.broker)
    control.step(clock.market_now() + timedelta(minutes=2))  # a movement in the minute of a look may be in it
    with metatrader5.mounted_account().transaction():
        metatrader5.mounted_account().book_cash(Decimal(amount), "payout")
    guard_account(desk.broker)

    assert desk.broker.account().balance == 100_000 + amount
    budgets = {b.kind: b for b in loss_budgets(desk.account, current_limits(), clock.market_now())}
    assert budgets[LossKind.DAILY].start == budgets[LossKind.TOTAL].start == 100_000 + amount
    assert current_control().state == State.ARMED


def test_cash_is_booked_once_and_the_deposit_that_opened_the_account_never(desk):
    control.step(clock.market_now() + timedelta(minutes=2))
    with metatrader5.mounted_account().transaction():
        metatrader5.mounted_account().book_cash(Decimal(700), "bonus")
    for _ in range(3):
        reconcile(desk.broker)
    (moved,) = FillRecord.objects.filter(symbol="")
    assert (moved.entry, moved.profit) == ("cash", 700)


def test_a_failed_read_changes_nothing(desk, monkeypatch):
    desk.adjust("BTCUSD", "0.10")
    before = FillRecord.objects.count()
    monkeypatch.setattr(metatrader5, "positions_get", lambda **_: None)
    from execution.errors import BrokerUnavailableError

    with pytest.raises(BrokerUnavailableError):
        reconcile(desk.broker)
    assert FillRecord.objects.count() == before


def by_hand(symbol: str, volume: float, **changes: object) -> None:
    """Trade at the terminal, past the desk."""
    tick = metatrader5.symbol_info_tick(symbol)
    request = {"action": 1, "symbol": symbol, "volume": volume, "type": 0, "price": tick.ask, "type_filling": 1}
    assert metatrader5.order_send(request | changes).retcode == 10009


@pytest.mark.parametrize("magic", [0, 777, encode_magic(Family.SETUP, 1)], ids=["a person", "a stranger", "the bot"])
def test_what_somebody_else_trades_belongs_to_no_intent(desk, magic):
    desk.adjust("BTCUSD", "0.10")
    by_hand("ETHUSD", 0.5, magic=magic)
    found = reconcile(desk.broker)

    assert [fill.symbol for fill in FillRecord.objects.filter(intent=None).exclude(symbol="")] == ["ETHUSD"]
    assert FillRecord.objects.get(intent=Intent.objects.get()).symbol == "BTCUSD"
    if magic in (0, 777):
        assert [position.symbol for position in found.ownership.foreign] == ["ETHUSD"]


@pytest.mark.parametrize("magic", [0, 777], ids=["a person", "a stranger"])
def test_somebody_elses_position_beside_ours_is_neither_closed_nor_counted_as_ours(desk, magic):
    desk.adjust("BTCUSD", "0.10")
    by_hand("BTCUSD", 0.03, magic=magic)
    found = reconcile(desk.broker)

    assert sum(position.volume for position in found.ownership.of("BTCUSD")) == Decimal("0.10")
    if desk.account.margin_mode == "netting":  # one position of 0.13: what of it moves is anybody's guess
        with pytest.raises(RiskRefusedError, match="is not what our book says"):
            desk.adjust("BTCUSD", "0", cause="slot 2")
        assert desk.lots("BTCUSD") == Decimal("0.13")
    else:
        assert desk.adjust("BTCUSD", "0", cause="slot 2").blocker == ""
        assert desk.lots("BTCUSD") == Decimal("0.03")


@pytest.fixture
def restored(desk):
    """A desk whose database is from before its position in ETHUSD."""
    desk.adjust("BTCUSD", "0.10")
    desk.adjust("ETHUSD", "0.40")
    lost = Intent.objects.get(symbol="ETHUSD")
    FillRecord.objects.filter(intent=lost).delete()
    lost.delete()
    reconcile(desk.broker)
    return desk


def test_after_an_older_database_was_restored_no_magic_is_given_out_twice(restored):
    spent = {deal.magic for deal in restored.deals()}
    assert restored.adjust("BTCUSD", "0.20", cause="slot 2").blocker == ""

    fresh = Intent.objects.latest("id").magic
    assert fresh not in spent
    assert fresh >= max(spent) + 1000
    restored.adjust("BTCUSD", "0.30", cause="slot 3")
    assert Intent.objects.latest("id").magic == fresh + 1


def test_a_position_that_the_restored_database_does_not_know_halts_its_symbol_alone(restored):
    assert "ETHUSD" in reconcile(restored.broker).ownership.doubtful
    with pytest.raises(RiskRefusedError, match="ETHUSD is not what our book says"):
        restored.adjust("ETHUSD", "0.00", cause="slot 2")
    assert restored.lots("ETHUSD") == Decimal("0.40")
    assert restored.adjust("BTCUSD", "0.00", cause="slot 2").blocker == ""
    assert restored.lots("BTCUSD") == 0


def late(desk, submit, answer: Outcome):
    """Execute, stand still until a reconcile has settled it, and only then answer."""

    def sent(*arguments: object) -> SendResult:
        result = submit(*arguments)
        desk.clock.slept += HORIZON_S + 1
        reconcile(desk.broker)
        return dataclasses.replace(result, outcome=answer)

    return sent


@pytest.mark.parametrize("answer", [Outcome.OK, Outcome.AMBIGUOUS, Outcome.REJECT])
def test_an_answer_that_comes_after_a_reconcile_settled_it_changes_nothing(desk, monkeypatch, answer):
    monkeypatch.setattr(desk.broker, "submit", late(desk, desk.broker.submit, answer))
    desk.adjust("BTCUSD", "0.10")

    attempt, leg = Attempt.objects.get(), LegRecord.objects.get()
    assert (attempt.outcome, attempt.resolved_at is None) == ("ok", False)
    assert leg.filled == Decimal("0.10") == desk.lots("BTCUSD")
    assert Intent.objects.get().status == Intent.Status.DONE


def test_an_intent_that_ended_meanwhile_sends_nothing_more(desk, monkeypatch):
    desk.adjust("BTCUSD", "0.10")
    monkeypatch.setattr(desk.broker, "reduce", late(desk, desk.broker.reduce, Outcome.OK))
    adjusted = desk.adjust("BTCUSD", "-0.10", cause="slot 2")

    assert "ended meanwhile" in adjusted.blocker
    assert desk.lots("BTCUSD") == 0


def test_two_looks_at_one_moment_prove_absence_once(desk, monkeypatch):
    monkeypatch.setattr(desk.broker, "submit", die_before_sending)
    with pytest.raises(Crash):
        desk.adjust("BTCUSD", "0.10")
    desk.clock.slept += HORIZON_S
    for _ in range(2):
        assert reconcile(desk.broker).doubtful == 1
    desk.clock.slept += PROOFS_APART_S
    assert reconcile(desk.broker).doubtful == 0


def test_a_request_that_was_sent_at_the_last_moment_has_its_whole_horizon(desk, monkeypatch):
    """The fence takes it up to 2 s after its line in the journal, and the venue may execute it 15 s after that."""
    monkeypatch.setattr(desk.broker, "submit", die_before_sending)
    with pytest.raises(Crash):
        desk.adjust("BTCUSD", "0.10")
    desk.clock.slept += 16.9
    reconcile(desk.broker)
    assert Attempt.objects.get().absences == 0
    desk.clock.slept += 0.2
    reconcile(desk.broker)
    assert Attempt.objects.get().absences == 1


def test_a_desk_is_bound_to_the_account_that_was_armed(desk):
    desk.adjust("BTCUSD", "0.10")
    sentinel = Sentinel()
    sentinel.round()
    switch_on(desk.world.config.sim_dir, FaultPlan(rules=(Rule(fault="M08", call="account_info"),)))
    sentinel.round()
    with pytest.raises(ConfigError, match="another login"):
        connect_broker(patient=False)
    killswitch.latch(SYSTEM, cause="a test")
    sentinel.round()

    assert current_control().state == State.KILLING
    assert Account.objects.count() == 1
    switch_off(desk.world.config.sim_dir)
    sentinel.round()
    assert current_control().state == State.KILLED
    assert desk.lots("BTCUSD") == 0


@pytest.mark.parametrize("desk", ["hedging"], indirect=True)
def test_the_rest_of_an_order_that_is_found_in_part_is_waited_for(desk, monkeypatch):
    """The history shows the first of two deals at the horizon, and the second one later."""
    submit, fills_since = desk.broker.submit, desk.broker.fills_since

    def in_two_deals(ticket, permit):
        for part in ("0.04", "0.06"):
            submit(dataclasses.replace(ticket, volume=Decimal(part)), permit)
        raise Crash

    monkeypatch.setattr(desk.broker, "submit", in_two_deals)
    with pytest.raises(Crash):
        desk.adjust("BTCUSD", "0.10")
    monkeypatch.setattr(desk.broker, "fills_since", lambda at: fills_since(at)[:1])
    desk.clock.slept += HORIZON_S
    assert reconcile(desk.broker).doubtful == 1
    monkeypatch.setattr(desk.broker, "fills_since", fills_since)
    desk.clock.slept += PROOFS_APART_S
    assert reconcile(desk.broker).doubtful == 0

    assert LegRecord.objects.get().filled == Decimal("0.10")
    assert Attempt.objects.get().volume == Decimal("0.10")
