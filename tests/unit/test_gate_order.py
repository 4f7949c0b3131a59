"""The gate's order of things: every step is written down as it is taken. A whole desk's gate is in tests/db."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from loguru import logger

from execution.brokers.base import OrderTicket, Permit
from execution.planning.orders import Side
from execution.safety.control import Needed
from execution.safety.gate import Terms
from execution.safety.outcomes import Outcome
from execution.safety.risk.hours import QuietHours
from tests.execution_builders import D
from tests.gate_fakes import (
    BEFORE_A_SEND,
    DONE,
    ENTRY,
    EVALUATE,
    NOW,
    around_the_gate,
    hold,
    make_close,
    make_leg,
    reducing,
)


@pytest.fixture
def desk(monkeypatch, tmp_path):
    return around_the_gate(monkeypatch, tmp_path)


def test_an_entry_is_locked_read_judged_permitted_and_journalled_before_it_is_sent(desk):
    assert desk.gate.send(make_leg(), ENTRY) is DONE
    after = ["unlock", "answer to attempt 1", "breaker"]
    assert desk.steps == [*BEFORE_A_SEND, "journal", "submit", *after]


def test_an_entry_is_what_its_leg_says_less_what_was_filled(desk):
    desk.gate.send(make_leg("-0.3", filled="0.1"), ENTRY, reprices=1)
    assert desk.asked["order"] == OrderTicket(
        symbol="BTCUSD",
        side=Side.SELL,
        volume=D("0.2"),
        magic=7_000_012,
        comment="rebalance new 12",
        reprices=1,
    )


def test_a_first_try_has_not_been_repriced(desk):
    desk.gate.send(make_leg(), ENTRY)
    assert desk.asked["order"].reprices == 0


def test_a_comment_is_cut_to_what_a_venue_keeps(desk):
    desk.gate.send(make_leg(scene="a scene of many words"), ENTRY)
    assert desk.asked["order"].comment == "rebalance a scene of many "
    assert len(desk.asked["order"].comment) == 26


def test_a_permit_carries_our_token_and_ends_two_seconds_after_its_stamp(desk):
    desk.gate.send(make_leg(), ENTRY)
    assert desk.asked["permit"] == Permit(fence=7, not_after=102.0, reduce=False)
    assert desk.asked["fence"] == 7


def test_the_rules_are_asked_about_the_leg_and_the_moment(desk):
    desk.quiet_hours = (QuietHours(begin=NOW.time().replace(hour=3), end=NOW.time().replace(hour=4)),)
    desk.gate.send(make_leg("0.1", ticket=None), replace(ENTRY, rate=D("1.1")))
    request, context = desk.asked["judged"], desk.asked["context"]
    assert (request.symbol, request.side, request.volume) == ("BTCUSD", Side.BUY, D("0.1"))
    assert (request.plan_price, request.reduces, request.ticket, request.emergency) == (D(60_000), False, None, False)
    assert (context.expected_login, context.expected_server, context.rate) == (1001, "Broker-Demo", D("1.1"))
    assert (context.is_bar_closed, context.is_bar_fresh, context.market_at) == (True, True, NOW)
    assert (context.account, context.spec, context.quote) == (desk.reads.account, desk.reads.spec, desk.reads.quote)
    assert (context.capital_per_asset, context.exposure) == (D(30_000), desk.exposure)
    assert (context.budgets, context.quiet_hours) == (desk.budgets, desk.quiet_hours)


def test_the_verdict_of_every_rule_is_journalled(desk):
    desk.gate.send(make_leg(), ENTRY)
    assert desk.asked["verdicts"] == EVALUATE(desk.asked["judged"], desk.asked["context"])
    assert all(verdict.ok for verdict in desk.asked["verdicts"])


def test_the_journal_says_what_was_asked_for(desk):
    desk.gate.send(make_leg(), ENTRY)
    entry = {"call": "submit", "symbol": "BTCUSD", "volume": "0.1", "magic": 7_000_012}
    assert desk.asked["request"] == entry

    hold(desk, "0.3")
    desk.gate.send(make_close(), reducing())
    assert desk.asked["request"] == entry | {"call": "reduce", "ticket": 1}


def test_terms_are_of_one_currency_and_without_capital_unless_they_say_so():
    terms = Terms(needed=Needed.ENTER, plan_price=D(1))
    assert (terms.rate, terms.capital_per_asset, terms.bar_at) == (1, 0, None)
    with pytest.raises(AttributeError):
        terms.rate = Decimal(2)


def test_the_answer_is_stored_as_it_came(desk):
    desk.result = replace(DONE, outcome=Outcome.AMBIGUOUS, retcode=None)
    assert desk.gate.send(make_leg(), ENTRY) is desk.asked["stored"] is desk.result


def test_what_was_sent_is_logged_without_the_account(desk):
    lines: list[Any] = []
    sink = logger.add(lambda message: lines.append(message.record), format="{message}")
    try:
        desk.gate.send(make_leg(), ENTRY)
        desk.gate.cancel(make_close(), needed=Needed.REDUCE)
    finally:
        logger.remove(sink)
    assert [line["message"] for line in lines] == ["order sent", "order sent"]
    known = {"symbol": "BTCUSD", "side": "buy", "volume": "0.1", "outcome": "ok", "retcode": 10009}
    assert lines[0]["extra"] == known
