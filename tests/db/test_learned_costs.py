"""What our own fills say of costs: from rows whose numbers were made up by hand, and from a desk that traded."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from itertools import count

import pytest

from execution.backtest_requests import BacktestOptions
from execution.learned_costs import learned_from, observed_fills
from execution.models import Account, Attempt, Decision, FillRecord, Intent, LegRecord
from strategies.research.costs import ENOUGH_FILLS
from tests.fits_builders import make_symbol, run_command

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
numbers = count(1)


@pytest.fixture
def account():
    make_symbol("BTCUSD", n_bars=0)
    fields = {"currency": "USD", "margin_mode": "hedging", "initial_balance": 1000}
    return Account.objects.create(login=1, server="S", mode="demo", **fields)


def traded(account, *, side="buy", mid=100.0, asked=101.0, price=101.5, commission="-0.10", **changes) -> FillRecord:
    """Store one order of two lots of 5 coins, from its decision to its deal."""
    number = next(numbers)
    sizing = {"price": str(mid), "contract_value": str(mid * 5), "volume_step": "0.5", "digits": 2}
    decision = Decision.objects.create(
        symbol="BTCUSD", slot=f"{number}", market_at=NOON, sizing=sizing, verdict="traded", account=account
    )
    known = {"account": account, "symbol": "BTCUSD", "family": "rebalance", "cause": "session", "mode": "demo"}
    intent = Intent.objects.create(
        **known | changes,
        cause_id=f"{number}",
        magic=number,
        counter=number,
        decision=decision,
        target_lots=2,
        from_lots=0,
    )
    leg = LegRecord.objects.create(intent=intent, sequence=0, scene="open", side=side, volume=2, reduces=False)
    reply = {"request": {"price": asked}, "reply": {"order": 7000 + number}}
    Attempt.objects.create(leg=leg, number=1, fence=1, boot="", outcome="ok", retcode=10009, reply=reply)
    return FillRecord.objects.create(
        account=account,
        deal_id=number,
        order_id=7000 + number,
        position_id=1,
        symbol="BTCUSD",
        side=side,
        entry="in",
        volume=2,
        price=price,
        profit=0,
        commission=Decimal(commission),
        swap=0,
        fee=Decimal("-0.05"),
        at=NOON,
        intent=intent,
    )


def test_a_buy_is_read_beside_its_quote_in_coins_and_with_what_it_paid(account):
    traded(account)

    (fill,) = observed_fills("BTCUSD")

    # Two lots of 5 coins; commission and fee were paid, so both count as costs.
    assert (fill.side, fill.price, fill.coins, fill.mid, fill.planned) == (1, 101.5, 10.0, 100.0, 101.0)
    assert fill.commission == pytest.approx(0.15)


def test_spread_slippage_and_commission_come_out_as_by_hand(account):
    traded(account)
    traded(account, side="sell", asked=99.0, price=98.505, commission="0")

    learned = learned_from(["BTCUSD"])["BTCUSD"]

    assert learned.n_fills == 2
    assert learned.costs.spread_fraction.value == pytest.approx(0.02)  # twice one in a hundred, both ways
    assert learned.costs.slippage.value == pytest.approx((0.5 / 101 + 0.495 / 99) / 2)  # the median of two
    assert learned.costs.commission_rate.value == pytest.approx((0.15 + 0.05) / (1015 + 985.05))


def test_a_fill_whose_request_is_gone_tells_its_commission_alone(account):
    traded(account)
    Attempt.objects.update(reply={})

    learned = learned_from(["BTCUSD"])["BTCUSD"].costs

    assert (learned.spread_fraction, learned.slippage) == (None, None)
    assert learned.commission_rate.count == 1


def test_only_orders_of_ours_in_this_mode_tell(account, settings):
    by_somebody_else = traded(account)
    FillRecord.objects.filter(pk=by_somebody_else.pk).update(intent=None)
    traded(account, mode="live")
    assert learned_from(["BTCUSD"])["BTCUSD"].n_fills == 0

    settings.TRADING_MODE = "live"
    assert learned_from(["BTCUSD"])["BTCUSD"].n_fills == 1


def test_the_command_shows_assumed_beside_learned_with_counts(account):
    for _ in range(ENOUGH_FILLS):
        traded(account)

    code, document, _ = run_command("cost_compare", "--symbol", "BTCUSD")

    assert (code, document["schema"]) == (0, "cost_compare/1")
    rows = {row["name"]: row for row in document["data"]["costs"]}
    assert set(rows) == {"spread_fraction", "slippage", "commission_rate"}
    spread = rows["spread_fraction"]
    assert (spread["symbol"], spread["assumed"], spread["count"]) == ("BTCUSD", 0.0003, ENOUGH_FILLS)
    assert spread["learned"] == spread["low"] == spread["high"] == spread["used"] == pytest.approx(0.02)


def test_too_few_fills_change_nothing_and_a_backtest_says_so(account):
    for _ in range(ENOUGH_FILLS - 1):
        traded(account)
    options = BacktestOptions(begin="2026-01-01T00:00+00:00", end="2026-01-02T00:00+00:00", costs="learned")

    request = options.request()
    assert request.terms_of("BTCUSD").costs.spread_fraction == 0.0003
    assert request.warnings == (f"BTCUSD: {ENOUGH_FILLS - 1} fills of ours, {ENOUGH_FILLS} are needed: assumed costs",)

    traded(account)
    request = options.request()
    assert request.terms_of("BTCUSD").costs.spread_fraction == pytest.approx(0.02)
    assert request.warnings == ()
    # The grid of the newest decision: lots of five coins, in halves.
    lots = request.terms_of("BTCUSD").lots
    assert (lots.contract_size, lots.volume_step, lots.volume_min) == (5.0, 0.5, 0.5)
