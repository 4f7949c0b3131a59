"""Each rule with a number at its boundary: one step inside, at it, one step outside."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from execution.planning.orders import MarginMode
from execution.safety.risk import RULES, Exposure, Limits, LossBudget, LossKind, ReadAges, RequestCounts, evaluate
from execution.safety.risk.hours import QuietHours
from tests.bot_builders import make_standing
from tests.execution_builders import (
    NOON,
    D,
    make_account,
    make_budgets,
    make_context,
    make_quote,
    make_request,
    make_spec,
)
from tests.programme_builders import prague

Case = Callable[[str], tuple[dict[str, Any], dict[str, Any]]]
# What stays the same in every case: an order of 0.1 lots at 60,000, worth 6,000; equity 100,000; leverage 30.
NETTING = make_account(margin_mode=MarginMode.NETTING)


def counts(**changes: int) -> dict[str, Any]:
    return {"counts": RequestCounts(**{"orders_last_minute": 0, "orders_today": 0, "requests_today": 0} | changes)}


def ages(**changes: str) -> dict[str, Any]:
    seconds = {"tick_s": 0.0, "account_s": 0.0, "spec_s": 0.0} | {name: float(age) for name, age in changes.items()}
    return {"ages": ReadAges(**seconds)}


def equity_under(kind: LossKind) -> Case:
    """Entries of one kind stop at 92,000; the other kinds have room."""
    others = tuple(b for b in make_budgets(floor="50000") if b.kind is not kind)
    mine = LossBudget(kind=kind, start=D(100_000), floor=D(90_000), soft_line=D("0.8"))
    return lambda equity: ({}, {"account": make_account(equity=equity), "budgets": (*others, mine)})


def of_the_bot(request: dict[str, Any] | None = None, **standing: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The bot's entry: 100,000 at the last reset, of which it may lose 2,000 a day; at most three trades."""
    return {"family": "setup", "stop": D(59_100), **(request or {})}, {
        "standing": make_standing(**standing),
        "market_at": NOON,
    }


TABLE: dict[str, tuple[tuple[str, str, str], Case]] = {
    # rule: (inside, at, outside), and how a request and a context are made of one of them
    "volume_grid": (("0.02", "0.01", "0.00"), lambda v: ({"volume": D(v)}, {})),
    "tick_age": (("59.9", "60", "60.1"), lambda v: ({}, ages(tick_s=v))),
    "account_age": (("4.9", "5", "5.1"), lambda v: ({}, ages(account_s=v))),
    "spec_age": (("3599", "3600", "3601"), lambda v: ({}, ages(spec_s=v))),
    "price_collar": (("61199.99", "61200", "61200.01"), lambda v: ({}, {"quote": make_quote("61100", v)})),
    "spread_cap": (
        ("60149.75", "60150.00", "60150.25"),  # half a per cent of the middle, 60,000, is 300
        lambda v: ({}, {"quote": make_quote(D(120_000) - D(v), v)}),
    ),
    "daily_loss": (("92000.01", "92000.00", "91999.99"), equity_under(LossKind.DAILY)),
    "total_loss": (("92000.01", "92000.00", "91999.99"), equity_under(LossKind.TOTAL)),
    "drawdown": (("92000.01", "92000.00", "91999.99"), equity_under(LossKind.DRAWDOWN)),
    "after_reset": (("92000.01", "92000.00", "91999.99"), equity_under(LossKind.AFTER_RESET)),
    "position_cap": (("0.39", "0.40", "0.41"), lambda v: ({}, {"exposure": Exposure(long_lots=D(v))})),
    "gross_cap": (("93999", "94000", "94001"), lambda v: ({}, {"exposure": Exposure(other_gross=D(v))})),
    "net_cap": (("93999", "94000", "94001"), lambda v: ({}, {"exposure": Exposure(other_net=D(v))})),
    "margin_cap": (("99799.99", "99800", "99800.01"), lambda v: ({}, {"account": make_account(margin=v)})),
    "order_cap": (("6001", "6000", "5999"), lambda v: ({}, {"limits": Limits(max_order_notional=D(v))})),
    "venue_volume_cap": (("0.11", "0.10", "0.09"), lambda v: ({}, {"spec": make_spec(volume_limit=v)})),
    "positions_cap": (("98", "99", "100"), lambda v: ({}, {"exposure": Exposure(n_positions=int(v))})),
    "orders_per_minute": (("58", "59", "60"), lambda v: ({}, counts(orders_last_minute=int(v)))),
    "orders_per_day": (("198", "199", "200"), lambda v: ({}, counts(orders_today=int(v)))),
    "requests_per_day": (("1498", "1499", "1500"), lambda v: ({}, counts(requests_today=int(v)))),
    "entry_requests_per_day": (("998", "999", "1000"), lambda v: ({}, counts(requests_today=int(v)))),
    "risk_per_trade": (("999.99", "1000", "1000.01"), lambda v: ({"worst_loss": D(v)}, {})),
    "setup_positions": (("1", "2", "3"), lambda v: of_the_bot(n_open=int(v))),
    "setup_daily_loss": (("-1999.99", "-2000", "-2000.01"), lambda v: of_the_bot(day_result=D(v))),
    "setup_cooldown": (("-1", "0", "1"), lambda v: of_the_bot(cooldown_until=NOON + timedelta(seconds=int(v)))),
    "setup_symbol": (
        ("0", "0", "0.01"),
        lambda v: ({"family": "setup"}, {"standing": make_standing(), "exposure": Exposure(pending_sell_lots=D(v))}),
    ),
    "resting_stop": (("900", "0.01", "0"), lambda v: of_the_bot({"worst_loss": D(v)})),
    "no_crossing": (
        ("0", "0", "0.01"),
        lambda v: ({}, {"account": NETTING, "exposure": Exposure(short_lots=D(v))}),
    ),
    "session_hours": (
        ("2026-05-06T22:54:59", "2026-05-06T22:54:59.999999", "2026-05-06T22:55:00"),
        lambda v: ({}, {"market_at": prague(v), "quiet_hours": (QuietHours(begin=time(20, 55), end=time(22)),)}),
    ),
}
# At a loss line is outside: equity has to stay above it.
AT_IS_OUTSIDE = {"daily_loss", "total_loss", "drawdown", "after_reset", "setup_daily_loss"}
# They judge words or a claim, not a number; tests/unit/test_risk_rules.py has their cases.
WITHOUT_NUMBER = {"account_identity", "symbol_identity", "account_may_trade", "symbol_may_open", "closed_bar"}


