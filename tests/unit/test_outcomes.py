from __future__ import annotations

import re

import pytest

from execution.safety.outcomes import (
    LAST_ERRORS,
    RETCODES,
    Outcome,
    Reply,
    RequestAction,
    classify_reply,
)
from simulator import constants
from tests.execution_builders import D

OPEN, CLOSE = RequestAction.OPEN, RequestAction.CLOSE
market_orders = pytest.mark.parametrize("action", [OPEN, CLOSE])

# Written out from MetaQuotes' list of return codes and what each forbids the sender to do, for a market order.
EXPECTED = {
    Outcome.REPRICE: {10004, 10015, 10020, 10021},
    Outcome.LATER: {10018, 10024, 10029},
    Outcome.HALT: {10017, 10026, 10027, 10032, 10044},
    Outcome.REJECT: {10006, 10007, 10013, 10014, 10016, 10019, 10022, 10030, 10033, 10034, 10035, 10038}
    | {10040, 10041, 10042, 10043, 10045, 10046},
    Outcome.AMBIGUOUS: {10008, 10011, 10012, 10023, 10025, 10028, 10031, 10036, 10039},
}


def reply(retcode, *, volume="1", deal_id=0, last_error=(1, "Success")) -> Reply:
    return Reply(retcode=retcode, volume=None if volume is None else D(volume), deal_id=deal_id, last_error=last_error)


def outcome_of(retcode, action=OPEN, *, reprices=0, **facts) -> Outcome:
    return classify_reply(reply(retcode, **facts), action=action, requested_volume=D("1"), reprices=reprices).outcome


def test_every_code_of_the_package_is_in_the_tables():
    names = {name: value for name, value in vars(constants).items() if re.match("TRADE_RETCODE|RES_", name)}
    named = {f"TRADE_RETCODE_{meaning.name}": code for code, meaning in RETCODES.items()}
    named |= {meaning.name: code for code, meaning in LAST_ERRORS.items()}
    assert {name: named[name] for name in names} == names
    assert set(named) - set(names) == {"TRADE_RETCODE_HEDGE_PROHIBITED"}  # known to servers, not to the package


def test_a_market_orders_codes_mean_what_the_reference_says():
    for outcome, codes in EXPECTED.items():
        assert {code: outcome_of(code) for code in codes} == dict.fromkeys(codes, outcome)
    assert set().union(*EXPECTED.values()) == set(RETCODES) - {10009, 10010}


@pytest.mark.parametrize("code", [0, -1, 1, 10005, 10037, 10047, 99_999])
@pytest.mark.parametrize("action", list(RequestAction))
def test_a_code_that_is_in_no_table_is_ambiguous(code, action):
    assert outcome_of(code, action, deal_id=5) is Outcome.AMBIGUOUS


@market_orders
def test_done_with_a_deal_and_the_whole_volume_is_done(action):
    assert outcome_of(10009, action, deal_id=5) is Outcome.OK


@market_orders
@pytest.mark.parametrize("code", [10009, 10010])
def test_done_with_less_than_was_asked_for_is_partial(code, action):
    assert outcome_of(code, action, deal_id=5, volume="0.4") is Outcome.PARTIAL


@market_orders
@pytest.mark.parametrize("code", [10009, 10010])
@pytest.mark.parametrize(
    "facts",
    [{"deal_id": 0}, {"volume": "0"}, {"volume": None}, {"volume": "1.5"}, {"volume": "-1"}, {"volume": "NaN"}],
)
def test_done_without_proof_of_a_sensible_fill_is_ambiguous(code, action, facts):
    assert outcome_of(code, action, **({"deal_id": 5} | facts)) is Outcome.AMBIGUOUS


def test_a_market_order_of_unknown_volume_is_never_called_done():
    meaning = classify_reply(reply(10009, deal_id=5), action=OPEN, requested_volume=None)
    assert meaning.outcome is Outcome.AMBIGUOUS


@market_orders
def test_placed_is_no_proof_that_a_market_order_was_filled(action):
    assert outcome_of(10008, action, deal_id=5) is Outcome.AMBIGUOUS


def test_placed_is_all_that_a_pending_order_asks_for():
    assert outcome_of(10008, RequestAction.PENDING) is Outcome.OK


@pytest.mark.parametrize("action", [RequestAction.PROTECT, RequestAction.CANCEL, RequestAction.PENDING])
def test_what_trades_nothing_is_done_without_a_deal(action):
    assert outcome_of(10009, action, volume="0") is Outcome.OK


@pytest.mark.parametrize(
    ("code", "action"), [(10025, RequestAction.PROTECT), (10036, CLOSE), (10025, RequestAction.PENDING)]
)
def test_what_already_is_so_needs_nothing(code, action):
    assert outcome_of(code, action) is Outcome.NOOP


@pytest.mark.parametrize(("code", "action"), [(10025, OPEN), (10036, OPEN), (10010, RequestAction.CANCEL)])
def test_an_answer_that_the_request_cannot_have_is_ambiguous(code, action):
    assert outcome_of(code, action) is Outcome.AMBIGUOUS


@pytest.mark.parametrize("code", sorted(EXPECTED[Outcome.REJECT] | EXPECTED[Outcome.LATER] | {10004}))
def test_a_refusal_that_comes_with_a_deal_is_ambiguous(code):
    assert outcome_of(code, deal_id=5) is Outcome.AMBIGUOUS


def test_an_invalid_price_is_tried_once_more_and_a_requote_as_often_as_the_sender_wants():
    assert outcome_of(10015, reprices=0) is Outcome.REPRICE
    assert outcome_of(10015, reprices=1) is Outcome.REJECT
    assert outcome_of(10004, reprices=5) is Outcome.REPRICE


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (1, Outcome.AMBIGUOUS),
        (-1, Outcome.AMBIGUOUS),
        (-2, Outcome.REJECT),
        (-3, Outcome.AMBIGUOUS),
        (-4, Outcome.AMBIGUOUS),
        (-5, Outcome.HALT),
        (-6, Outcome.HALT),
        (-7, Outcome.REJECT),
        (-8, Outcome.HALT),
        (-10000, Outcome.AMBIGUOUS),
        (-10001, Outcome.AMBIGUOUS),
        (-10002, Outcome.AMBIGUOUS),
        (-10003, Outcome.AMBIGUOUS),
        (-10004, Outcome.AMBIGUOUS),
        (-10005, Outcome.AMBIGUOUS),
        (-77, Outcome.AMBIGUOUS),
    ],
)
def test_no_result_means_what_its_last_error_says(code, outcome):
    assert outcome_of(None, last_error=(code, "text")) is outcome


def test_no_result_and_no_error_is_ambiguous():
    assert outcome_of(None, last_error=None) is Outcome.AMBIGUOUS


def test_the_message_tells_a_person_what_happened():
    meaning = classify_reply(reply(None, last_error=(-10005, "IPC timeout")), action=OPEN, requested_volume=D("1"))
    assert meaning.name == "RES_E_INTERNAL_FAIL_TIMEOUT"
    assert "IPC timeout" in meaning.message
    partial = classify_reply(reply(10009, deal_id=5, volume="0.4"), action=OPEN, requested_volume=D("1"))
    assert "0.4 of 1 lots" in partial.message
