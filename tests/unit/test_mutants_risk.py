"""Risk values and rules where one step more or less, or a default, would have let something through."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from execution.planning.orders import MarginMode, Side
from execution.safety.risk import (
    Exposure,
    Limits,
    LimitSpec,
    LossBudget,
    LossKind,
    OrderRequest,
    ReadAges,
    RequestCounts,
    Rule,
    evaluate,
)
from execution.safety.risk.hours import QuietHours
from tests.execution_builders import D, make_account, make_budgets, make_context, make_quote, make_request, make_spec

NETTING = make_account(margin_mode=MarginMode.NETTING)
MONDAY = datetime(2025, 3, 3, 12, tzinfo=UTC)  # its loss day is from 23:00 UTC of Sunday to 23:00 UTC of Monday
BEGIN = datetime(2025, 3, 2, 23, tzinfo=UTC)
TICK = timedelta(microseconds=1)
RULES_OF_TWO_STEP = {"name": "two-step", "daily_loss": D("0.05"), "max_loss": D("0.1")}


def codes(request=None, **context) -> dict[str, str]:
    verdicts = evaluate(request or make_request(), make_context(**context))
    return {verdict.rule: verdict.code for verdict in verdicts if not verdict.ok}


def messages(**context) -> dict[str, str]:
    return {verdict.rule: verdict.message for verdict in evaluate(make_request(), make_context(**context))}


def test_nothing_is_held_lost_or_claimed_unless_somebody_says_so():
    request = OrderRequest(symbol="BTCUSD", side=Side.BUY, volume=D(1), plan_price=D(1), reduces=False)
    assert (request.ticket, request.emergency, request.worst_loss) == (None, False, 0)
    nothing = Exposure()
    assert {nothing.possible(side) for side in Side} | {nothing.held(side) for side in Side} == {0}
    assert (nothing.other_gross, nothing.other_net, nothing.n_positions) == (0, 0, 0)
    assert (nothing.ticket_lots, nothing.ticket_side) == (None, None)


@pytest.mark.parametrize("name", ["orders_last_minute", "orders_today", "requests_today"])
def test_counts_are_never_below_zero(name):
    none = {"orders_last_minute": 0, "orders_today": 0, "requests_today": 0}
    RequestCounts(**none)
    with pytest.raises(ValueError, match="counts must be at least 0"):
        RequestCounts(**none | {name: -1})


@pytest.mark.parametrize("name", ["soft_line", "hard_line"])
def test_a_line_is_a_share(name):
    lines = {"soft_line": D("0.5"), "hard_line": D("0.5")}
    for good in ("0", "1"):
        LossBudget(kind=LossKind.DAILY, start=D(2), floor=D(1), **lines | {name: D(good)})
    for bad in ("-0.01", "1.01", "NaN", "Infinity"):
        with pytest.raises(ValueError, match=f"a {name.removesuffix('_line')} line must lie between 0 and 1"):
            LossBudget(kind=LossKind.DAILY, start=D(2), floor=D(1), **lines | {name: D(bad)})


@pytest.mark.parametrize("weekday", [-1, 7])
def test_a_week_has_seven_days(weekday):
    with pytest.raises(ValueError, match="a weekday must be from 0"):
        QuietHours(begin=time(1), end=time(2), weekday=weekday)


def test_quiet_hours_say_their_day():
    hours = [QuietHours(begin=time(1), end=time(2), weekday=day) for day in (0, 6)]
    assert [str(each) for each in hours] == ["Monday 01:00 to 02:00 UTC", "Sunday 01:00 to 02:00 UTC"]
    assert str(QuietHours(begin=time(1), end=time(2), note="news")) == "every day 01:00 to 02:00 UTC (news)"


def test_a_limits_default_lies_in_its_range():
    for default in ("1", "3"):
        LimitSpec("count", D(default), D(1), D(3), "at a bound")
    for default in ("0.99", "3.01"):
        with pytest.raises(ValueError, match="a default must lie from 1 to 3"):
            LimitSpec("count", D(default), D(1), D(3), "outside")


# Budgets: 100,000 down to 90,000; entries stop at 92,000 and everything is closed at 91,000.


def test_a_budget_acts_at_its_lines_and_not_a_cent_before():
    budget = LossBudget(kind=LossKind.DAILY, start=D(100_000), floor=D(90_000), soft_line=D("0.8"), hard_line=D("0.9"))
    assert (budget.entry_floor, budget.kill_floor) == (92_000, 91_000)
    assert [budget.stops_entries(D(equity)) for equity in ("92000.01", "92000", "91999.99")] == [False, True, True]
    assert [budget.flattens(D(equity)) for equity in ("91000.01", "91000", "90999.99")] == [False, True, True]


def test_a_budget_without_a_hard_line_closes_nothing():
    budget = LossBudget(kind=LossKind.DAILY, start=D(100_000), floor=D(90_000), soft_line=D("0.8"))
    assert budget.kill_floor is None
    assert not budget.flattens(D(0))


@pytest.mark.parametrize(("age", "code"), [(-2.0, None), (-2.1, "from_the_future"), (float("inf"), "unknown")])
def test_a_read_of_the_future_is_a_wrong_clock(age, code):
    found = codes(ages=ReadAges(tick_s=age, account_s=0.0, spec_s=0.0))
    assert found.get("tick_age") == code


def test_a_read_of_the_future_says_how_far():
    ages = ReadAges(tick_s=-3.0, account_s=0.0, spec_s=0.0)
    assert messages(ages=ages)["tick_age"] == "the tick is 3.0 s ahead, allowed are 2.0 s"


@pytest.mark.parametrize(("login", "words"), [(1001, "the configured login"), (2002, "another login")])
def test_another_login_is_called_so(login, words):
    said = messages(account=make_account(login=login))["account_identity"]
    assert said.startswith(f"attached to {words} on 'Broker-Demo'")


def test_an_order_is_told_which_one_it_would_be():
    counts = RequestCounts(orders_last_minute=4, orders_today=0, requests_today=0)
    said = messages(counts=counts)["orders_per_minute"]
    assert said == "this would be number 5 of orders in a minute, allowed are 60"


@pytest.mark.parametrize(("limit", "words"), [("0", "any number"), ("0.5", "0.5")])
def test_the_venues_own_limit_is_said(limit, words):
    said = messages(spec=make_spec(volume_limit=limit))["venue_volume_cap"]
    assert said == f"the buy side may reach 0.1 lots, the venue allows {words}"


def test_the_first_name_that_is_no_limits_is_told():
    with pytest.raises(ValueError, match="no limit 'fun'; known: max_position_pct"):
        Limits.from_values({"joy": D(1), "fun": D(1)})


def test_quiet_hours_that_do_not_cover_are_none():
    hours = (QuietHours(begin=time(3), end=time(4)),)
    said = messages(market_at=MONDAY, quiet_hours=hours)["session_hours"]
    assert said == "quiet hours of BTCUSD at Mon 12:00 UTC: none"


def test_a_number_that_cannot_be_used_is_named():
    verdicts = evaluate(make_request(plan_price=D(0)), make_context())
    said = {verdict.rule: verdict.message for verdict in verdicts}
    assert said["price_collar"] == "a number cannot be used: plan_price must be above 0, was 0"


def test_tomorrows_budget_binds_where_there_is_one():
    today = tuple(budget for budget in make_budgets() if budget.kind is not LossKind.AFTER_RESET)
    assert codes(budgets=today) == {}
    tomorrow = replace(make_budgets()[0], kind=LossKind.AFTER_RESET, floor=D(99_999))
    assert codes(budgets=(*make_budgets("50000"), tomorrow), account=make_account(equity="99999")) == {
        "after_reset": "after_reset_loss"
    }


def test_without_a_quote_the_specification_alone_is_compared():
    assert "symbol_identity" not in codes(quote=None)
    assert codes(quote=None, spec=make_spec(symbol="ETHUSD"))["symbol_identity"] == "wrong_symbol"


def test_the_smallest_volume_binds_entries_and_the_step_binds_closes():
    coarse = make_spec(volume_min="0.05")
    exposure = Exposure(long_lots=D("0.3"), ticket_lots=D("0.3"), ticket_side=Side.BUY)
    assert codes(make_request("0.04"), spec=coarse)["volume_grid"] == "off_grid"
    assert codes(make_request("0.05"), spec=coarse) == {}
    assert codes(make_request("-0.01", reduces=True, ticket=1), spec=coarse, exposure=exposure) == {}


def test_a_volume_of_nothing_is_no_volume_and_the_largest_is_one():
    assert codes(make_request("0.1", volume=D(0)))["volume_grid"] == "bad_volume"
    assert "volume_grid" not in codes(spec=make_spec(volume_max="0.1"))
    assert codes(spec=make_spec(volume_max="0.09"))["volume_grid"] == "off_grid"


def test_an_account_with_leverage_one_may_trade():
    assert "margin_cap" not in codes(account=make_account(leverage=1))
    assert codes(account=make_account(leverage=0))["margin_cap"] == "no_leverage"


@pytest.mark.parametrize(
    ("mode", "held", "blocked"), [("HEDGING", "0.1", True), ("NETTING", "0.1", False), ("NETTING", "0", True)]
)
def test_an_increase_is_one_more_position_where_each_entry_is_its_own(mode, held, blocked):
    account = make_account(margin_mode=MarginMode[mode])
    found = codes(account=account, exposure=Exposure(long_lots=D(held), n_positions=100))
    assert ("positions_cap" in found) is blocked


def test_the_sides_of_a_net_position_are_taken_from_each_other():
    # A sale of 0.1 lots from 0.1 long and 0.2 short makes 0.2 net short: 12,000 of 12,000.
    exposure = Exposure(long_lots=D("0.1"), short_lots=D("0.2"))
    assert "net_cap" not in codes(make_request("-0.1"), exposure=exposure, account=make_account(equity="93000"))
    small = make_account(equity="100000")
    others = Exposure(long_lots=D("0.1"), short_lots=D("0.2"), other_net=D("-88000"))
    assert "net_cap" not in codes(make_request("-0.1"), exposure=others, account=small)
    others = Exposure(long_lots=D("0.1"), short_lots=D("0.2"), other_net=D("-88000.01"))
    assert "net_cap" in codes(make_request("-0.1"), exposure=others, account=small)


def test_a_venue_without_a_volume_limit_has_none():
    assert "venue_volume_cap" not in codes(spec=make_spec(volume_limit="0"))
    assert "venue_volume_cap" in codes(spec=make_spec(volume_limit="0.3"), exposure=Exposure(long_lots=D("0.21")))
    assert "venue_volume_cap" not in codes(spec=make_spec(volume_limit="0.3"), exposure=Exposure(long_lots=D("0.2")))


def test_a_price_may_leave_the_plans_on_either_side_by_the_collar():
    sell = make_request("-0.1")
    assert "price_collar" not in codes(sell, quote=make_quote("58800", "58801"))
    assert "price_collar" in codes(sell, quote=make_quote("58799.99", "58801"))


def test_an_order_that_could_lose_more_than_is_left_is_refused():
    assert "daily_loss" not in codes(make_request(worst_loss=D("7999.99")))
    assert codes(make_request(worst_loss=D(8000)))["daily_loss"] == "daily_loss"
    assert codes(make_request(worst_loss=D(-1)))["daily_loss"] == "unreadable"


def test_of_a_netting_position_only_what_nobody_else_closes_is_free():
    exposure = Exposure(long_lots=D("0.3"), pending_sell_lots=D("0.1"))
    free = make_request("-0.2", reduces=True)
    assert codes(free, account=NETTING, exposure=exposure) == {}
    assert "reduction_is_real" in codes(make_request("-0.21", reduces=True), account=NETTING, exposure=exposure)


def test_a_hedging_account_may_hold_both_sides():
    assert "no_crossing" not in codes(exposure=Exposure(short_lots=D("0.1")))


def test_a_whole_ticket_may_be_closed():
    exposure = Exposure(long_lots=D("0.3"), ticket_lots=D("0.3"), ticket_side=Side.BUY)
    assert codes(make_request("-0.3", reduces=True, ticket=1), exposure=exposure) == {}
    assert "reduction_is_real" in codes(make_request("-0.31", reduces=True, ticket=1), exposure=exposure)


@pytest.mark.parametrize("missing", [{"ticket_lots": None}, {"ticket_side": None}])
def test_a_ticket_that_is_half_known_is_unknown(missing):
    exposure = Exposure(**{"long_lots": D("0.3"), "ticket_lots": D("0.3"), "ticket_side": Side.BUY} | missing)
    found = codes(make_request("-0.1", reduces=True, ticket=1), exposure=exposure)
    assert found["reduction_is_real"] == "unknown"


@pytest.mark.parametrize("unread", ["account", "exposure"])
def test_what_was_not_read_reduces_nothing_and_crosses_nothing(unread):
    found = codes(make_request("-0.1", reduces=True, ticket=1), **{unread: None})
    assert found["reduction_is_real"] == "unknown"
    assert codes(**{unread: None})["no_crossing"] == "unknown"
    assert codes(**{unread: None})["positions_cap"] == "unknown"
    assert codes(**{unread: None})["margin_cap"] == "unknown"


@pytest.mark.parametrize(
    ("reductions", "emergencies", "request_is", "spared"),
    [
        (False, False, {"reduces": False, "emergency": False}, False),
        (False, False, {"reduces": False, "emergency": True}, False),
        (False, False, {"reduces": True, "emergency": False}, True),
        (False, True, {"reduces": True, "emergency": True}, False),
        (True, False, {"reduces": True, "emergency": True}, True),
        (True, False, {"reduces": True, "emergency": False}, False),
        (True, False, {"reduces": False, "emergency": True}, False),
    ],
)
def test_whom_a_rule_spares(reductions, emergencies, request_is, spared):
    rule = Rule(
        check=lambda request, context: pytest.fail("it is not asked here"),
        description="",
        applies_to_reductions=reductions,
        applies_to_emergencies=emergencies,
    )
    assert bool(rule.spares(make_request(**request_is))) is spared
