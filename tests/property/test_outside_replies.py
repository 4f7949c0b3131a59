"""Whatever an answer holds, it is understood or refused by name: no other error, and nothing that is not a reading."""

from __future__ import annotations

import copy
import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from market.errors import FeedReplyError
from market.feeds.outside_replies import parse_book, parse_fear_greed, parse_funding
from tests.market_builders import MONDAY

junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["", "1e999", "--1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
FUNDING = [
    {"symbol": "BTCUSDT", "fundingTime": MONDAY + i, "fundingRate": "-0.0001", "markPrice": "12.5"} for i in range(3)
]
BOOK = {"lastUpdateId": 1, "bids": [["4.0", "431"], ["3.9", "2"]], "asks": [["4.1", "12"], ["4.2", "1"]]}
FEAR = {
    "name": "Fear and Greed Index",
    "data": [
        {"value": "29", "value_classification": "Fear", "timestamp": str(MONDAY // 1000 - i * 86_400)} for i in range(3)
    ],
    "metadata": {"error": None},
}


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every part of a document."""
    if isinstance(value, dict):
        return [path, *(found for key, part in value.items() for found in places(part, (*path, key)))]
    if isinstance(value, list):
        return [path, *(found for i, part in enumerate(value) for found in places(part, (*path, i)))]
    return [path]


def spoiled(document: Any, path: tuple[Any, ...], value: Any, *, cut: bool) -> Any:
    """Return the document with one part replaced, or cut out."""
    if not path:
        return value
    result = copy.deepcopy(document)
    parent = result
    for step in path[:-1]:
        parent = parent[step]
    if cut:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    return result


def spoilt(document: Any) -> st.SearchStrategy[Any]:
    return st.builds(
        lambda path, value, cut: spoiled(document, path, value, cut=cut),
        st.sampled_from(places(document)),
        junk,
        st.booleans(),
    )


@settings(max_examples=150, deadline=None)
@given(spoilt(FUNDING))
def test_settlements_are_understood_or_refused(reply):
    try:
        rows = parse_funding(reply, "BTCUSDT")
    except FeedReplyError:
        pass
    else:
        assert all(abs(row.rate) < 1 and (row.mark_price is None or 0 < row.mark_price < math.inf) for row in rows)


@settings(max_examples=150, deadline=None)
@given(spoilt(BOOK))
def test_books_are_understood_or_refused(reply):
    try:
        book = parse_book(reply, n_levels=10, at_ms=MONDAY)
    except FeedReplyError:
        pass
    else:
        assert 0 < book.bid < book.ask < math.inf
        assert 0 < min(book.bid_quantity, book.ask_quantity) <= max(book.bid_quantity, book.ask_quantity) < math.inf


@settings(max_examples=150, deadline=None)
@given(spoilt(FEAR))
def test_days_are_understood_or_refused(reply):
    try:
        days = parse_fear_greed(reply)
    except FeedReplyError:
        pass
    else:
        assert all(0 <= day.value <= 100 for day in days)
