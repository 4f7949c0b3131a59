"""The loss guard and the commands about risk, on a whole desk: judged by the simulated venue's own ledger."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from execution.errors import BrokerUnavailableError
from execution.guarding import guard_account
from execution.models import ControlRow, DayStart, Enrolment, LimitRow, QuietHoursRow
from execution.safety import control
from execution.safety.control import State
from execution.safety.gate import request_counts
from execution.safety.risk import LIMITS, RULES
from execution.safety.risk.programme import Lines, MaxLossKind
from ops import clock
from simulator import control as market
from simulator import metatrader5
from tests.command_line import Ended, manage
from tests.desk import START, open_desk
from tests.programme_builders import make_programme, one_step, two_step

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
MIDNIGHT = START.replace(hour=23)  # in Prague, in winter
MINUTE = timedelta(minutes=1)


@pytest.fixture
def desk(tmp_path):
    with open_desk(tmp_path) as opened:
        guard_account(opened.broker)
        opened.step(2 * MINUTE)  # the first look's minute has no deal
        yield opened


def ledger_balance(at: datetime) -> Decimal:
    """Return what the venue's ledger says the balance was just before a moment."""
    deals = metatrader5.mounted_account().ledger.deals()
    before = [deal for deal in deals if deal.time_ms < at.timestamp() * 1000]
    return sum((deal.profit + deal.commission + deal.swap for deal in before), Decimal(0))


def hold(desk, rules, **changes) -> Enrolment:
    """Hold the desk's account to a programme from now on."""
    row = make_programme(rules)
    values = {"initial_balance": desk.account.initial_balance, "begin_at": clock.market_now()}
    return Enrolment.objects.create(account=desk.account, programme=row, **values | changes)


def typed(name: str, code: int, *arguments: str) -> Ended:
    ended = manage(name, *arguments, "--json")
    assert ended.code == code, ended
    return ended


def test_a_desk_that_was_away_over_midnight_starts_the_day_with_the_ledgers_balance(desk):
    """It closes at 00:10 and is looked at again at 00:30; what it showed last is hours old."""
    desk.adjust("BTCUSD", "0.40")
    guard_account(desk.broker)
    market.step(MIDNIGHT - 30 * MINUTE)
    desk.adjust("BTCUSD", "0.20", cause="slot 2")
    market.step(MIDNIGHT + 10 * MINUTE)
    desk.adjust("BTCUSD", "0", cause="slot 3")
    market.step(MIDNIGHT + 30 * MINUTE)
    guard_account(desk.broker)

    row = DayStart.objects.get(day_on=MIDNIGHT.date() + timedelta(days=1))
    assert row.balance == ledger_balance(MIDNIGHT)
    assert row.is_exact
    assert len({ledger_balance(MIDNIGHT - 31 * MINUTE), row.balance, desk.broker.account().balance}) == 3


def test_the_first_look_of_a_day_knows_what_a_person_traded_since_midnight(desk):
    """The deal is in no book of ours yet, and the balance is lower by its commission."""
    guard_account(desk.broker)
    market.step(MIDNIGHT + 10 * MINUTE)
    tick = metatrader5.symbol_info_tick("ETHUSD")
    request = {"action": 1, "symbol": "ETHUSD", "volume": 3.0, "type": 0, "price": tick.ask, "type_filling": 1}
    assert metatrader5.order_send(request).retcode == 10009
    market.step(MIDNIGHT + 30 * MINUTE)
    guard_account(desk.broker)

    row = DayStart.objects.get(day_on=MIDNIGHT.date() + timedelta(days=1))
    assert (row.balance, row.is_exact) == (ledger_balance(MIDNIGHT), True)
    assert row.balance != desk.broker.account().balance


def test_losses_are_guarded_while_the_deals_cannot_be_read(desk, monkeypatch):
    desk.adjust("BTCUSD", "0.40")
    LimitRow.objects.create(name="max_daily_loss", value=Decimal("0.00001"))

    def hung(*_):
        raise BrokerUnavailableError("no history")

    monkeypatch.setattr(type(desk.broker), "fills_since", hung)
    guard_account(desk.broker)
    assert control.current_control().state == State.KILLING


