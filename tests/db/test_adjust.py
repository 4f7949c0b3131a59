"""``adjust_position`` through the gate, judged by the venue's own ledger."""

from __future__ import annotations

from decimal import Decimal

import pytest

from execution.models import Attempt, Intent, LegRecord
from tests.desk import open_desk

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
