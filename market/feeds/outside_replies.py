"""Take apart what is said of funding, order books and sentiment: strict about what we use, indifferent to the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from market.errors import FeedReplyError
from market.feeds.binance_replies import EPOCH_MS
from market.feeds.fields import as_list, as_mapping, as_number, float_field, int_field, shown, text_field
from market.feeds.outside import BookReading, FundingReading, SentimentReading


def parse_funding(reply: Any, symbol: str) -> list[FundingReading]:
    """Return the settlements of one symbol in the order of the reply, which has to be that of time."""
    rows = [_funding(as_mapping(item, f"funding {i}"), symbol, f"funding {i}") for i, item in _listed(reply, "funding")]
    _require_order([row.at_ms for row in rows], "fundingTime")
    return rows


def parse_book(reply: Any, *, n_levels: int, at_ms: int) -> BookReading:
    """Return the best levels of both sides; ``at_ms`` is when the book was read.

    A book whose sides are empty, out of order or crossed is no book: FeedReplyError.
    """
    book = as_mapping(reply, "depth")
    bids, asks = _side(book, "bids")[:n_levels], _side(book, "asks")[:n_levels]
    if any(later[0] >= best[0] for best, later in pairwise(bids)):
        raise FeedReplyError("depth: bids must fall from the best one")
    if any(later[0] <= best[0] for best, later in pairwise(asks)):
        raise FeedReplyError("depth: asks must rise from the best one")
    if bids[0][0] >= asks[0][0]:
        raise FeedReplyError(f"depth: the best of bids must be below that of asks, was {bids[0][0]} and {asks[0][0]}")
    bid_quantity, ask_quantity = (
        as_number(sum(quantity for _, quantity in side), f"depth: quantities of {name}")
        for name, side in (("bids", bids), ("asks", asks))
    )
    return BookReading(at_ms, bids[0][0], asks[0][0], bid_quantity, ask_quantity, n_levels)


def parse_fear_greed(reply: Any) -> list[SentimentReading]:
    """Return the days of an answer of the fear & greed index, oldest first; it lists them newest first, in seconds."""
    answer = as_mapping(reply, "fear & greed")
    failure = as_mapping(answer.get("metadata") or {}, "fear & greed: metadata").get("error")
    if failure:
        raise FeedReplyError(f"fear & greed was refused: {shown(failure)}")
    days = [_sentiment(as_mapping(item, f"day {i}"), f"day {i}") for i, item in _listed(answer.get("data"), "data")]
    days.reverse()
    _require_order([day.at_ms for day in days], "timestamp")
    return days


def _listed(value: Any, what: str) -> Sequence[tuple[int, Any]]:
    return list(enumerate(as_list(value, what)))


def _funding(fields: Mapping[str, Any], symbol: str, what: str) -> FundingReading:
    named = text_field(fields, "symbol", what)
    if named != symbol:
        raise FeedReplyError(f"{what}: symbol must be {symbol}, was {shown(named)}")
    rate = float_field(fields, "fundingRate", what)
    if abs(rate) >= 1:
        raise FeedReplyError(f"{what}: fundingRate must be a fraction between -1 and 1, was {rate}")
    return FundingReading(_moment(fields, "fundingTime", what), rate, _mark_price(fields, what))


def _mark_price(fields: Mapping[str, Any], what: str) -> float | None:
    """Return the mark price; older settlements send an empty text, and the oldest replies no field."""
    if fields.get("markPrice", "") == "":
        return None
    price = float_field(fields, "markPrice", what)
    if price <= 0:
        raise FeedReplyError(f"{what}: markPrice must be above 0, was {price}")
    return price


def _side(book: Mapping[str, Any], name: str) -> list[tuple[float, float]]:
    levels = [_level(level, f"depth: {name}[{i}]") for i, level in _listed(book.get(name), f"depth: {name}")]
    if not levels:
        raise FeedReplyError(f"depth: {name} must not be empty")
    return levels


def _level(level: Any, what: str) -> tuple[float, float]:
    pair = as_list(level, what)
    if len(pair) < 2:
        raise FeedReplyError(f"{what} must be a price and a quantity, was {shown(level)}")
    price, quantity = (as_number(value, what) for value in pair[:2])
    if price <= 0 or quantity <= 0:
        raise FeedReplyError(f"{what} must be above 0, was {shown(level)}")
    return price, quantity


def _sentiment(fields: Mapping[str, Any], what: str) -> SentimentReading:
    value = int_field(fields, "value", what)
    if not 0 <= value <= 100:
        raise FeedReplyError(f"{what}: value must be from 0 to 100, was {value}")
    at_ms = _moment(fields, "timestamp", what, unit_ms=1000)
    return SentimentReading(at_ms, value, text_field(fields, "value_classification", what))


def _moment(fields: Mapping[str, Any], name: str, what: str, *, unit_ms: int = 1) -> int:
    moment = int_field(fields, name, what)
    if not EPOCH_MS[0] <= moment * unit_ms <= EPOCH_MS[1]:
        raise FeedReplyError(f"{what}: {name} must be {'ms' if unit_ms == 1 else 'seconds'} since 1970, was {moment}")
    return moment * unit_ms


def _require_order(moments: Sequence[int], name: str) -> None:
    for earlier, later in pairwise(moments):
        if later <= earlier:
            raise FeedReplyError(f"{name} must go one way through time, {later} came after {earlier}")