def test_the_hard_line_of_a_programme_kills_and_names_it(desk):
    hold(desk, two_step(daily_loss=Decimal("0.0001")))  # 10 of 100,000
    desk.adjust("BTCUSD", "0.40")
    guard_account(desk.broker)
    row = ControlRow.objects.get(scope=ControlRow.SYSTEM)
    assert row.state == State.KILLING
    assert "daily loss of two-step" in row.reason


def test_the_soft_line_of_a_programme_stops_entries_and_clears_itself(desk):
    enrolment = hold(desk, two_step(lines=Lines(soft=Decimal(0), hard=Decimal(1))))
    assert "daily_loss" in desk.adjust("BTCUSD", "0.10").blocker
    guard_account(desk.broker)
    assert control.current_control().state == State.BLOCKED

    Enrolment.objects.filter(pk=enrolment.pk).update(ended_at=clock.market_now())
    guard_account(desk.broker)
    assert control.current_control().state == State.ARMED
    assert desk.adjust("BTCUSD", "0.10", cause="slot 2").blocker == ""


def test_tomorrows_floor_stops_entries_in_the_last_hour_of_the_day(desk):
    """Today began 1,000 lower, so that there is room under its floor; tomorrow's is the present balance less 2."""
    LimitRow.objects.create(name="max_daily_loss", value=Decimal("0.00002"))  # 2 of 100,000
    market.step(MIDNIGHT - 61 * MINUTE)
    guard_account(desk.broker)
    DayStart.objects.update(balance=desk.account.initial_balance - 1000, is_exact=True)
    assert desk.adjust("BTCUSD", "0.40").blocker == ""
    assert desk.adjust("ETHUSD", "0.10").blocker == ""
    market.step(MIDNIGHT - 59 * MINUTE)
    assert desk.broker.account().equity < desk.broker.account().balance - 2
    assert desk.adjust("ETHUSD", "0.20", cause="slot 2").blocker.startswith("after_reset")


def test_quiet_hours_open_nothing_and_close_all_the_same(desk):
    assert desk.adjust("BTCUSD", "0.10").blocker == ""
    begin = clock.market_now()
    QuietHoursRow.objects.create(begin=begin.time(), end=(begin + 10 * MINUTE).time(), note="news")
    assert "session_hours" in desk.adjust("BTCUSD", "0.20", cause="slot 2").blocker
    assert desk.adjust("BTCUSD", "0", cause="slot 3").blocker == ""
    desk.step(10 * MINUTE)
    assert desk.adjust("BTCUSD", "0.10", cause="slot 4").blocker == ""


def test_a_request_counts_until_it_is_of_neither_the_days_before_midnight_in_prague_nor_in_utc(desk):
    """Sent at 00:30 in Prague, 23:30 in UTC, it is of the loss day after; sent at 23:59 in Prague, of the UTC day."""
    market.step(MIDNIGHT + 30 * MINUTE)
    assert desk.adjust("BTCUSD", "0.10").blocker == ""
    assert _requests_at(MIDNIGHT + timedelta(hours=24) - MINUTE) == 1
    assert _requests_at(MIDNIGHT + timedelta(hours=24)) == 0
    market.step(MIDNIGHT + timedelta(hours=24) - MINUTE)
    assert desk.adjust("BTCUSD", "0.20", cause="slot 2").blocker == ""
    assert _requests_at(MIDNIGHT + timedelta(hours=24, minutes=59)) == 1
    assert _requests_at(MIDNIGHT + timedelta(hours=25)) == 0


def _requests_at(at: datetime) -> int:
    return request_counts(at).requests_today


# --- commands -----------------------------------------------------------------------------------------------------