@pytest.mark.parametrize("rule", list(TABLE))
def test_a_rule_lets_through_what_is_inside_or_at_its_boundary_and_nothing_outside(rule):
    values, case = TABLE[rule]
    answers = []
    for value in values:
        request, context = case(value)
        verdicts = {v.rule: v for v in evaluate(make_request(**request), make_context(**context))}
        answers.append(verdicts[rule].ok)
    assert answers == [True, rule not in AT_IS_OUTSIDE, False]


def test_every_rule_with_a_number_has_its_boundary_here():
    assert set(TABLE) | WITHOUT_NUMBER | {"reduction_is_real"} == set(RULES)


@pytest.mark.parametrize(("lots", "ok"), [("-0.29", True), ("-0.30", True), ("-0.31", False)])
def test_a_reduction_at_the_size_of_its_position(lots, ok):
    exposure = Exposure(long_lots=D("0.30"))
    verdicts = evaluate(make_request(lots, reduces=True), make_context(account=NETTING, exposure=exposure))
    assert {v.rule: v.ok for v in verdicts}["reduction_is_real"] is ok


# 2026-05-06 is a Wednesday.
@pytest.mark.parametrize(
    ("hours", "at", "covers"),
    [
        ({"begin": time(23), "end": time(1)}, "2026-05-06T22:59:59", False),
        ({"begin": time(23), "end": time(1)}, "2026-05-06T23:00:00", True),
        ({"begin": time(23), "end": time(1)}, "2026-05-07T00:59:59", True),
        ({"begin": time(23), "end": time(1)}, "2026-05-07T01:00:00", False),
        ({"begin": time(23), "end": time(1), "weekday": 2}, "2026-05-06T00:30:00", False),
        ({"begin": time(23), "end": time(1), "weekday": 2}, "2026-05-07T00:30:00", True),
        ({"begin": time(23), "end": time(1), "weekday": 2}, "2026-05-07T23:30:00", False),
        ({"begin": time(0), "end": time(0), "weekday": 5}, "2026-05-08T23:59:59", False),
        ({"begin": time(0), "end": time(0), "weekday": 5}, "2026-05-09T00:00:00", True),
        ({"begin": time(0), "end": time(0), "weekday": 5}, "2026-05-09T23:59:59", True),
        ({"begin": time(0), "end": time(0), "weekday": 5}, "2026-05-10T00:00:00", False),
        ({"begin": time(9), "end": time(10)}, "2026-05-06T09:59:59", True),
        ({"begin": time(9), "end": time(10)}, "2026-05-06T10:00:00", False),
        ({"begin": time(9), "end": time(10), "symbol": "ETHUSD"}, "2026-05-06T09:30:00", False),
        ({"begin": time(9), "end": time(10), "symbol": "BTCUSD"}, "2026-05-06T09:30:00", True),
    ],
)
def test_quiet_hours_begin_and_end_when_they_say(hours, at, covers):
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    assert QuietHours(**hours).covers("BTCUSD", moment) is covers


def test_quiet_hours_without_a_time_refuse():
    context = make_context(quiet_hours=(QuietHours(begin=time(9), end=time(10)),))
    assert {v.rule for v in evaluate(make_request(), context) if not v.ok} == {"session_hours"}


@pytest.mark.parametrize("leverage", [0, -1])
def test_an_account_without_leverage_is_refused_and_never_divides(leverage):
    context = make_context(account=make_account(leverage=leverage))
    assert {v.rule for v in evaluate(make_request(), context) if not v.ok} == {"margin_cap"}


def test_the_margin_counts_attempts_on_both_sides_that_have_no_answer_yet():
    pending = Exposure(pending_buy_lots=D("0.2"), pending_sell_lots=D("0.1"))  # 0.4 lots need 800 at 1:30
    inside, outside = make_account(margin="99200"), make_account(margin="99200.01")
    assert "margin_cap" not in _blocked(make_context(account=inside, exposure=pending))
    assert "margin_cap" in _blocked(make_context(account=outside, exposure=pending))


def _blocked(context) -> set[str]:
    return {verdict.rule for verdict in evaluate(make_request(), context) if not verdict.ok}
