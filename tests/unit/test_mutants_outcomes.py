"""What an answer means where one number more or less would have meant something else."""

from __future__ import annotations

import pytest

from execution.safety.outcomes import Outcome, Reply, RequestAction, classify_reply
from tests.execution_builders import D

OPEN = RequestAction.OPEN


def test_an_answer_that_names_no_deal_has_none():
    assert classify_reply(Reply(retcode=10006), action=OPEN).outcome is Outcome.REJECT
    done = Reply(retcode=10009, volume=D("1"))
    assert classify_reply(done, action=OPEN, requested_volume=D("1")).outcome is Outcome.AMBIGUOUS


def test_the_first_deal_of_a_venue_is_a_deal():
    done = Reply(retcode=10009, volume=D("1"), deal_id=1)
    assert classify_reply(done, action=OPEN, requested_volume=D("1")).outcome is Outcome.OK


def test_a_request_that_nobody_calls_repriced_was_not():
    assert classify_reply(Reply(retcode=10015), action=OPEN).outcome is Outcome.REPRICE


# From MetaQuotes' list: which of the module's own errors prove that nothing was sent.
@pytest.mark.parametrize(
    ("code", "outcome"),
    [(code, Outcome.REJECT) for code in (-2, -7)]
    + [(code, Outcome.HALT) for code in (-5, -6, -8)]
    + [(code, Outcome.AMBIGUOUS) for code in (1, -1, -3, -4, *range(-10005, -9999), 12345)],
)
def test_no_result_means_what_the_last_error_proves(code, outcome):
    reply = Reply(retcode=None, last_error=(code, "words"))
    assert classify_reply(reply, action=OPEN, requested_volume=D("1")).outcome is outcome


def test_an_activation_that_was_rejected_took_the_resting_order_away():
    assert classify_reply(Reply(retcode=10041), action=RequestAction.PENDING).outcome is Outcome.REJECT
