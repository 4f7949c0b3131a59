"""Order books: the best levels of recorded ones, and no book that is empty, crossed or cut."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from market.errors import FeedReplyError
from market.feeds.depth import LEVELS, DepthFeed
from market.feeds.outside_replies import parse_book
from market.feeds.pause import Pause
from market.feeds.rest import RestClient
from tests.market_builders import MONDAY, Answer, rest_server

PATH = "/api/v3/depth"


def book(**changed: Any) -> dict[str, Any]:
    sides = {"bids": [["100.0", "3"], ["99.5", "1"]], "asks": [["100.5", "2"], ["101.0", "4"], ["102.0", "9"]]}
    return {"lastUpdateId": 7} | sides | changed


def recorded_book(trading_data, name: str) -> Any:
    return json.loads((trading_data / "recorded" / "nautilus" / "http_responses" / name).read_text())


def test_the_recorded_spot_book_is_summed_over_its_best_levels(trading_data):
    reply = recorded_book(trading_data, "http_spot_market_depth.json")

    best = parse_book(reply, n_levels=2, at_ms=MONDAY)

    assert (best.bid, best.ask) == (60_650.0, 60_650.01)
    assert best.bid_quantity == pytest.approx(0.00213 + 0.06346, abs=1e-12)
    assert best.ask_quantity == pytest.approx(sum(float(q) for _, q in reply["asks"][:2]), abs=1e-12)


def test_the_documented_futures_book_is_understood(trading_data):
    reading = parse_book(recorded_book(trading_data, "http_futures_market_depth.json"), n_levels=10, at_ms=MONDAY)

    assert reading == (MONDAY, 4.0, 4.000002, 431.0, 12.0, 10)


def test_a_side_with_fewer_levels_counts_with_those_it_has():
    assert parse_book(book(), n_levels=3, at_ms=MONDAY)[3:5] == (4.0, 15.0)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"bids": None}, "depth: bids must be a list, was None"),
        ({"asks": "x"}, "depth: asks must be a list, was 'x'"),
        ({"bids": []}, "depth: bids must not be empty"),
        ({"asks": []}, "depth: asks must not be empty"),
        ({"bids": [["100.0"]]}, r"depth: bids\[0\] must be a price and a quantity"),
        ({"bids": ["100.0"]}, r"depth: bids\[0\] must be a list"),
        ({"asks": [["100.5", "2"], ["101.0", "many"]]}, r"depth: asks\[1\] must be a number, was 'many'"),
        ({"asks": [["100.5", "-1"]]}, r"depth: asks\[0\] must be above 0"),
        ({"bids": [["0", "1"]]}, r"depth: bids\[0\] must be above 0"),
        ({"bids": [["99", "1"], ["100", "1"]]}, "bids must fall"),
        ({"asks": [["101", "1"], ["101", "1"]]}, "asks must rise"),
        ({"bids": [["100.5", "1"]]}, "the best of bids must be below that of asks, was 100.5 and 100.5"),
    ],
)
def test_what_is_no_book_is_refused_by_the_sides_name(changed, named):
    with pytest.raises(FeedReplyError, match=named):
        parse_book(book(**changed), n_levels=10, at_ms=MONDAY)


@pytest.mark.parametrize("reply", [None, [], "x", 7])
def test_what_is_no_object_is_refused(reply):
    with pytest.raises(FeedReplyError, match="depth must be an object"):
        parse_book(reply, n_levels=10, at_ms=MONDAY)


def test_a_book_is_stamped_with_the_time_after_it_was_read():
    times = iter([MONDAY + 5])

    with rest_server() as rest, requests.Session() as session:
        rest.answers[PATH] = [Answer(book())]
        feed = DepthFeed(RestClient(session, rest.url, pause=Pause()), lambda: next(times))
        [reading] = feed.readings("BTCUSDT", since_ms=0)

    assert reading.at_ms == MONDAY + 5
    assert rest.asked == [(PATH, {"symbol": "BTCUSDT", "limit": str(LEVELS)})]
