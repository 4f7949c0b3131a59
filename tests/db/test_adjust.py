"""``adjust_position`` through the gate, judged by the venue's own ledger."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from execution.brokers.base import OrderTicket, Permit, SendResult
from execution.models import Attempt, Intent, LegRecord
from execution.safety.outcomes import Outcome
from ops import clock
from simulator import control as market
from tests.desk import SteppedClock, open_desk

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=["hedging", "netting"])
def desk(request, tmp_path):
    with open_desk(tmp_path, margin_mode=request.param) as opened:
        yield opened


def test_all_scenes_end_at_their_target(desk):
    for step, lots in enumerate(["0.10", "0.25", "0.05", "-0.15", "0"]):
        adjusted = desk.adjust("BTCUSD", lots, cause=f"slot {step}")

        assert adjusted.blocker == ""
        assert desk.lots("BTCUSD") == Decimal(lots)


def test_the_same_cause_trades_once(desk):
    desk.adjust("BTCUSD", "0.10")
    again = desk.adjust("BTCUSD", "0.30")

    assert "already done" in again.blocker
    assert desk.lots("BTCUSD") == Decimal("0.10")
    assert len(desk.deals()) == 1


def test_a_position_on_target_sends_nothing(desk):
    desk.adjust("BTCUSD", "0.10")
    held = desk.adjust("BTCUSD", "0.10", cause="slot 2")

    assert (held.plan.scene, held.intent) == ("hold", None)
    assert Attempt.objects.count() == 1


def test_every_request_was_journalled_with_its_reply(desk):
    desk.adjust("BTCUSD", "0.10")

    attempt = Attempt.objects.get()
    [deal] = desk.deals()
    assert attempt.outcome == "ok"
    assert attempt.retcode == 10009
    assert attempt.leg.intent.magic == deal.magic
    assert attempt.leg.filled == Decimal("0.10")
    assert Intent.objects.get().status == Intent.Status.DONE


def test_a_reverse_closes_before_it_opens(desk):
    desk.adjust("BTCUSD", "0.10")
    desk.adjust("BTCUSD", "-0.10", cause="slot 2")

    reduces = LegRecord.objects.filter(intent__cause_id="slot 2").values_list("reduces", flat=True)
    assert list(reduces) == [True, False]


class BusyClock(SteppedClock):
    """A clock on which there is a new tick whenever somebody has waited."""

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        market.step(self.market_now() + timedelta(seconds=15))


class TestAnswers:
    """What the executor does about answers that are no fill, while the market moves on."""

    @pytest.fixture(autouse=True)
    def moving(self, desk):
        with clock.use(BusyClock(desk.clock.path)):
            yield

    def answer(self, desk, monkeypatch, *outcomes: Outcome) -> list[datetime]:
        """Answer the first orders with these outcomes, unexecuted; return when the price of each one was quoted."""
        submit, quoted = desk.broker.submit, []

        def answered(ticket: OrderTicket, permit: Permit) -> SendResult:
            quoted.append(desk.broker.quote(ticket.symbol).at)
            if len(quoted) > len(outcomes):
                return submit(ticket, permit)
            outcome = outcomes[len(quoted) - 1]
            return SendResult(outcome=outcome, retcode=1, retcode_name="TEST", message="", sent_mono=clock.mono())

        monkeypatch.setattr(desk.broker, "submit", answered)
        return quoted

    def test_a_price_that_moved_is_tried_again_on_a_newer_tick(self, desk, monkeypatch):
        quoted = self.answer(desk, monkeypatch, Outcome.REPRICE, Outcome.REPRICE)

        assert desk.adjust("BTCUSD", "0.10").blocker == ""
        assert desk.lots("BTCUSD") == Decimal("0.10")
        assert len(quoted) == 3
        assert quoted[0] < quoted[1] < quoted[2]

    def test_a_price_that_keeps_moving_is_given_up_after_the_third_time(self, desk, monkeypatch):
        quoted = self.answer(desk, monkeypatch, *[Outcome.REPRICE] * 9)

        assert "TEST" in desk.adjust("BTCUSD", "0.10").blocker
        assert (len(quoted), desk.deals()) == (3, [])
        assert Intent.objects.get().status == Intent.Status.FAILED

    @pytest.mark.parametrize("outcome", [Outcome.AMBIGUOUS, Outcome.LATER, Outcome.REJECT, Outcome.HALT])
    def test_every_other_answer_ends_the_attempt(self, desk, monkeypatch, outcome):
        quoted = self.answer(desk, monkeypatch, outcome)

        assert desk.adjust("BTCUSD", "0.10").blocker != ""
        assert (len(quoted), desk.deals()) == (1, [])

    def test_after_an_ambiguous_answer_the_next_slot_sends_nothing_either(self, desk, monkeypatch):
        quoted = self.answer(desk, monkeypatch, Outcome.AMBIGUOUS)
        desk.adjust("BTCUSD", "0.10")

        assert "not known yet" in desk.adjust("BTCUSD", "0.10", cause="slot 2").blocker
        assert (len(quoted), Intent.objects.get().status) == (1, Intent.Status.AMBIGUOUS)
