"""What Binance's answers mean: the table of the reliability research, row by row, and every recorded error."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution.safety.binance_outcomes import (
    TABLES,
    Execution,
    Refusal,
    Venue,
    classify_execution,
    classify_refusal,
)
from execution.safety.outcomes import Outcome, RequestAction

D = Decimal
SPOT, FUTURES = Venue.SPOT, Venue.FUTURES
BOTH = (SPOT, FUTURES)
OPEN, CANCEL = RequestAction.OPEN, RequestAction.CANCEL
UNKNOWN = "Unknown error, please check your request or try again later."
INTERNAL = "Internal error; unable to process your request. Please try again."
UNSURE, LATER, HALT, REJECT = Outcome.AMBIGUOUS, Outcome.LATER, Outcome.HALT, Outcome.REJECT


def outcome(venue, status, code, message="", action=OPEN) -> Outcome:
    return classify_refusal(Refusal(status=status, code=code, message=message), venue=venue, action=action).outcome


# Rows of reliability.md 3.1: (HTTP status, code, message) and what it means on spot and on futures.
ROWS = [
    ((500, None, ""), UNSURE, UNSURE),
    ((502, -1000, "Request occur unknown error."), UNSURE, UNSURE),
    ((504, -1007, "Timeout waiting for response from backend server."), UNSURE, UNSURE),
    ((503, -1000, UNKNOWN), UNSURE, UNSURE),
    ((503, -1000, "Service Unavailable."), UNSURE, LATER),
    ((503, -1001, INTERNAL), UNSURE, LATER),
    ((503, -1008, "Request throttled by system-level protection."), UNSURE, LATER),
    ((503, None, ""), UNSURE, UNSURE),  # a proxy's page
    ((408, None, ""), UNSURE, UNSURE),
    ((400, -1006, "An unexpected response was received from the message bus."), UNSURE, UNSURE),
    ((400, -1007, "Timeout"), UNSURE, UNSURE),
    ((400, -1000, "An unknown error occurred"), UNSURE, UNSURE),
    ((429, -1003, "Too much request weight used"), LATER, LATER),
    ((429, -1015, "Too many new orders"), LATER, LATER),
    ((429, None, ""), LATER, LATER),
    ((400, -1015, "Too many new orders"), LATER, LATER),
    ((418, -1003, "Way too much request weight used; IP banned until 1660090423228."), HALT, HALT),
    ((403, None, ""), HALT, HALT),
    ((451, None, ""), HALT, HALT),
    ((400, -1021, "Timestamp for this request is outside of the recvWindow."), LATER, LATER),
    ((400, -5028, "Timestamp for this request is outside of the ME recvWindow"), UNSURE, LATER),
    ((400, -1022, "Signature for this request is not valid."), HALT, HALT),
    ((401, -2014, "API-key format invalid."), HALT, HALT),
    ((401, -2015, "Invalid API-key, IP, or permissions for action."), HALT, HALT),
    ((400, -1013, "Filter failure: LOT_SIZE"), REJECT, REJECT),
    ((400, -1111, "Precision is over the maximum defined for this asset."), REJECT, REJECT),
    ((400, -4164, "Order's notional must be no smaller than 5"), UNSURE, REJECT),
    ((400, -2010, "Duplicate order sent."), UNSURE, UNSURE),  # the first attempt has landed
    ((400, -4116, "ClientOrderId is duplicated."), UNSURE, UNSURE),
    ((400, -2010, "Account has insufficient balance for requested action."), REJECT, REJECT),
    ((400, -2010, "Words that nobody has seen."), UNSURE, UNSURE),
    ((400, -2019, "Margin is insufficient."), UNSURE, REJECT),
    ((400, -2013, "Order does not exist."), UNSURE, UNSURE),
    ((400, -2011, "Unknown order sent."), UNSURE, UNSURE),
    ((400, -2022, "ReduceOnly Order is rejected."), UNSURE, REJECT),
    ((400, -4118, "ReduceOnly Order Failed."), UNSURE, REJECT),
    ((400, -2021, "Order would immediately trigger."), UNSURE, REJECT),
    ((409, -2021, "Order cancel-replace partially failed."), UNSURE, UNSURE),
    ((400, -4120, "Order type not supported for this endpoint."), UNSURE, REJECT),
    ((400, -9999, "A code that came overnight."), UNSURE, UNSURE),
    ((400, None, ""), UNSURE, UNSURE),
    ((307, None, ""), UNSURE, UNSURE),  # a redirect, which nobody follows
    ((200, -2010, "Account has insufficient balance for requested action."), UNSURE, UNSURE),
]


@pytest.mark.parametrize(("answer", "on_spot", "on_futures"), ROWS)
def test_an_answer_means_what_the_table_says(answer, on_spot, on_futures):
    assert (outcome(SPOT, *answer), outcome(FUTURES, *answer)) == (on_spot, on_futures)


@pytest.mark.parametrize("venue", BOTH)
@pytest.mark.parametrize("code", [-2011, -2013])
def test_an_unknown_order_answers_a_cancel_and_proves_nothing_else(venue, code):
    assert outcome(venue, 400, code, "Unknown order sent.", CANCEL) is REJECT
    others = [action for action in RequestAction if action is not CANCEL]
    assert {outcome(venue, 400, code, "Unknown order sent.", action) for action in others} == {UNSURE}


# What each error that somebody has really got means, in the order of the file.
RECORDED = [HALT, HALT, HALT, HALT, LATER, HALT, REJECT, LATER, LATER, LATER] + [REJECT] * 9


def test_every_recorded_error_is_classified(trading_data):
    file = json.loads((trading_data / "recorded/error_bodies_from_threads.json").read_text())
    venues = {"spot": SPOT, "usdm": FUTURES}
    found = [outcome(venues[one["market"]], one["http"], one["code"], one["msg"]) for one in file["errors"]]
    assert found == RECORDED
    refused, _ = file["usdm_batch_response_mixed"]["response"]
    assert outcome(FUTURES, 400, refused["code"], refused["msg"]) is REJECT


# Documented codes that are AMBIGUOUS because that is what they say, and those that no order over HTTP can get.
SAID_OPEN = {-1000, -1001, -1006, -1007, -1008, -1016, -2011, -2013, -2010, -2021, -2022, -2026, -2039, -2043}
OTHER_DOORS = {
    *(-1033, -1034, -1035, -1120, -1125, -1127, -1139, -1151, -1152, -1153, -1155, -1161, *range(-1191, -1168)),
    *(-1194, -1221, -2035, -2036, -2042),
}


def test_every_documented_code_has_a_class_or_is_ambiguous_by_decision(trading_data):
    file = json.loads((trading_data / "recorded/spot_error_codes_documented.json").read_text())
    codes = {one["code"] for one in file["codes"]}
    assert len(file["codes"]) == 104
    unsure = {code for code in codes if outcome(SPOT, 400, code) is UNSURE}
    assert unsure == codes & (SAID_OPEN | OTHER_DOORS)
    named = {one["code"]: one["name"] for one in file["codes"]}
    ours = {code: meaning.name for code, meaning in TABLES[SPOT].items()}
    assert {code: ours[code] for code in codes & ours.keys() - {-2021}} == {
        code: named[code] for code in codes & ours.keys() - {-2021}
    }


# --- never more hopeful than the evidence --------------------------------------------------------------------------

STATUSES = st.one_of(st.none(), st.integers(100, 599), st.sampled_from([200, 400, 403, 408, 409, 418, 429, 451, 503]))
CODES = st.one_of(st.none(), st.integers(-10_000, 10), st.sampled_from(sorted(TABLES[FUTURES])))
WORDS = st.one_of(st.text(max_size=30), st.sampled_from([UNKNOWN, INTERNAL, "Service Unavailable.", "banned"]))


@given(st.sampled_from(BOTH), STATUSES, CODES, WORDS, st.sampled_from(list(RequestAction)))
def test_no_refusal_is_ever_taken_for_a_success(venue, status, code, words, action):
    assert outcome(venue, status, code, words, action) not in (Outcome.OK, Outcome.PARTIAL)


@given(STATUSES, CODES, WORDS, st.sampled_from(list(RequestAction)))
def test_after_a_5xx_nothing_is_known_but_for_three_bodies_of_futures(status, code, words, action):
    if status is None or status < 500:
        return
    assert outcome(SPOT, status, code, words, action) is UNSURE
    said = code == -1008 or words.strip().lower() in ("service unavailable.", INTERNAL.lower())
    is_failed = status == 503 and code is not None and said
    assert outcome(FUTURES, status, code, words, action) is (LATER if is_failed else UNSURE)


@given(st.sampled_from(BOTH), st.integers(-10_000, -1), st.sampled_from(list(RequestAction)))
def test_a_code_of_no_table_is_ambiguous(venue, code, action):
    if code not in TABLES[venue] and code not in (-2011, -2013):
        assert outcome(venue, 400, code, "", action) is UNSURE


# --- orders that were taken ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "executed", "expected"),
    [
        ("FILLED", "2", Outcome.OK),
        ("FILLED", "1", Outcome.PARTIAL),
        ("EXPIRED", "1", Outcome.PARTIAL),
        ("EXPIRED", "0", REJECT),
        ("REJECTED", "0", REJECT),
        ("FILLED", "0", UNSURE),
        ("FILLED", "3", UNSURE),  # more than was asked for
        ("FILLED", "-1", UNSURE),
        ("FILLED", "NaN", UNSURE),
        ("NEW", "0", UNSURE),
        ("NEW", "2", UNSURE),
        ("PARTIALLY_FILLED", "1", UNSURE),
        ("", "2", UNSURE),
        ("SOMETHING_NEW", "2", UNSURE),
    ],
)
def test_only_an_order_at_its_end_proves_what_was_executed(status, executed, expected):
    found = classify_execution(Execution(status=status, executed=D(executed)), requested=D(2))
    assert found.outcome is expected
    assert found.name
