"""The exchange's time is asked for once while it closes the same bars, and again when ours has closed another."""

from __future__ import annotations

import pytest
import requests

from market.feeds.binance import BinanceFeed
from market.feeds.pause import Pause
from market.feeds.rest import RestClient
from tests.market_builders import HOUR_MS, MONDAY, Answer, rest_server, serve_klines

TIME = "/api/v3/time"
MINUTE_MS = 60_000


class Ours:
    """Our clock, which a test sets."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def rest():
    with rest_server() as server:
        yield server


@pytest.fixture
def ours():
    return Ours(MONDAY + 5 * HOUR_MS + MINUTE_MS)


@pytest.fixture
def feed(rest, ours):
    with requests.Session() as session:
        yield BinanceFeed(RestClient(session, rest.url, pause=Pause()), ours)


def newest(feed, interval="1h") -> int:
    return (int(feed.klines("BTCUSDT", interval, start_ms=MONDAY).open_ms[-1]) - MONDAY) // HOUR_MS


def test_many_symbols_ask_for_the_time_once(rest, feed, ours):
    serve_klines(rest, MONDAY, MONDAY + 9 * HOUR_MS, now_ms=MONDAY + 5 * HOUR_MS + 1)

    assert [newest(feed) for _ in range(4)] == [4] * 4
    ours.now_ms += 58 * MINUTE_MS
    assert newest(feed) == 4
    assert rest.count(TIME) == 1


def test_a_bar_that_ours_has_closed_since_is_asked_about(rest, feed, ours):
    serve_klines(rest, MONDAY, MONDAY + 9 * HOUR_MS, now_ms=MONDAY + 5 * HOUR_MS + 1)
    rest.answers[TIME] = [Answer({"serverTime": MONDAY + hour * HOUR_MS + 1}) for hour in (5, 6)]
    assert newest(feed) == 4

    ours.now_ms += HOUR_MS

    assert newest(feed) == 5
    assert rest.count(TIME) == 2


def test_an_exchange_that_is_behind_is_asked_again_until_it_has_closed_the_bar(rest, feed):
    serve_klines(rest, MONDAY, MONDAY + 9 * HOUR_MS, now_ms=0)
    late, there = MONDAY + 5 * HOUR_MS - 1, MONDAY + 5 * HOUR_MS
    rest.answers[TIME] = [Answer({"serverTime": moment}) for moment in (late, late, there)]

    assert [newest(feed) for _ in range(4)] == [3, 3, 4, 4]
    assert rest.count(TIME) == 3


def test_what_is_known_for_hours_is_not_enough_for_minutes(rest, feed):
    serve_klines(rest, MONDAY, MONDAY + 9 * HOUR_MS, now_ms=MONDAY + 5 * HOUR_MS + 1)
    newest(feed)

    feed.klines("BTCUSDT", "1m", start_ms=MONDAY + 5 * HOUR_MS)

    assert rest.count(TIME) == 2  # ours has closed the minute of 05:00, which the exchange had just begun
