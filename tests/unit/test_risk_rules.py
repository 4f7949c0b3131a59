from __future__ import annotations

from dataclasses import fields, replace
from decimal import Decimal

import pytest

from execution.errors import RiskRefusedError
from execution.planning.orders import MarginMode, Side, TradeMode
from execution.safety.risk import (
    LIMITS,
    RULES,
    Exposure,
    Limits,
    LossKind,
    ReadAges,
    RequestCounts,
    evaluate,
    first_blocker,
    require_allowed,
)
from execution.safety.risk.verdict import EXEMPT, UNKNOWN, UNREADABLE
from tests.execution_builders import (
    D,
    make_account,
    make_budgets,
    make_context,
    make_quote,
    make_request,
    make_spec,
)

NETTING = make_account(margin_mode=MarginMode.NETTING)


def blockers(request, context) -> dict[str, str]:
    return {verdict.rule: verdict.code for verdict in evaluate(request, context) if not verdict.ok}


def close_of(lots="-0.1", *, held="0.3", side=Side.BUY, ticket=1, **changes):
    """Return a close on a hedging account and the exposure in which it is real."""
    request = make_request(lots, reduces=True, ticket=ticket, **changes)
    return request, Exposure(long_lots=D(held), ticket_lots=D(held), ticket_side=side, n_positions=1)


def test_an_ordinary_order_is_allowed_by_every_rule():
    verdicts = evaluate(make_request(), make_context())
    assert [verdict.rule for verdict in verdicts] == list(RULES)
    assert blockers(make_request(), make_context()) == {}
    assert first_blocker(verdicts) is None
    require_allowed(verdicts)


@pytest.mark.parametrize(
    ("rule", "request_changes", "context_changes"),
    [
        ("account_identity", {}, {"expected_login": 2002}),
        ("account_identity", {}, {"expected_server": "Broker-Live"}),
        ("symbol_identity", {}, {"spec": make_spec(symbol="BTCUSDm")}),
        ("symbol_identity", {}, {"quote": make_quote(symbol="ETHUSD")}),
        ("volume_grid", {"volume": D("0.105")}, {}),
        ("volume_grid", {"volume": D("0.005")}, {}),
        ("volume_grid", {"volume": D("0")}, {}),
        ("volume_grid", {"volume": D("0.3")}, {"spec": make_spec(volume_max="0.2")}),
        ("account_may_trade", {}, {"account": make_account(trade_allowed=False)}),
        ("account_may_trade", {}, {"account": make_account(trade_expert=False)}),
        ("symbol_may_open", {}, {"spec": make_spec(trade_mode=TradeMode.CLOSE_ONLY)}),
        ("symbol_may_open", {}, {"spec": make_spec(trade_mode=TradeMode.SHORT_ONLY)}),
        ("closed_bar", {}, {"is_bar_closed": False}),
        ("closed_bar", {}, {"is_bar_fresh": False}),
        ("tick_age", {}, {"ages": ReadAges(tick_s=60.1, account_s=0, spec_s=0)}),
        ("account_age", {}, {"ages": ReadAges(tick_s=0, account_s=5.1, spec_s=0)}),
        ("spec_age", {}, {"ages": ReadAges(tick_s=0, account_s=0, spec_s=3601)}),
        ("tick_age", {}, {"ages": ReadAges(tick_s=-3, account_s=0, spec_s=0)}),
        ("price_collar", {}, {"quote": make_quote("61200", "61201")}),
        ("price_collar", {}, {"quote": make_quote("58790", "58799")}),
        ("spread_cap", {}, {"quote": make_quote("59800", "60200")}),
        ("no_crossing", {}, {"account": NETTING, "exposure": Exposure(short_lots=D("0.01"))}),
        ("daily_loss", {}, {"account": make_account(equity="92000")}),
        ("total_loss", {"worst_loss": D("8000")}, {}),
        ("position_cap", {"volume": D("0.51")}, {}),
        ("position_cap", {}, {"exposure": Exposure(long_lots=D("0.41"))}),
        ("gross_cap", {}, {"exposure": Exposure(other_gross=D("94001"))}),
        ("net_cap", {}, {"exposure": Exposure(other_net=D("94001"))}),
        ("order_cap", {}, {"limits": Limits(max_order_notional=D("5999"))}),
        ("venue_volume_cap", {}, {"spec": make_spec(volume_limit="0.09")}),
        ("positions_cap", {}, {"exposure": Exposure(n_positions=100)}),
        ("orders_per_minute", {}, {"counts": RequestCounts(orders_last_minute=60, orders_today=0, requests_today=0)}),
        ("orders_per_day", {}, {"counts": RequestCounts(orders_last_minute=0, orders_today=200, requests_today=0)}),
        (
            "entry_requests_per_day",
            {},
            {"counts": RequestCounts(orders_last_minute=0, orders_today=0, requests_today=1000)},
        ),
    ],
)
def test_each_rule_refuses_what_it_is_for(rule, request_changes, context_changes):
    request, context = make_request(**request_changes), make_context(**context_changes)
    assert rule in blockers(request, context)


