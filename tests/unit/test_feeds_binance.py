"""Klines over HTTP: paged, closed, polite, and strict about what a reply is."""

from __future__ import annotations

import gzip
import json
import socket

import numpy as np
import pytest
import requests

from market.errors import FeedLimitedError, FeedReplyError, FeedUnavailableError
from market.feeds import FeedConfig
from market.feeds.binance import PUBLIC_BASE, BinanceFeed
from market.feeds.binance_replies import parse_klines, parse_symbols, parse_time, parse_trades, parse_weight_limit
from market.feeds.pause import Pause
from market.feeds.rest import BACK_OFF_S, RestClient, open_session, require_safe
from market.quality import check_rows
from tests.market_builders import HOUR_MS, MONDAY, Answer, kline, rest_server, serve_klines

KLINES, TIME = "/api/v3/klines", "/api/v3/time"


class Wall:
    """Real time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_750_000_010.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def rest():
    with rest_server() as server:
        yield server


@pytest.fixture
def wall():
    return Wall()


@pytest.fixture
def client(rest, wall):
    with requests.Session() as session:
        yield RestClient(session, rest.url, pause=Pause(), wall_s=wall, sleep=wall.sleep)


def feed_at(client, now_ms) -> BinanceFeed:
    return BinanceFeed(client, lambda: now_ms)


def test_pages_are_joined_and_the_forming_kline_is_dropped(rest, client):
    now = MONDAY + 2500 * HOUR_MS + 60_000
    serve_klines(rest, MONDAY, MONDAY + 2500 * HOUR_MS, now_ms=now)

    raw = feed_at(client, now).klines("BTCUSDT", "1h", start_ms=MONDAY)

    assert raw.open_ms.tolist() == [MONDAY + i * HOUR_MS for i in range(2500)]
    assert rest.count(KLINES) == 3
    assert raw["taker_buy_base_volume"][0] == 4.0


def test_the_exchanges_time_decides_when_ours_is_ahead(rest, client):
    serve_klines(rest, MONDAY, MONDAY + 9 * HOUR_MS, now_ms=MONDAY + 5 * HOUR_MS)

    raw = feed_at(client, MONDAY + 20 * HOUR_MS).klines("BTCUSDT", "1h", start_ms=MONDAY)

    assert raw.open_ms[-1] == MONDAY + 4 * HOUR_MS


def test_our_time_decides_when_the_exchanges_is_ahead(rest, client):
    serve_klines(rest, MONDAY, MONDAY + 9 * HOUR_MS, now_ms=MONDAY + 20 * HOUR_MS)

    raw = feed_at(client, MONDAY + 5 * HOUR_MS).klines("BTCUSDT", "1h", start_ms=MONDAY)

    assert raw.open_ms[-1] == MONDAY + 4 * HOUR_MS


def test_the_time_is_asked_before_the_klines(rest, client):
    serve_klines(rest, MONDAY, MONDAY, now_ms=MONDAY + HOUR_MS)

    feed_at(client, MONDAY + HOUR_MS).klines("BTCUSDT", "1h", start_ms=MONDAY)

    assert [path for path, _ in rest.asked[:2]] == [TIME, KLINES]


def test_a_hole_at_the_end_of_a_page_ends_nothing(rest, client):
    now = MONDAY + 30 * HOUR_MS
    serve_klines(rest, MONDAY, MONDAY + 9 * HOUR_MS, now_ms=now)
    first = rest.answers[KLINES]

    def with_hole(query):
        later = [kline(MONDAY + 20 * HOUR_MS)] if int(query["startTime"]) <= MONDAY + 20 * HOUR_MS else []
        return first(query) if int(query["startTime"]) <= MONDAY else Answer(later)

    rest.answers[KLINES] = with_hole

    raw = feed_at(client, now).klines("BTCUSDT", "1h", start_ms=MONDAY)

    assert len(raw) == 11


def test_looking_back_asks_from_where_it_says(rest, client):
    now = MONDAY + 100 * HOUR_MS + 1
    serve_klines(rest, MONDAY, MONDAY + 100 * HOUR_MS, now_ms=now)

    assert len(feed_at(client, now).get_recent_data("BTCUSDT", "1h", 24)) == 24
    days = feed_at(client, now).fetch_historical_data("BTCUSDT", "1h", 2)
    assert days.open_ms.tolist()[0] == MONDAY + 53 * HOUR_MS  # the first that opens in the last 48 hours
    assert days.open_ms.tolist()[-1] == MONDAY + 99 * HOUR_MS


def test_klines_that_were_not_asked_for_are_refused(rest, client):
    rest.answers[TIME] = [Answer({"serverTime": MONDAY + 9 * HOUR_MS})]
    rest.answers[KLINES] = [Answer([kline(MONDAY - HOUR_MS)])]

    with pytest.raises(FeedReplyError, match="others came"):
        feed_at(client, MONDAY + 9 * HOUR_MS).klines("BTCUSDT", "1h", start_ms=MONDAY)


def test_no_klines_are_no_rows(rest, client):
    rest.answers[TIME] = [Answer({"serverTime": MONDAY})]
    rest.answers[KLINES] = [Answer([])]

    raw = feed_at(client, MONDAY).klines("BTCUSDT", "1h", start_ms=MONDAY - HOUR_MS)

    assert len(raw) == 0
    assert "taker_buy_base_volume" in raw.columns


@pytest.mark.parametrize("status", [429, 418])
def test_a_limit_waits_as_long_as_it_says_and_goes_on(rest, client, wall, status):
    rest.answers[TIME] = [
        Answer({"code": -1003, "msg": "slow"}, status, {"Retry-After": "7"}),
        Answer({"serverTime": MONDAY}),
    ]

    assert feed_at(client, MONDAY).server_ms() == MONDAY
    assert wall.slept == [7.0]


def test_a_long_limit_is_the_callers_decision_and_nobody_asks_before_it_is_over(rest, client, wall):
    rest.answers[TIME] = [
        Answer({"code": -1003, "msg": "banned"}, 418, {"Retry-After": "600"}),
        Answer({"serverTime": MONDAY}),
    ]

    with pytest.raises(FeedLimitedError) as first:
        client.get(TIME)
    with pytest.raises(FeedLimitedError, match="another 600 s"):
        client.get(TIME)

    assert first.value.retry_after_s == 600
    assert rest.count(TIME) == 1
    wall.now += 601
    assert client.get(TIME) == {"serverTime": MONDAY}


def test_a_limit_that_lasts_ends_after_three_tries(rest, client, wall):
    rest.answers[TIME] = [Answer({"code": -1003, "msg": "slow"}, 429, {"Retry-After": "2"})]

    with pytest.raises(FeedLimitedError):
        client.get(TIME)
    assert rest.count(TIME) == 3
    assert wall.slept == [2.0, 2.0]


def test_the_firewalls_page_pauses_everybody(rest, client):
    rest.answers[TIME] = [Answer(b"<html>403 ERROR Request blocked.</html>", 403)]

    with pytest.raises(FeedLimitedError, match="HTTP 403: no requests for 300 s"):
        client.get(TIME)


def test_a_pause_holds_for_other_processes(tmp_path):
    Pause(tmp_path / "pause.json").until(1000.0)

    other = Pause(tmp_path / "pause.json")

    assert other.left_s(990.0) == 10.0
    assert other.left_s(1001.0) == 0.0


def test_a_damaged_pause_stops_nobody(tmp_path):
    (tmp_path / "pause.json").write_text("{")

    assert Pause(tmp_path / "pause.json").left_s(0.0) == 0.0


def test_used_weight_above_our_share_waits_for_the_next_minute(rest, client, wall):
    rest.answers[TIME] = [Answer({"serverTime": 1}, headers={"X-MBX-USED-WEIGHT-1M": "4200"})]

    client.get(TIME)
    assert wall.slept == []
    client.get(TIME)
    assert wall.slept == [60 - 1_750_000_010.0 % 60]


def test_used_weight_below_our_share_waits_for_nothing(rest, client, wall):
    rest.answers[TIME] = [Answer({"serverTime": 1}, headers={"X-MBX-USED-WEIGHT-1M": "4199"})]

    client.get(TIME)
    client.get(TIME)
    assert wall.slept == []


def test_the_exchange_says_how_much_weight_there_is(rest, client):
    limits = [
        {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 61000},
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
    ]
    rest.answers["/api/v3/exchangeInfo"] = [Answer({"rateLimits": limits, "symbols": []})]

    feed_at(client, MONDAY).exchange_info("BTCUSDT", "ETHUSDT")

    assert client.weight_limit == 1200
    assert rest.asked[0][1] == {"symbols": '["BTCUSDT","ETHUSDT"]'}


def test_failures_of_the_other_side_are_tried_again(rest, client, wall):
    rest.answers[TIME] = [Answer({}, 503), Answer(b"<html>bad gateway</html>", 502), Answer({"serverTime": MONDAY})]

    assert feed_at(client, MONDAY).server_ms() == MONDAY
    assert wall.slept == list(BACK_OFF_S)


def test_failures_that_last_are_unavailable(rest, client):
    rest.answers[TIME] = [Answer({}, 500)]

    with pytest.raises(FeedUnavailableError, match="HTTP 500"):
        client.get(TIME)
    assert rest.count(TIME) == 3


def test_a_machine_that_is_not_there_is_unavailable(wall):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with requests.Session() as session, pytest.raises(FeedUnavailableError, match="ConnectionError"):
        RestClient(session, f"http://127.0.0.1:{port}", pause=Pause(), wall_s=wall, sleep=wall.sleep).get(TIME)


def test_a_redirect_is_not_followed(rest, client):
    rest.answers[TIME] = [Answer({}, 302, {"Location": f"{rest.url}{KLINES}"})]

    with pytest.raises(FeedReplyError, match="redirected"):
        client.get(TIME)
    assert rest.count(KLINES) == 0


def test_a_refusal_gives_the_exchanges_own_words(rest, client):
    rest.answers[KLINES] = [Answer({"code": -1121, "msg": "Invalid symbol."}, 400)]

    with pytest.raises(FeedReplyError, match=r"HTTP 400: -1121 Invalid symbol\."):
        client.get(KLINES)


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"", b'{"a": '])
def test_a_reply_that_is_no_json_is_named(rest, client, body):
    rest.answers[TIME] = [Answer(body)]

    with pytest.raises(FeedReplyError, match="must be JSON"):
        client.get(TIME)


@pytest.mark.parametrize(
    "base", ["http://api.binance.com", "ftp://127.0.0.1", "api.binance.com", "http://127.0.0.1.evil.com"]
)
def test_an_address_that_is_neither_https_nor_here_is_refused(base):
    with pytest.raises(FeedUnavailableError, match="https://"):
        require_safe(base)


def test_https_and_this_machine_are_allowed():
    assert require_safe(f"{PUBLIC_BASE}/") == PUBLIC_BASE
    assert require_safe("http://localhost:9001") == "http://localhost:9001"


def test_all_processes_count_their_requests_in_one_file(rest, tmp_path):
    rest.answers[TIME] = [Answer({"serverTime": 1})]
    sessions = [open_session(rest.url, tmp_path / "limits.sqlite3") for _ in range(2)]
    try:
        for session in sessions:
            session.get(rest.url + TIME, timeout=5)
        [bucket] = [next(iter(sessions[0].limiter.bucket_factory.buckets.values()))]
        assert bucket.count() == 2
        assert not sessions[0].trust_env
    finally:
        for session in sessions:
            session.close()


def test_our_own_limit_is_a_limit_and_no_failure(rest, wall):
    class Full(requests.Session):
        def send(self, request, **kwargs):
            raise requests.exceptions.Timeout("Rate limit not cleared within max_delay=60s")

    with Full() as session, pytest.raises(FeedLimitedError, match="our own limit"):
        RestClient(session, rest.url, pause=Pause(), wall_s=wall, sleep=wall.sleep).get(TIME)


def test_the_demo_asks_the_published_exchange_and_never_the_real_one(rest, tmp_path):
    config = FeedConfig(now_ms=lambda: MONDAY, run_dir=tmp_path, state_dir=tmp_path, is_demo=True)
    with pytest.raises(FeedUnavailableError, match=r"manage\.py simulator"):
        BinanceFeed.open(config)

    host, port = rest.url.removeprefix("http://").split(":")
    (tmp_path / "binance.json").write_text(json.dumps({"host": host, "port": int(port)}))
    rest.answers[TIME] = [Answer({"serverTime": MONDAY})]
    feed = BinanceFeed.open(config)
    try:
        assert feed.server_ms() == MONDAY
    finally:
        feed.close()


def test_outside_the_demo_the_public_address_is_asked(tmp_path):
    feed = BinanceFeed.open(FeedConfig(now_ms=lambda: 0, run_dir=tmp_path, state_dir=tmp_path))
    try:
        assert feed.client.base == "https://api.binance.com"
    finally:
        feed.close()


@pytest.mark.parametrize(
    ("reply", "complaint"),
    [
        ({"code": 1}, "klines must be a list"),
        ([1], "kline 0 must be a list of at least 11 fields, was 1"),
        ([kline(MONDAY), kline(MONDAY)[:6]], "kline 1 must be a list of at least 11"),
        ([[*kline(MONDAY)[:4], "abc", *kline(MONDAY)[5:]]], "kline 0: close must be a number, was 'abc'"),
        ([[*kline(MONDAY)[:4], None, *kline(MONDAY)[5:]]], "kline 0: close must be a number, was None"),
        ([[*kline(MONDAY)[:4], "NaN", *kline(MONDAY)[5:]]], "kline 0: close must be a number, was 'NaN'"),
        ([[*kline(MONDAY)[:4], [1], *kline(MONDAY)[5:]]], r"kline 0: close must be a number, was \[1\]"),
        ([kline(MONDAY * 1000)], "open times must be ms since 1970"),
        ([kline(MONDAY // 1000)], "open times must be ms since 1970"),
    ],
)
def test_klines_of_another_shape_are_named(reply, complaint):
    with pytest.raises(FeedReplyError, match=complaint):
        parse_klines(reply)


def test_numbers_may_be_text_or_numbers_and_more_fields_may_come():
    row = [*kline(MONDAY), "something new"]
    row[1], row[8] = 100.0, "42"

    raw = parse_klines([row])

    assert raw["open"][0] == 100.0
    assert raw["n_trades"][0] == 42.0


@pytest.mark.parametrize(
    ("parse", "reply", "complaint"),
    [
        (parse_time, [], "time must be an object"),
        (parse_time, {}, "serverTime must be a whole number, was None"),
        (parse_time, {"serverTime": "soon"}, "was 'soon'"),
        (parse_time, {"serverTime": 17}, "must be ms since 1970, was 17"),
        (parse_trades, {}, "trades must be a list"),
        (parse_trades, [{"id": 1, "time": 2, "price": "x"}], "trade 0: price must be a number, was 'x'"),
        (parse_trades, [{"id": True}], "trade 0: id must be a whole number, was True"),
        (parse_symbols, {"symbols": [{"symbol": 5}]}, "symbol 0: symbol must be text, was 5"),
        (parse_symbols, {}, "exchangeInfo symbols must be a list, was None"),
        (parse_weight_limit, {"rateLimits": 1}, "exchangeInfo rateLimits must be a list, was 1"),
    ],
)
def test_replies_of_another_shape_are_named(parse, reply, complaint):
    with pytest.raises(FeedReplyError, match=complaint):
        parse(reply)


def test_recorded_klines_of_the_real_exchange_are_understood_and_good(trading_data):
    with gzip.open(trading_data / "recorded" / "api_v3_klines_BTCUSDT_1d_2021-01_2026-04.json.gz") as stream:
        rows = json.load(stream)

    raw = parse_klines(rows)

    assert len(raw) == 1946
    assert raw["close"][0] == float(rows[0][4])
    assert raw["close_ms"][-1] == rows[-1][6]
    assert check_rows(raw, interval="1d").reasons == ()


def test_recorded_replies_of_the_real_exchange_are_understood(trading_data):
    folder = trading_data / "recorded" / "nautilus" / "http_responses"

    def load(name):
        return json.loads((folder / f"http_spot_market_{name}.json").read_text())

    assert len(parse_klines(load("klines"))) == len(load("klines"))
    first, trade = load("trades")[0], parse_trades(load("trades"))[0]
    assert (trade.trade_id, trade.price, trade.is_buyer_maker) == (
        first["id"],
        float(first["price"]),
        first["isBuyerMaker"],
    )
    symbols = parse_symbols(load("exchange_info"))
    assert all(symbol.is_trading == (symbol.status == "TRADING") for symbol in symbols.values())
    assert parse_weight_limit(load("exchange_info")) == 1200
    assert parse_time(load("time")) == load("time")["serverTime"]


def test_recorded_daily_klines_agree_with_the_hourly_ones(trading_data):
    import pandas as pd

    with gzip.open(trading_data / "recorded" / "api_v3_klines_BTCUSDT_1d_2021-01_2026-04.json.gz") as stream:
        days = parse_klines(json.load(stream))
    hours = pd.read_parquet(trading_data / "klines_1h_full" / "BTCUSDT_1h_full_2024-11_2025-05.parquet")
    by_day = hours.groupby(hours["open_time"] // (24 * HOUR_MS) * 24 * HOUR_MS)

    at = np.isin(days.open_ms, by_day["high"].max().index)
    np.testing.assert_array_equal(days["high"][at], by_day["high"].max())
    np.testing.assert_allclose(days["volume"][at], by_day["volume"].sum(), rtol=1e-12)
