"""The setup bot at the simulated terminal: entries with stop and target, exits, outcomes, judged by its ledger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from execution.brokers.base import OrderTicket, Permit, SendResult
from execution.brokers.mt5 import Mt5Broker
from execution.errors import ConfigError
from execution.models import Attempt, BotTrade, Intent, SymbolOwner
from execution.safety import control
from execution.safety.outcomes import Outcome as Answer
from execution.sessions.bot import BotSession
from execution.sessions.hourly import TooLateError
from market.models import Symbol
from mlfilter.models import BotSettings, BotSymbol, Outcome, Setup
from ops import clock
from ops.audit import SYSTEM
from ops.models import Alert
from simulator import hand
from tests.bot_builders import (
    QUARTER,
    SYMBOL,
    bot_bar,
    bot_slot,
    found_setup,
    money,
    next_bar,
    set_levels,
    venue_deals,
    venue_positions,
    watch_symbol,
)
from tests.desk import open_desk

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
MIDNIGHT = datetime(2026, 1, 5, 23, tzinfo=UTC)  # in Prague: losses are counted anew


@pytest.fixture
def desk(tmp_path):
    with open_desk(tmp_path) as opened:
        watch_symbol()
        next_bar(opened)
        yield opened


def the_trade(**which: str) -> BotTrade:
    return BotTrade.objects.get(**which)


@pytest.mark.parametrize(("direction", "sign"), [("long", 1), ("short", -1)])
def test_an_approved_setup_is_entered_with_stop_and_target_in_the_request(desk, direction, sign):
    report = bot_bar(desk, found_setup(desk, direction=direction))

    assert [row.verdict for row in report.symbols] == ["traded"], report
    [position] = venue_positions()
    [attempt] = Attempt.objects.all()
    assert (position.sl, position.tp) == (float(the_trade().stop), float(the_trade().target))
    assert {"stop", "target"} <= set(attempt.request)
    assert position.sl == pytest.approx(position.price_open * (1 - sign * 0.015), rel=1e-3)
    assert position.tp == pytest.approx(position.price_open * (1 + sign * 0.02), rel=1e-3)
    assert position.magic == the_trade().intent.magic


def test_the_size_loses_what_it_may_at_the_stop(desk):
    bot_bar(desk, found_setup(desk))

    [position] = venue_positions()
    equity = desk.broker.account().equity
    at_the_stop = float(position.volume) * float(desk.broker.spec(SYMBOL).contract_size)
    at_the_stop *= position.price_open - position.sl
    assert at_the_stop == pytest.approx(float(equity) * 0.005, rel=0.02)  # 0.5 per cent of 100,000
    assert the_trade().risk <= equity * Decimal("0.01")


def test_leverage_gives_way_to_the_largest_risk_of_a_trade(desk):
    BotSettings.objects.create(leverage=3, risk_per_trade=0.01)
    bot_bar(desk, found_setup(desk, stop_pct=0.05, target_pct=0.05))

    trade = the_trade()
    assert trade.status == BotTrade.Status.OPEN, trade.reason
    assert (
        desk.broker.account().equity * Decimal("0.009") < trade.risk <= desk.broker.account().equity * Decimal("0.01")
    )


def test_a_rejected_setup_is_not_traded(desk):
    report = bot_bar(desk, found_setup(desk, approved=False))

    assert report.symbols[0].verdict == "rejected"
    assert (venue_deals(), Intent.objects.count()) == ([], 0)


def test_the_same_bar_again_enters_nothing_twice(desk):
    setup = found_setup(desk)
    bot_bar(desk, setup)
    again = bot_bar(desk, setup)

    assert again.symbols[0].verdict == "known"
    assert len(venue_deals()) == 1


def test_a_run_for_a_bar_that_is_not_the_newest_does_nothing(desk):
    setup = found_setup(desk)
    next_bar(desk)

    assert bot_bar(desk, setup).symbols[0].verdict == "quiet"  # the scan looks at the newest bar alone
    late = found_setup(desk, bar_at=setup.bar_at)
    assert (late.pk, venue_deals()) == (setup.pk, [])


def test_a_setup_that_nobody_tried_to_enter_in_its_bar_is_missed(desk):
    setup = found_setup(desk)  # scanned by a process that died then
    rejected = found_setup(desk, direction="short", approved=False)
    next_bar(desk)
    bot_bar(desk)

    setup.refresh_from_db()
    rejected.refresh_from_db()
    assert setup.missed_reason.startswith("entry:too_late")
    assert rejected.missed_reason == ""
    assert venue_deals() == []


# --- how trades end ---------------------------------------------------------------------------------------------------


def leave_by_the_market(desk, *, up: bool) -> None:
    """Bring the stop or the target right next to the market, and let it be met."""
    [position] = venue_positions()
    bid, near = float(desk.broker.quote(SYMBOL).bid), 0.002
    levels = (
        {"stop": round(bid * 0.9, 2), "target": round(bid * (1 + near), 2)}
        if up
        else {"stop": round(bid * (1 - near), 2), "target": round(bid * 1.1, 2)}
    )
    set_levels(position.ticket, **levels)
    BotTrade.objects.update(stop=Decimal(str(levels["stop"])), target=Decimal(str(levels["target"])))
    for _ in range(40):
        if not venue_positions():
            return
        desk.step(timedelta(minutes=5))
    raise AssertionError("the market did not come by")


@pytest.mark.parametrize(("up", "reason"), [(False, "stop"), (True, "target")])
def test_an_exit_by_the_venue_is_booked_with_its_reason_and_its_money(desk, up, reason):
    bot_bar(desk, found_setup(desk))
    leave_by_the_market(desk, up=up)
    next_bar(desk)
    report = bot_bar(desk)

    outcome, deals = Outcome.objects.get(), venue_deals()
    assert (outcome.exit_reason, outcome.is_real) == (reason, True)
    assert [closed["reason"] for closed in report.closed] == [reason]
    earned = sum(money(deal.profit) + money(deal.commission) + money(deal.swap) for deal in deals)
    assert money(outcome.pnl) == earned == the_trade().result
    assert outcome.r == pytest.approx(float(earned / the_trade().risk))
    assert outcome.fees == pytest.approx(-float(sum(deal.commission for deal in deals)))
    assert (outcome.entry_price, outcome.exit_price) == tuple(float(deal.price) for deal in deals)
    assert the_trade().status == BotTrade.Status.CLOSED


def test_a_trade_that_meets_neither_level_is_closed_at_its_horizon(desk):
    BotSettings.objects.create(horizon=2)
    bot_bar(desk, found_setup(desk, stop_pct=0.2, target_pct=0.3))
    next_bar(desk)
    assert bot_bar(desk).closed == ()
    assert len(venue_positions()) == 1
    next_bar(desk)
    assert clock.market_now() >= the_trade().deadline_at
    [closed] = bot_bar(desk).closed

    assert closed["reason"] == "timeout"
    assert venue_positions() == []
    entry, exit_ = venue_deals()
    assert (entry.position_id, entry.volume) == (exit_.position_id, exit_.volume)


def test_a_close_by_hand_is_an_outcome_like_any_other(desk):
    bot_bar(desk, found_setup(desk))
    [position] = venue_positions()
    desk.step(timedelta(minutes=1))
    hand.trade(SYMBOL, "sell", float(position.volume), position=position.ticket)
    next_bar(desk)
    [closed] = bot_bar(desk).closed

    assert closed["reason"] == "manual"
    assert Outcome.objects.get().setup == Setup.objects.get()


def test_a_trade_closed_in_part_by_hand_stays_open_until_the_rest_has_gone(desk):
    bot_bar(desk, found_setup(desk))
    [position] = venue_positions()
    desk.step(timedelta(minutes=1))
    hand.trade(SYMBOL, "sell", 1.0, position=position.ticket)
    next_bar(desk)
    assert bot_bar(desk).closed == ()
    [rest] = venue_positions()
    hand.trade(SYMBOL, "sell", float(rest.volume), position=position.ticket)
    next_bar(desk)

    assert len(bot_bar(desk).closed) == 1
    assert Outcome.objects.get().quantity == pytest.approx(float(position.volume) * 1)


# --- answers that never came ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_filled", [True, False])
def test_an_entry_whose_answer_was_lost_is_settled_by_the_venues_books(desk, monkeypatch, is_filled):
    submit = Mt5Broker.submit

    def lost(broker: Mt5Broker, ticket: OrderTicket, permit: Permit) -> SendResult:
        if is_filled:
            submit(broker, ticket, permit)
        return SendResult(
            outcome=Answer.AMBIGUOUS, retcode=None, retcode_name="LOST", message="", sent_mono=clock.mono()
        )

    with monkeypatch.context() as patch:
        patch.setattr(Mt5Broker, "submit", lost)
        setup = found_setup(desk)
        assert bot_bar(desk, setup).symbols[0].verdict == "doubtful"
    assert the_trade().status == (BotTrade.Status.OPEN if is_filled else BotTrade.Status.PLANNED)
    again = bot_bar(desk, setup)  # at once: nothing more is sent while nobody knows
    assert again.symbols[0].verdict == "known"
    for _ in range(3):
        clock.sleep(61)
        next_bar(desk)
        bot_bar(desk)

    assert len(venue_deals()) == int(is_filled)
    assert the_trade().status == (BotTrade.Status.OPEN if is_filled else BotTrade.Status.MISSED)
    assert bool(Setup.objects.get().missed_reason) is not is_filled
    assert all(position.sl > 0 for position in venue_positions())
    assert not Attempt.objects.unresolved().exists()


def test_an_order_that_the_venue_refuses_is_a_missed_setup_in_its_words(desk, monkeypatch):
    def refused(broker: Mt5Broker, ticket: OrderTicket, permit: Permit) -> SendResult:
        return SendResult(
            outcome=Answer.REJECT, retcode=10019, retcode_name="NO_MONEY", message="no money", sent_mono=clock.mono()
        )

    monkeypatch.setattr(Mt5Broker, "submit", refused)
    bot_bar(desk, found_setup(desk))

    assert Setup.objects.get().missed_reason == "venue: NO_MONEY: no money"
    assert the_trade().status == BotTrade.Status.MISSED


# --- what keeps it from trading ---------------------------------------------------------------------------------------


def test_a_paused_desk_misses_the_setup_and_says_by_what(desk):
    control.pause(SYSTEM, reason="a test")
    report = bot_bar(desk, found_setup(desk))

    assert (report.symbols[0].verdict, venue_deals()) == ("missed", [])
    assert Setup.objects.get().missed_reason.startswith("state:paused")
    assert the_trade().status == BotTrade.Status.MISSED
    control.resume(SYSTEM)
    assert bot_bar(desk, Setup.objects.get()).symbols[0].verdict == "known"


def test_a_symbol_of_the_portfolio_is_refused_by_name(desk):
    Symbol.objects.create(name=SYMBOL, binance_symbol=f"{SYMBOL}T", is_traded=True)
    bot_bar(desk, found_setup(desk))

    reason = Setup.objects.get().missed_reason
    assert reason.startswith("owner:rebalance")
    assert SYMBOL in reason
    assert venue_deals() == []


def test_a_symbol_has_one_owner_until_it_is_flat(desk):
    bot_bar(desk, found_setup(desk))
    taken = desk.adjust(SYMBOL, "5")

    assert "belongs to setup" in taken.blocker
    assert len(venue_deals()) == 1
    [position] = venue_positions()
    hand.trade(SYMBOL, "sell", float(position.volume), position=position.ticket)
    desk.step(timedelta(minutes=1))
    assert desk.adjust(SYMBOL, "5", cause="slot 2").blocker == ""
    assert SymbolOwner.objects.get(symbol=SYMBOL).family == "rebalance"


def test_a_netting_account_is_refused_in_words(tmp_path):
    with open_desk(tmp_path, margin_mode="netting") as netting:
        watch_symbol()
        next_bar(netting)
        with pytest.raises(ConfigError, match="needs a hedging account"):
            bot_bar(netting, found_setup(netting))


def test_a_loss_makes_its_symbol_wait_and_no_other(desk):
    watch_symbol("ADAUSD")
    bot_bar(desk, found_setup(desk))
    leave_by_the_market(desk, up=False)
    next_bar(desk)
    report = bot_bar(desk, found_setup(desk), found_setup(desk, symbol="ADAUSD"))

    assert {row.symbol: row.verdict for row in report.symbols} == {SYMBOL: "missed", "ADAUSD": "traded"}
    assert Setup.objects.filter(missed_reason__startswith="setup_cooldown").count() == 1
    for _ in range(4):
        next_bar(desk)
    assert {r.symbol: r.verdict for r in bot_bar(desk, found_setup(desk)).symbols}[SYMBOL] == "traded"


def test_the_days_loss_of_the_bot_stops_its_entries_until_the_reset(desk):
    BotSettings.objects.create(daily_loss=0.0001, cooldown_bars=0)  # 10 of 100,000
    bot_bar(desk, found_setup(desk))
    leave_by_the_market(desk, up=False)
    next_bar(desk)
    report = bot_bar(desk, found_setup(desk))

    assert report.balance["day_result"] == the_trade(status="closed").result < -10
    assert report.symbols[0].blocker.startswith("setup_daily_loss")
    assert Alert.objects.open().filter(key="bot:daily-loss").exists()
    desk.step(MIDNIGHT - clock.market_now() - QUARTER)
    assert bot_bar(desk, found_setup(desk)).symbols[0].blocker.startswith("setup_daily_loss")
    next_bar(desk)
    next_bar(desk)
    assert bot_bar(desk).balance["day_result"] == 0
    assert not Alert.objects.open().filter(key="bot:daily-loss").exists()
    assert bot_bar(desk, found_setup(desk)).symbols[0].verdict == "traded"


def test_no_more_positions_than_allowed(desk):
    BotSettings.objects.create(max_positions=1)
    watch_symbol("ADAUSD")
    report = bot_bar(desk, found_setup(desk), found_setup(desk, symbol="ADAUSD"))

    assert sorted(row.verdict for row in report.symbols) == ["missed", "traded"]
    assert BotTrade.objects.get(status=BotTrade.Status.MISSED).reason.startswith("setup_positions")


def test_one_symbols_failure_leaves_the_others_alone(desk, monkeypatch):
    watch_symbol("ADAUSD")
    setup = found_setup(desk, symbol="ADAUSD")

    def scan(symbol, *, now, settings):
        if symbol.name == SYMBOL:
            raise ValueError("a feature is not a number")
        return (setup,)

    monkeypatch.setattr("mlfilter.scanning.scan", scan)
    monkeypatch.setattr("execution.sessions.bot.bring_recent", lambda symbol: None)
    report = BotSession(broker=desk.broker, symbols=list(BotSymbol.objects.all())).run(None, bot_slot())
    assert {row.symbol: row.verdict for row in report.symbols} == {SYMBOL: "failed", "ADAUSD": "traded"}
    assert report.exit_code == 7


def test_a_slot_that_is_past_is_not_run(desk):
    slot = bot_slot()
    desk.step(QUARTER)
    with pytest.raises(TooLateError):
        BotSession(broker=desk.broker, symbols=[]).run(None, slot)