@pytest.mark.parametrize(
    ("request_changes", "context_changes"),
    [
        ({"volume": D("0.5")}, {}),  # 30,000 of 30,000
        ({}, {"exposure": Exposure(long_lots=D("0.4"))}),
        ({}, {"exposure": Exposure(other_gross=D("94000"), other_net=D("94000"))}),
        ({}, {"ages": ReadAges(tick_s=60, account_s=5, spec_s=3600)}),
        ({}, {"quote": make_quote("61199", "61200")}),
        ({}, {"counts": RequestCounts(orders_last_minute=59, orders_today=199, requests_today=999)}),
        ({}, {"exposure": Exposure(n_positions=99)}),
        ({}, {"account": make_account(equity="92000.01")}),
    ],
)
def test_what_is_exactly_allowed_is_allowed(request_changes, context_changes):
    assert blockers(make_request(**request_changes), make_context(**context_changes)) == {}


def test_unresolved_attempts_count_as_filled_in_the_worst_direction():
    pending = Exposure(long_lots=D("0.2"), pending_buy_lots=D("0.21"))
    assert "position_cap" in blockers(make_request("0.1"), make_context(exposure=pending))
    # The other side's attempts may never fill, so they make no room.
    hopeful = Exposure(long_lots=D("0.41"), pending_sell_lots=D("0.4"))
    assert "position_cap" in blockers(make_request("0.1"), make_context(exposure=hopeful))


def test_unresolved_attempts_count_in_the_gross_sum_on_both_sides():
    limits = Limits(max_gross=D("0.3"))
    pending = Exposure(pending_buy_lots=D("0.2"), pending_sell_lots=D("0.21"))
    assert blockers(make_request("0.1"), make_context(exposure=pending, limits=limits)) == {"gross_cap": "gross_cap"}


def test_the_net_cap_binds_only_in_the_direction_of_the_order():
    far_long = Exposure(other_gross=D("50000"), other_net=D("50000"))
    limits = Limits(max_net=D("0.5"))
    assert "net_cap" in blockers(make_request("0.1"), make_context(exposure=far_long, limits=limits))
    assert blockers(make_request("-0.1"), make_context(exposure=far_long, limits=limits)) == {}


def test_lots_are_valued_through_the_profit_currency():
    # 0.5 lots at 60,000 EUR are 30,000 EUR, which are 33,000 USD of 30,000.
    assert "position_cap" in blockers(make_request("0.5"), make_context(rate=D("1.1")))


def test_a_reduction_is_spared_every_rule_about_growth():
    request, exposure = close_of()
    sick = make_context(
        exposure=exposure,
        is_bar_closed=False,
        ages=ReadAges(tick_s=None, account_s=None, spec_s=None),
        quote=None,
        budgets=(),
        limits=Limits(max_position_pct=D(0), max_gross=D(0), max_order_notional=D(0)),
    )
    verdicts = evaluate(request, sick)
    assert blockers(request, sick) == {}
    spared = {verdict.rule for verdict in verdicts if verdict.code == EXEMPT}
    assert spared == {name for name, rule in RULES.items() if not rule.applies_to_reductions}


@pytest.mark.parametrize(
    ("lots", "changes"),
    [
        ("-0.4", {}),  # more than the ticket holds
        ("0.1", {}),  # the ticket's own side
        ("-0.1", {"ticket": None}),
    ],
)
def test_a_reduction_that_would_open_or_flip_is_refused_on_hedging_accounts(lots, changes):
    request, exposure = close_of(lots, **changes)
    assert "reduction_is_real" in blockers(request, make_context(exposure=exposure))


def test_a_reduction_of_a_ticket_that_was_not_read_is_refused():
    request, _ = close_of()
    assert blockers(request, make_context(exposure=Exposure(long_lots=D("0.3"))))["reduction_is_real"] == UNKNOWN


@pytest.mark.parametrize(("lots", "pending", "allowed"), [("-0.3", "0", True), ("-0.31", "0", False)])
def test_a_netting_close_never_exceeds_the_position(lots, pending, allowed):
    request = make_request(lots, reduces=True)
    exposure = Exposure(long_lots=D("0.3"), pending_sell_lots=D(pending))
    assert ("reduction_is_real" not in blockers(request, make_context(account=NETTING, exposure=exposure))) is allowed


