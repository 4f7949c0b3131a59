"""Where nothing fails nothing is vetoed: every valid target is where its position ends, and no more is sent than asked.

``TARGETS`` in the environment says how many random targets are tried; the venue's own ledger is the judge.
"""

from __future__ import annotations

import os
import random
from collections import defaultdict
from datetime import timedelta
from decimal import Decimal

import pytest

from execution.models import Attempt, LimitRow
from execution.safety.reconcile import reconcile
from ops import clock
from simulator import control, metatrader5
from tests.desk import Desk, open_desk

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

TARGETS = int(os.environ.get("TARGETS", "80"))
SYMBOLS = ("BTCUSD", "ETHUSD", "BNBUSD", "ADAUSD")
BALANCE = 5_000_000.0  # so large that what so much trading costs is within every limit
MOST = Decimal(45_000)  # dollars in a symbol: within its capital, and within the largest order
A_WHILE_S = 0.5  # of the machine's clock between two targets: more orders a minute would be vetoed, and rightly
WIDE = {"max_orders_per_minute": 300, "max_orders_per_day": 1500, "max_positions": 200}
WIDE |= {"max_entry_requests_per_day": 1500, "max_requests_per_day": 1900}


@pytest.fixture(params=["hedging", "netting"])
def desk(request, tmp_path):
    with open_desk(tmp_path, margin_mode=request.param, balance=BALANCE) as opened:
        for name, value in WIDE.items():
            LimitRow.objects.create(name=name, value=value)
        yield opened


def valid_target(desk: Desk, symbol: str, rng: random.Random) -> Decimal:
    """Return signed lots on the symbol's grid: flat, the smallest order, or anything that the limits allow."""
    spec, quote = desk.broker.spec(symbol), desk.broker.quote(symbol)
    most = int(MOST / quote.ask / spec.contract_size / spec.volume_step)
    least = int(spec.smallest_order / spec.volume_step)
    steps = rng.choice((0, least, rng.randint(least, most), rng.randint(least, most)))
    return steps * spec.volume_step * rng.choice((1, -1))


def sent_lots() -> dict[int, Decimal]:
    """Return the volume that the venue was asked for under each magic number."""
    sent: defaultdict[int, Decimal] = defaultdict(Decimal)
    for request in metatrader5.mounted_account().ledger.requests():
        sent[request.magic] += Decimal(request.lots)
    return dict(sent)


def test_every_valid_target_is_executed_and_nothing_more_is_sent(desk):
    rng, vetoed, wanted = random.Random(f"targets {desk.account.margin_mode}"), [], {}
    for number in range(TARGETS // 2):
        symbol = rng.choice(SYMBOLS)
        target, before = valid_target(desk, symbol, rng), desk.lots(symbol)
        adjusted = desk.adjust(symbol, str(target), cause=f"slot {number}")
        if desk.lots(symbol) != target or adjusted.blocker not in ("", adjusted.plan.reason):
            vetoed.append((symbol, before, target, desk.lots(symbol), adjusted.blocker))
        if target != before:
            wanted[adjusted.intent.magic] = abs(target - before)
        control.step(clock.market_now() + timedelta(seconds=rng.randint(20, 600)))
        clock.sleep(A_WHILE_S)
    assert vetoed == []
    assert sent_lots() == wanted
    assert set(Attempt.objects.values_list("outcome", flat=True)) == {"ok"}
    assert reconcile(desk.broker).ownership.doubtful == frozenset()
