"""Binance's codes, each with what it means at either venue: one number more or less would mean something else.

The numbers are those of the venue's own pages of error codes, spot and USD-M futures.
"""

from __future__ import annotations

import pytest

from execution.safety.binance_outcomes import Execution, Refusal, Venue, classify_execution, classify_refusal
from execution.safety.outcomes import Classified, Outcome, RequestAction
from tests.execution_builders import D

SPOT, FUTURES = Venue.SPOT, Venue.FUTURES
EVERY_CODE = range(-6000, 1)

LATER = {-1003, -1015, -1021}  # too many requests or orders; outside the receive window
HALT = {-1002, -1022, -2014, -2015}  # the key, its permissions, its address
MALFORMED = {-1013, -1014, -1020, *range(-1106, -1099), -1108, -1111, -1112, *range(-1119, -1113), -1121, -1128, -1130}
SPOT_ALONE = {-1122, -1134, -1135, -1145, -1158, -1160, -1165, -1166, -1168, *range(-1199, -1195), -1210, -1211}
PEGGED_AND_PENDING = {-1220, *range(-1225, -1221)}
# Futures: the symbol's and the order type's rules, not enough margin, and nothing to reduce.
REFUSED_BY_ENGINE = {-1136, *range(-2022, -2017), *range(-2028, -2023), -4118, -4120, -4130, -4131, -4164}
FILTERS = {*range(-4007, -4000), *range(-4016, -4012), -4023, -4024, -4045}

MEANINGS = {
    SPOT: {
        Outcome.LATER: LATER | {-2016},
        Outcome.HALT: HALT,
        Outcome.REJECT: MALFORMED | SPOT_ALONE | PEGGED_AND_PENDING,
    },
    FUTURES: {
        Outcome.LATER: LATER | {-1008, -4140, -4141, -5028},
        Outcome.HALT: HALT | {-2023, -4061, -4087, -4088, -4109, -4192},
        Outcome.NOOP: {-4046, -4059},
        Outcome.REJECT: MALFORMED | REFUSED_BY_ENGINE | FILTERS,
    },
}
# Ambiguous because the venue says so, and not because nobody has heard of them.
KNOWN_AND_OPEN = {-1000: "UNKNOWN", -1001: "DISCONNECTED", -1006: "UNEXPECTED_RESP", -1007: "TIMEOUT"}


def classify(venue: Venue, code: int | None, message: str = "", *, status: int | None = 400) -> Classified:
    refusal = Refusal(status=status, code=code, message=message)
    return classify_refusal(refusal, venue=venue, action=RequestAction.OPEN)


@pytest.mark.parametrize("venue", Venue)
def test_every_code_means_what_the_venues_page_says_and_no_other_means_anything(venue):
    found: dict[Outcome, set[int]] = {}
    for code in EVERY_CODE:
        found.setdefault(classify(venue, code).outcome, set()).add(code)
    del found[Outcome.AMBIGUOUS]
    assert found == MEANINGS[venue]


@pytest.mark.parametrize("venue", Venue)
def test_a_code_that_leaves_all_open_is_called_by_its_name(venue):
    assert {code: classify(venue, code).name for code in KNOWN_AND_OPEN} == KNOWN_AND_OPEN


def test_codes_that_are_open_at_one_venue_alone_are_named_there_alone():
    assert classify(SPOT, -2021).name == "CANCEL_REPLACE_PARTLY"
    assert classify(FUTURES, -2021).name == "ORDER_WOULD_IMMEDIATELY_TRIGGER"
    assert classify(SPOT, -4116).name == "CODE_-4116"
    assert classify(FUTURES, -4116).message.startswith("the id is in use")


# The words that the venue's page has for -2010.
@pytest.mark.parametrize(
    ("words", "outcome"),
    [
        ("Market is closed.", Outcome.LATER),
        ("Stop price would trigger immediately.", Outcome.REJECT),
        ("Order would immediately trigger.", Outcome.REJECT),
        ("Order would immediately match and take.", Outcome.REJECT),
        ("Price * QTY is zero or less.", Outcome.REJECT),
        ("The relationship of the prices for the orders is not correct.", Outcome.REJECT),
        ("OCO orders are not supported for this symbol.", Outcome.REJECT),
        ("Filter failure: LOT_SIZE", Outcome.REJECT),
        ("This action is disabled on this account.", Outcome.HALT),
        ("This account may not place or cancel orders.", Outcome.HALT),
        ("This symbol is not permitted for this account.", Outcome.HALT),
    ],
)
@pytest.mark.parametrize("venue", Venue)
def test_what_the_matching_engine_writes_decides(venue, words, outcome):
    found = classify(venue, -2010, words)
    assert (found.outcome, found.name) == (outcome, "NEW_ORDER_REJECTED")


def test_an_order_that_nobody_knows_is_called_so():
    assert [classify(SPOT, code).name for code in (-2011, -2013)] == ["CANCEL_REJECTED", "NO_SUCH_ORDER"]


@pytest.mark.parametrize("venue", Venue)
def test_too_many_requests_halt_once_the_address_is_banned(venue):
    assert classify(venue, -1003, "Too many requests.").name == "TOO_MANY_REQUESTS"
    banned = classify(venue, -1003, "Way too many requests; IP banned until 1660090423228.")
    assert (banned.outcome, banned.name) == (Outcome.HALT, "IP_BANNED")
    assert classify(venue, -1015, "Too many new orders; banned words.").outcome is Outcome.LATER


# RFC 9110: 4xx are the client's mistakes. Of what is none, the body proves nothing.
@pytest.mark.parametrize(
    ("status", "outcome"), [(399, "ambiguous"), (400, "reject"), (499, "reject"), (500, "ambiguous")]
)
def test_a_code_decides_between_400_and_500(status, outcome):
    assert classify(SPOT, -1121, "Invalid symbol.", status=status).outcome == outcome
    assert classify(SPOT, -1121, status=None).outcome is Outcome.REJECT


@pytest.mark.parametrize(("status", "outcome"), [(402, "reject"), (404, "reject"), (407, "reject"), (410, "reject")])
def test_a_status_beside_those_that_say_all_leaves_it_to_the_code(status, outcome):
    assert classify(SPOT, -1121, status=status).outcome == outcome


@pytest.mark.parametrize("status", [403, 408, 409, 418, 429, 451])
def test_a_status_that_says_all_is_the_name(status):
    assert classify(SPOT, -1121, status=status).name == f"HTTP_{status}"


@pytest.mark.parametrize("status", [502, 504])
def test_only_a_503_can_say_that_nothing_was_done(status):
    assert classify(FUTURES, -1008, "Service Unavailable.", status=status).outcome is Outcome.AMBIGUOUS
    assert classify(FUTURES, -1008, "", status=503).name == "HTTP_503_FAILED"
    assert classify(SPOT, -1008, "", status=503).name == "HTTP_503"


def test_a_message_is_told_up_to_its_200th_character():
    told = classify(SPOT, -1121, "x" * 199 + "yz").message
    assert told.endswith(": " + "x" * 199 + "y")
    assert not classify(SPOT, -1121).message.endswith(": ")


def test_nothing_is_said_unless_somebody_says_it():
    assert Refusal(status=400, code=-1121).message == ""


def test_a_status_without_a_name_is_called_so():
    found = classify_execution(Execution(status="", executed=D(1)), requested=D(1))
    assert found.name == "NO_STATUS"