def test_the_status_of_a_sound_desk_names_every_limit_and_rule(desk):
    desk.adjust("BTCUSD", "0.10")
    data = typed("risk_status", 0).data
    worth = desk.lots("BTCUSD") * desk.broker.quote("BTCUSD").mid
    used = {row["name"]: row["used"] for row in data["limits"]}
    assert list(used) == list(LIMITS)
    assert used["max_gross"] == pytest.approx(float(worth / desk.broker.account().equity), rel=1e-3)
    assert (used["max_positions"], used["max_orders_per_day"], used["max_spread"]) == (1, 1, None)
    assert [row["rule"] for row in data["rules"]] == list(RULES)
    assert {row["kind"] for row in data["budgets"]} == {"daily", "total", "drawdown"}
    assert {row["state"] for row in data["budgets"]} == {"ok"}
    assert data["next_reset"] == MIDNIGHT.isoformat()


def test_the_status_ends_with_3_at_a_line_and_at_a_limit_that_is_passed(desk):
    desk.adjust("BTCUSD", "0.10")
    LimitRow.objects.create(name="max_daily_loss", value=Decimal("0.00001"))
    budgets = {row["kind"]: row["state"] for row in typed("risk_status", 3).data["budgets"]}
    assert budgets["daily"] == "hard"

    LimitRow.objects.all().delete()
    LimitRow.objects.create(name="max_orders_per_day", value=Decimal(0))
    passed = [row["name"] for row in typed("risk_status", 3).data["limits"] if row["is_passed"]]
    assert passed == ["max_orders_per_day"]


def test_the_status_for_people_is_a_line_a_budget_and_a_line_a_limit(desk):
    text = manage("risk_status").out
    assert "daily" in text
    assert "max_gross" in text
    assert "next reset 2026-01-05 23:00 UTC" in text


def test_the_programmes_status_is_in_money_left(desk):
    hold(desk, two_step())
    desk.adjust("BTCUSD", "0.10")
    data = typed("ftmo_status", 0).data
    objectives = {row["code"]: row for row in data["objectives"]}
    equity = float(desk.broker.account().equity)
    assert list(objectives) == ["daily_loss", "max_loss", "after_reset", "profit_target", "min_trading_days"]
    assert objectives["daily_loss"]["left"] == pytest.approx(equity - 95_000)
    assert objectives["max_loss"]["floor"] == 90_000
    assert (objectives["min_trading_days"]["value"], objectives["min_trading_days"]["state"]) == (1, "open")
    assert (data["is_enrolled"], data["breach"], data["unexplained"]) == (True, None, 0)
    assert "FTMO" not in manage("ftmo_status").out.splitlines()[0]


def test_the_programmes_status_ends_with_3_at_a_line(desk):
    desk.adjust("BTCUSD", "0.40")
    desk.adjust("ETHUSD", "5", cause="slot 2")
    hold(desk, one_step(daily_loss=Decimal("0.0001"), max_loss_kind=MaxLossKind.STATIC))  # 10 of 100,000
    assert desk.broker.account().equity < desk.account.initial_balance - 10
    states = {row["code"]: row["state"] for row in typed("ftmo_status", 3).data["objectives"]}
    assert states["daily_loss"] == "breached"
    assert "breached" in manage("ftmo_status").out


def test_a_programme_can_be_tried_without_being_held_to_it(desk):
    make_programme()
    assert typed("ftmo_status", 5).document["error"].startswith("the account is held to no programme")
    data = typed("ftmo_status", 0, "--programme", "two-step").data
    assert (data["is_enrolled"], data["account"]["initial"]) == (False, float(desk.account.initial_balance))
    assert not Enrolment.objects.exists()
    assert "no programme 'none'; known: " in typed("ftmo_status", 2, "--programme", "none").document["error"]


@pytest.mark.parametrize("name", ["risk_status", "ftmo_status"])
def test_a_broker_that_does_not_answer_is_exit_6(desk, settings, name):
    settings.MT5_BRIDGE = "127.0.0.1:1"
    typed(name, 6)
