"""Looking back asks the exchange for what the database lacks and for nothing else: the server counts its requests."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta

import numpy as np
import pytest
import requests

from market.errors import FeedUnavailableError
from market.feeds.binance import BinanceFeed
from market.feeds.pause import Pause
from market.feeds.rest import RestClient
from market.intervals import DAY_MS, INTERVAL_MS
from market.lookback import BELIEVED_FOR, fetch_historical_data, get_recent_data
from market.models import Kline, KlineHole, QuarantinedRow
from ops import clock
from tests.market_builders import MONDAY, Answer, StoppedClock, kline, rest_server

pytestmark = pytest.mark.django_db

KLINES, TIME = "/api/v3/klines", "/api/v3/time"
INTERVALS = ["1m", "5m", "15m", "1h"]
NOW = "2025-06-09T00:00:45"
NOW_MS = MONDAY + 7 * DAY_MS + 45_000


class Exchange:
    """An exchange whose klines of one interval open at given places, and that counts what it is asked."""

    def __init__(self, rest, feed):
        self.rest, self.feed = rest, feed
        self.absent: set[int] = set()
        self.since = 0

    def serve(self, interval: str) -> None:
        length = INTERVAL_MS[interval]

        def page(query):
            start = max(int(query["startTime"]), self.since)
            now = int(clock.market_now().timestamp() * 1000)
            opens = range(-(-start // length) * length, min(int(query["endTime"]), now) + 1, length)
            there = [at for at in opens if at not in self.absent]
            return Answer([kline(at, length=length) for at in there[: int(query["limit"])]])

        self.rest.answers[KLINES] = page
        self.rest.answers[TIME] = lambda query: Answer({"serverTime": int(clock.market_now().timestamp() * 1000)})

    def asked(self) -> int:
        """Return how often klines were asked for since the last look."""
        n = self.rest.count(KLINES)
        self.rest.asked.clear()
        return n


@pytest.fixture(autouse=True)
def now():
    with clock.use(StoppedClock(NOW)) as stopped:
        yield stopped


@pytest.fixture
def exchange():
    with rest_server() as rest, requests.Session() as session:
        client = RestClient(session, rest.url, pause=Pause(), sleep=lambda seconds: None)
        yield Exchange(rest, BinanceFeed(client, lambda: int(clock.market_now().timestamp() * 1000)))


@pytest.mark.parametrize("interval", INTERVALS)
def test_a_second_call_asks_for_nothing_and_a_new_bar_for_one_page(exchange, now, interval):
    exchange.serve(interval)
    length = INTERVAL_MS[interval]

    first = get_recent_data("ETHUSDT", interval, 300, feed=exchange.feed)
    assert exchange.asked() == 1
    again = get_recent_data("ETHUSDT", interval, 300, feed=exchange.feed)
    assert exchange.asked() == 0
    now.pass_by(timedelta(milliseconds=length))
    later = get_recent_data("ETHUSDT", interval, 300, feed=exchange.feed)

    assert exchange.asked() == 1
    assert first.equals(again)
    newest = NOW_MS // length * length - length
    assert str(first.index.tz) == "UTC"
    assert first.index.as_unit("ms").asi8.tolist() == [newest - i * length for i in range(299, -1, -1)]
    assert later.index.as_unit("ms").asi8.tolist()[-1] == newest + length
    assert Kline.objects.filter(symbol="ETHUSDT", interval=interval).count() == 301


@pytest.mark.parametrize(("interval", "pages"), [("1m", 3), ("5m", 1), ("15m", 1), ("1h", 1)])
def test_days_of_history_come_in_pages_of_a_thousand_once(exchange, interval, pages):
    exchange.serve(interval)

    frame = fetch_historical_data("ETHUSDT", interval, 2, feed=exchange.feed)

    assert exchange.asked() == pages
    assert len(frame) == 2 * DAY_MS // INTERVAL_MS[interval] - 1  # the first one opened 45 s before that
    assert frame.attrs["gaps"] == []
    fetch_historical_data("ETHUSDT", interval, 1, feed=exchange.feed)
    get_recent_data("ETHUSDT", interval, 20, feed=exchange.feed)
    assert exchange.asked() == 0


def test_nobody_is_connected_when_nothing_is_missing(exchange, settings, tmp_path):
    exchange.serve("15m")
    get_recent_data("ETHUSDT", "15m", 50, feed=exchange.feed)
    settings.RUN_DIR, settings.BINANCE_BASE = tmp_path, ""  # where no exchange has published itself

    assert len(get_recent_data("ETHUSDT", "15m", 50)) == 50
    with pytest.raises(FeedUnavailableError):
        get_recent_data("ETHUSDT", "15m", 51)


def test_what_the_exchange_does_not_have_is_asked_for_once_and_told_as_gaps(exchange):
    exchange.serve("15m")
    quarter = INTERVAL_MS["15m"]
    halt = [MONDAY + DAY_MS + i * quarter for i in range(4)]
    exchange.absent.update(halt)

    frame = fetch_historical_data("ETHUSDT", "15m", 7, feed=exchange.feed)
    exchange.asked()
    again = fetch_historical_data("ETHUSDT", "15m", 7, feed=exchange.feed)

    assert exchange.asked() == 0
    assert again.equals(frame)
    [gap] = again.attrs["gaps"]
    assert (gap.after_ms, gap.n_missing) == (halt[0] - quarter, 4)
    hole = KlineHole.objects.get()
    assert (hole.first_ms, hole.last_ms) == (halt[0], halt[-1])


def test_the_time_before_a_listing_is_asked_for_once(exchange):
    exchange.serve("1h")
    exchange.since = MONDAY + 5 * DAY_MS

    for expected in (1, 0):
        assert len(fetch_historical_data("NEWUSDT", "1h", 7, feed=exchange.feed)) == 48
        assert exchange.asked() == expected


def test_a_hole_of_another_interval_or_symbol_hides_nothing(exchange):
    for symbol, interval in [("ETHUSDT", "5m"), ("BTCUSDT", "15m")]:
        KlineHole.objects.create(symbol=symbol, interval=interval, first_ms=MONDAY, last_ms=NOW_MS)
    exchange.serve("15m")

    assert len(get_recent_data("ETHUSDT", "15m", 10, feed=exchange.feed)) == 10


def test_what_is_missing_at_the_end_is_asked_for_again_for_it_may_come_late(exchange):
    exchange.serve("15m")
    newest = NOW_MS // INTERVAL_MS["15m"] * INTERVAL_MS["15m"] - INTERVAL_MS["15m"]
    exchange.absent.add(newest)

    assert len(get_recent_data("ETHUSDT", "15m", 10, feed=exchange.feed)) == 9
    exchange.absent.clear()

    assert len(get_recent_data("ETHUSDT", "15m", 10, feed=exchange.feed)) == 10
    assert not KlineHole.objects.exists()


def test_a_hole_is_believed_for_a_week(exchange, now):
    exchange.serve("1h")
    hour = MONDAY + 3 * DAY_MS
    exchange.absent.add(hour)
    fetch_historical_data("ETHUSDT", "1h", 7, feed=exchange.feed)
    exchange.absent.clear()
    KlineHole.objects.update(asked_at=now.now - BELIEVED_FOR)
    exchange.asked()

    frame = fetch_historical_data("ETHUSDT", "1h", 7, feed=exchange.feed)

    assert exchange.asked() == 1
    assert frame.attrs["gaps"] == []


def test_a_hole_that_is_still_there_is_believed_again(exchange, now):
    exchange.serve("1h")
    exchange.absent.add(MONDAY + 3 * DAY_MS)
    fetch_historical_data("ETHUSDT", "1h", 7, feed=exchange.feed)
    KlineHole.objects.update(asked_at=now.now - BELIEVED_FOR)
    exchange.asked()

    for expected in (1, 0):
        fetch_historical_data("ETHUSDT", "1h", 7, feed=exchange.feed)
        assert exchange.asked() == expected
    assert KlineHole.objects.count() == 1


def test_rows_that_are_no_klines_go_to_quarantine_and_are_not_asked_for_again(exchange):
    exchange.serve("1h")
    good = exchange.rest.answers[KLINES]
    hour = MONDAY + 3 * DAY_MS

    def with_a_bad_one(query):
        rows = json.loads(good(query).body)
        return Answer([[*row[:2], "1", *row[3:]] if row[0] == hour else row for row in rows])  # high below low

    exchange.rest.answers[KLINES] = with_a_bad_one

    frame = fetch_historical_data("ETHUSDT", "1h", 7, feed=exchange.feed)
    exchange.asked()
    fetch_historical_data("ETHUSDT", "1h", 7, feed=exchange.feed)

    assert exchange.asked() == 0
    assert QuarantinedRow.objects.get().open_ms == hour
    assert [gap.n_missing for gap in frame.attrs["gaps"]] == [1]


def test_a_pause_that_the_exchange_asks_for_is_kept_and_the_klines_come(exchange):
    exchange.serve("15m")
    good = exchange.rest.answers[KLINES]
    answers = iter([Answer({"code": -1003, "msg": "slow"}, 429, {"Retry-After": "1"})])
    exchange.rest.answers[KLINES] = lambda query: next(answers, None) or good(query)

    assert len(get_recent_data("ETHUSDT", "15m", 10, feed=exchange.feed)) == 10
    assert exchange.asked() == 2


def test_the_recorded_klines_of_a_real_exchange_are_stored_as_they_are(exchange, trading_data, now):
    recorded = (trading_data / "recorded" / "api_v3_klines_BTCUSDT_1d_2021-01_2026-04.json.gz").read_bytes()
    rows = json.loads(gzip.decompress(recorded))
    now.now = now.now.replace(year=2026, month=4, day=30)
    exchange.serve("1d")

    def page(query):
        wanted = [row for row in rows if int(query["startTime"]) <= row[0] <= int(query["endTime"])]
        return Answer(wanted[: int(query["limit"])])

    exchange.rest.answers[KLINES] = page
    frame = fetch_historical_data("BTCUSDT", "1d", 1_500, feed=exchange.feed)

    assert exchange.asked() == 2
    real = {row[0]: row for row in rows}
    opens = frame.index.as_unit("ms").asi8.tolist()
    assert len(opens) == 1_499
    np.testing.assert_array_equal(frame["close"], [float(real[at][4]) for at in opens])
    np.testing.assert_array_equal(frame["taker_buy_base_volume"], [float(real[at][9]) for at in opens])
