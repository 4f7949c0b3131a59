"""The fear & greed index: seconds as text, newest first, with holes."""

from __future__ import annotations

import gzip
import json
from itertools import pairwise
from typing import Any

import pytest
import requests

from market.errors import FeedReplyError
from market.feeds.fear_greed import FearGreedFeed
from market.feeds.outside_replies import parse_fear_greed
from market.feeds.pause import Pause
from market.feeds.rest import RestClient
from market.intervals import DAY_MS
from tests.market_builders import HOUR_MS, MONDAY, Answer, ms, rest_server

PATH = "/fng/"


def day(i: int = 0, **changed: Any) -> dict[str, Any]:
    """Return a day as the index sends it, ``i`` before Monday."""
    fields = {
        "value": "29",
        "value_classification": "Fear",
        "timestamp": str((MONDAY - i * DAY_MS) // 1000),
    }
    return {name: value for name, value in (fields | changed).items() if value is not None}


def answer(*days: Any, error: Any = None) -> dict[str, Any]:
    return {"name": "Fear and Greed Index", "data": list(days), "metadata": {"error": error}}


def test_every_recorded_day_is_understood_and_holes_stay_holes(trading_data):
    recorded = (trading_data / "recorded" / "alternative_me_fng_data_to_2026-04.json.gz").read_bytes()

    days = parse_fear_greed(answer(*json.loads(gzip.decompress(recorded))))

    assert len(days) == 3_007
    assert (days[0].at_ms, days[-1].at_ms) == (ms("2018-02-01T00:00"), ms("2026-04-30T00:00"))
    steps = [(later.at_ms - earlier.at_ms) // DAY_MS for earlier, later in pairwise(days)]
    assert sorted(step for step in steps if step != 1) == [2, 4]  # one missing day, and three
    assert days[-1] == (ms("2026-04-30T00:00"), 29, "Fear")


def test_the_countdown_of_the_newest_day_may_be_there_or_not():
    assert parse_fear_greed(answer(day(time_until_update="25675"))) == parse_fear_greed(answer(day()))


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"value": None}, "day 0: value must be a whole number, was None"),
        ({"value": "29.5"}, "value must be a whole number, was '29.5'"),
        ({"value": "101"}, "value must be from 0 to 100, was 101"),
        ({"value": True}, "value must be a whole number"),
        ({"timestamp": "04-30-2026"}, "timestamp must be a whole number, was '04-30-2026'"),
        ({"timestamp": str(MONDAY)}, "timestamp must be seconds since 1970"),
        ({"timestamp": None}, "timestamp must be a whole number"),
        ({"value_classification": 3}, "value_classification must be text, was 3"),
    ],
)
def test_what_is_no_day_is_refused_by_the_fields_name(changed, named):
    with pytest.raises(FeedReplyError, match=named):
        parse_fear_greed(answer(day(**changed)))


@pytest.mark.parametrize(
    ("reply", "named"),
    [
        ([], "fear & greed must be an object"),
        ({}, "data must be a list, was None"),
        ({"data": {}}, "data must be a list"),
        ({"data": ["29"]}, "day 0 must be an object"),
        ({"data": [], "metadata": "x"}, "metadata must be an object"),
        (answer(error="down for maintenance"), "fear & greed was refused: 'down for maintenance'"),
        (answer(day(0), day(0)), "timestamp must go one way"),
        (answer(day(1), day(0)), "timestamp must go one way"),
    ],
)
def test_what_is_no_answer_is_refused(reply, named):
    with pytest.raises(FeedReplyError, match=named):
        parse_fear_greed(reply)


def test_only_the_days_that_are_wanted_are_asked_for_and_given():
    with rest_server() as rest, requests.Session() as session:
        rest.answers[PATH] = lambda query: Answer(answer(*(day(i) for i in range(int(query["limit"])))))
        feed = FearGreedFeed(RestClient(session, rest.url, pause=Pause()), lambda: MONDAY + HOUR_MS)
        days = feed.readings("", since_ms=MONDAY - 2 * DAY_MS)

    assert [each.at_ms for each in days] == [MONDAY - 2 * DAY_MS, MONDAY - DAY_MS, MONDAY]
    assert rest.asked[0][1] == {"limit": "4"}


def test_a_day_ahead_of_our_time_is_not_taken():
    with rest_server() as rest, requests.Session() as session:
        rest.answers[PATH] = [Answer(answer(day(-1), day(0)))]
        feed = FearGreedFeed(RestClient(session, rest.url, pause=Pause()), lambda: MONDAY + HOUR_MS)

        assert [each.at_ms for each in feed.readings("", since_ms=0)] == [MONDAY]