def test_two_netting_closes_in_flight_never_add_up_to_a_flip():
    exposure = Exposure(long_lots=D("0.3"), pending_sell_lots=D("0.3"))
    request = make_request("-0.1", reduces=True)
    assert "reduction_is_real" in blockers(request, make_context(account=NETTING, exposure=exposure))


def test_a_claim_to_be_an_emergency_spares_only_reductions():
    busy = RequestCounts(orders_last_minute=99, orders_today=9999, requests_today=9999)
    request, exposure = close_of(emergency=True)
    assert blockers(request, make_context(exposure=exposure, counts=busy)) == {}
    assert "orders_per_day" in blockers(make_request(emergency=True), make_context(counts=busy))


def test_an_ordinary_reduction_counts_against_the_rates():
    busy = RequestCounts(orders_last_minute=0, orders_today=0, requests_today=1500)
    request, exposure = close_of()
    assert blockers(request, make_context(exposure=exposure, counts=busy)) == {"requests_per_day": "too_many"}


@pytest.mark.parametrize("request_changes", [{}, {"emergency": True}])
def test_the_right_account_is_required_even_to_close(request_changes):
    request, exposure = close_of(**request_changes)
    assert "account_identity" in blockers(request, make_context(exposure=exposure, expected_login=2002))


@pytest.mark.parametrize(
    ("unread", "rules"),
    [
        ({"account": None}, {"account_identity", "gross_cap", "daily_loss", "no_crossing"}),
        ({"exposure": None}, {"position_cap", "gross_cap", "net_cap", "positions_cap", "no_crossing"}),
        ({"spec": None}, {"symbol_identity", "volume_grid", "position_cap", "order_cap"}),
        ({"quote": None}, {"price_collar", "spread_cap"}),
        ({"budgets": ()}, {"daily_loss", "total_loss", "drawdown"}),
        ({"ages": ReadAges(tick_s=None, account_s=None, spec_s=None)}, {"tick_age", "account_age", "spec_age"}),
    ],
)
def test_what_was_not_read_refuses(unread, rules):
    refused = blockers(make_request(), make_context(**unread))
    assert {rule: refused.get(rule) for rule in rules} == dict.fromkeys(rules, UNKNOWN)


@pytest.mark.parametrize("volume", ["NaN", "Infinity", "-0.1"])
def test_a_volume_that_is_no_volume_is_refused_and_never_raises(volume):
    refused = blockers(replace(make_request(), volume=D(volume)), make_context())
    assert refused["volume_grid"] == "bad_volume"


@pytest.mark.parametrize("price", ["NaN", "0", "-60000", "Infinity"])
def test_a_plan_price_that_is_none_values_nothing(price):
    refused = blockers(make_request(plan_price=D(price)), make_context())
    assert {refused[rule] for rule in ("position_cap", "gross_cap", "order_cap", "price_collar")} == {UNREADABLE}


def test_the_strictest_budget_of_a_kind_counts():
    programme = replace(make_budgets()[0], floor=D("99000"))  # entries stop at 99,200
    context = make_context(budgets=(*make_budgets(), programme), account=make_account(equity="99100"))
    assert blockers(make_request(), context) == {"daily_loss": f"{LossKind.DAILY}_loss"}


def test_the_error_names_every_rule_that_said_no_and_tells_the_first():
    verdicts = evaluate(make_request("0.51"), make_context(is_bar_closed=False))
    with pytest.raises(RiskRefusedError, match="closed_bar: the bar is still forming") as caught:
        require_allowed(verdicts)
    assert caught.value.codes == ("closed_bar:forming_bar", "position_cap:position_cap")


def test_messages_say_what_it_was_and_what_is_allowed():
    blocker = first_blocker(evaluate(make_request("0.51"), make_context()))
    assert blocker is not None
    assert "30600.00" in blocker.message
    assert "30000.00" in blocker.message


def test_no_message_holds_an_account_number():
    context = make_context(expected_login=2002)
    assert not any(
        "1001" in verdict.message or "2002" in verdict.message for verdict in evaluate(make_request(), context)
    )


def test_the_table_and_the_limits_have_the_same_names_and_defaults():
    assert [field.name for field in fields(Limits)] == list(LIMITS)
    assert all(getattr(Limits(), name) == spec.default for name, spec in LIMITS.items())


@pytest.mark.parametrize("name", list(LIMITS))
def test_no_setting_passes_its_ceiling(name):
    ceiling = LIMITS[name].ceiling
    assert getattr(Limits.from_values({name: ceiling}), name) == ceiling
    for bad in (ceiling + Decimal("0.000001"), LIMITS[name].minimum - 1, D("NaN"), D("Infinity")):
        with pytest.raises(ValueError, match=name):
            Limits.from_values({name: bad})


def test_a_limit_that_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="no limit 'max_fun'; known: max_position_pct"):
        Limits.from_values({"max_fun": D("1")})
