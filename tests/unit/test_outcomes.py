from __future__ import annotations

import re
from itertools import product

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
    | {10040, 10042, 10043, 10045, 10046},
    Outcome.AMBIGUOUS: {10008, 10011, 10012, 10023, 10025, 10028, 10031, 10036, 10039, 10041},
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


# Whatever was asked for, these say that something is in flight, or that nobody knows.
ALWAYS_IN_DOUBT = {10011, 10012, 10023, 10028, 10031, 10039}
UNLISTED = (0, -1, 1, 10005, 10037, 10047, 99_999)
VOLUMES = (None, "-1", "0", "0.4", "1", "1.5", "NaN", "Infinity")
EVERY_ANSWER = list(product([*RETCODES, *UNLISTED], RequestAction, VOLUMES, (-7, 0, 5), (None, "0.4", "1"), range(3)))


def test_no_answer_is_taken_for_more_than_its_evidence():
    """Go through every code, request, volume, deal, wish and count of reprices."""
    for code, action, volume, deal, wanted, reprices in EVERY_ANSWER:
        answer = reply(code, volume=volume, deal_id=deal)
        requested = None if wanted is None else D(wanted)
        found = classify_reply(answer, action=action, requested_volume=requested, reprices=reprices).outcome
        allowed = allowed_by_evidence(code, action, answer=answer, requested=requested)
        assert found in allowed, f"{code} to {action}, {volume} of {wanted} lots, deal {deal}: {found}"


def allowed_by_evidence(code, action, *, answer, requested) -> set[Outcome]:
    """Return what an answer may be taken for at most; the tables are only asked which codes they know."""
    doubt = {Outcome.AMBIGUOUS}
    if code in UNLISTED or code in ALWAYS_IN_DOUBT:
        return doubt
    if code in (10009, 10010) and action.is_market:
        return doubt | executed_by_evidence(answer, requested)
    if code in (10008, 10009):  # what rests, moves a stop or takes back trades nothing
        return doubt | ({Outcome.OK} if not action.is_market and (code == 10009 or is_pending(action)) else set())
    if answer.deal_id:
        return doubt
    return set(Outcome) - {Outcome.OK, Outcome.PARTIAL}


def executed_by_evidence(answer, requested) -> set[Outcome]:
    if answer.deal_id <= 0 or requested is None or answer.volume is None or not answer.volume.is_finite():
        return set()
    if answer.volume == requested:
        return {Outcome.OK}
    return {Outcome.PARTIAL} if 0 < answer.volume < requested else set()


def is_pending(action) -> bool:
    return action is RequestAction.PENDING


@pytest.mark.parametrize("action", list(RequestAction))
@pytest.mark.parametrize("code", [*LAST_ERRORS, -9, -77, 0, 2])
def test_nothing_came_back_so_nothing_is_said_to_be_executed(code, action):
    """Only what the module refuses before it sends, or a login that does not hold, is not in doubt."""
    refused = {-2: Outcome.REJECT, -7: Outcome.REJECT, -5: Outcome.HALT, -6: Outcome.HALT, -8: Outcome.HALT}
    assert outcome_of(None, action, last_error=(code, "text")) is refused.get(code, Outcome.AMBIGUOUS)
    # Of a result that is not there, neither volume nor deal says anything.
    assert outcome_of(None, action, last_error=(code, "text"), deal_id=5) is refused.get(code, Outcome.AMBIGUOUS)


def test_what_may_have_executed_is_never_sent_again_by_itself():
    again = {outcome for outcome in Outcome if not outcome.may_have_executed}
    assert again == {Outcome.NOOP, Outcome.REPRICE, Outcome.LATER, Outcome.REJECT, Outcome.HALT}


def test_the_message_tells_a_person_what_happened():
    meaning = classify_reply(reply(None, last_error=(-10005, "IPC timeout")), action=OPEN, requested_volume=D("1"))
    assert meaning.name == "RES_E_INTERNAL_FAIL_TIMEOUT"
    assert "IPC timeout" in meaning.message
    partial = classify_reply(reply(10009, deal_id=5, volume="0.4"), action=OPEN, requested_volume=D("1"))
    assert "0.4 of 1 lots" in partial.message
