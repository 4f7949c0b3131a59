"""The simulated Binance over HTTP: its replies, its refusals and its limits."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import requests

from simulator.clock import SimClock
from simulator.exchange import ExchangeServer
from simulator.exchange_routes import Route
from simulator.hourbars import HOUR_MS
from simulator.market import Market
from simulator.ratelimit import WeightLimiter
from simulator.synthetic import START_MS

NOW = START_MS + 60 * 24 * HOUR_MS + 7 * HOUR_MS + 25 * 60_000
HOUR = NOW // HOUR_MS * HOUR_MS


class Mono:
    """Real seconds that a test moves; a new minute begins at 600."""

    def __init__(self) -> None:
        self.s = 600.0

    def __call__(self) -> float:
        return self.s


class Exchange:
    """A client of one exchange."""

    def __init__(self, server: ExchangeServer, session: requests.Session, mono: Mono) -> None:
        self.server, self.session, self.mono = server, session, mono

    def get(self, path: str, **query: Any) -> requests.Response:
        return self.session.get(f"{self.server.url}/api/v3/{path}", params=query, timeout=5)

    def json(self, path: str, **query: Any) -> Any:
        reply = self.get(path, **query)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def refusal(self, path: str, **query: Any) -> tuple[int, int]:
        reply = self.get(path, **query)
        assert set(reply.json()) == {"code", "msg"}
        return reply.status_code, reply.json()["code"]


@pytest.fixture(scope="module")
def market() -> Market:
    return Market.synthetic(seed=11, names=["BTCUSD", "ETHUSD", "ADAUSD"], end_ms=START_MS + 100 * 24 * HOUR_MS)


@pytest.fixture
def exchange(market: Market, tmp_path) -> Iterator[Exchange]:
    clock = SimClock(tmp_path / "clock.json", end_ms=market.end_ms)
    clock.create(start_ms=NOW, speed=60, mode="synthetic")
    mono = Mono()
    server = ExchangeServer(market, clock, mono=mono)
    server.start()
    with requests.Session() as session:
        yield Exchange(server, session, mono)
    server.stop()


def test_it_tells_the_market_time(exchange):
    assert exchange.json("time") == {"serverTime": NOW}
    assert exchange.json("ping") == {}


def test_the_last_klines_end_with_the_forming_one(exchange):
    klines = exchange.json("klines", symbol="BTCUSDT", interval="1h")
    assert len(klines) == 500
    assert klines[-1][0] == HOUR
    assert klines[-1][6] > NOW
    assert [b[0] - a[0] for a, b in pairwise(klines)] == [HOUR_MS] * 499


@pytest.mark.parametrize(("limit", "n"), [(3, 3), (1000, 1000), (5000, 1000)])
def test_no_page_is_longer_than_a_thousand(exchange, limit, n):
    assert len(exchange.json("klines", symbol="BTCUSDT", interval="1h", limit=limit)) == n


def test_pages_from_a_start_meet_without_overlap(exchange):
    first = exchange.json("klines", symbol="ETHUSDT", interval="15m", startTime=HOUR - 10 * HOUR_MS, limit=20)
    second = exchange.json("klines", symbol="ETHUSDT", interval="15m", startTime=first[-1][6] + 1, limit=20)
    both = exchange.json("klines", symbol="ETHUSDT", interval="15m", startTime=HOUR - 10 * HOUR_MS, limit=40)
    assert first + second == both


def test_start_and_end_are_both_included(exchange):
    klines = exchange.json("klines", symbol="BTCUSDT", interval="1h", startTime=HOUR - 3 * HOUR_MS, endTime=HOUR)
    assert [k[0] for k in klines] == [HOUR - i * HOUR_MS for i in (3, 2, 1, 0)]


def test_an_end_alone_gives_the_last_ones_before_it(exchange):
    klines = exchange.json("klines", symbol="BTCUSDT", interval="1h", endTime=HOUR - 2 * HOUR_MS - 1, limit=2)
    assert [k[0] for k in klines] == [HOUR - 4 * HOUR_MS, HOUR - 3 * HOUR_MS]
    assert exchange.json("klines", symbol="BTCUSDT", interval="1h", endTime=HOUR, limit=1)[0][0] == HOUR


def test_klines_are_what_the_market_serves(exchange, market):
    klines = exchange.json("klines", symbol="ADAUSDT", interval="4h", startTime=START_MS, limit=10)
    assert [tuple(k) for k in klines] == market.klines("ADAUSDT", 14_400, START_MS, START_MS + 40 * HOUR_MS, now_ms=NOW)


def test_a_start_before_the_market_begins_with_its_first_bar(exchange):
    assert exchange.json("klines", symbol="BTCUSDT", interval="1d", startTime=0, limit=1)[0][0] == START_MS


def test_a_start_after_now_is_an_empty_page(exchange):
    assert exchange.json("klines", symbol="BTCUSDT", interval="1h", startTime=NOW + HOUR_MS) == []


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("klines", {"symbol": "DOGEUSDT", "interval": "1h"}, -1121),
        ("klines", {"symbol": "BTCUSD", "interval": "1h"}, -1121),  # the broker's name, not the exchange's
        ("klines", {"symbol": "btcusdt", "interval": "1h"}, -1100),
        ("klines", {"interval": "1h"}, -1102),
        ("klines", {"symbol": "BTCUSDT"}, -1102),
        ("klines", {"symbol": "BTCUSDT", "interval": ""}, -1102),
        ("klines", {"symbol": "BTCUSDT", "interval": "7m"}, -1120),
        ("klines", {"symbol": "BTCUSDT", "interval": "1h", "startTime": "yesterday"}, -1100),
        ("klines", {"symbol": "BTCUSDT", "interval": "1h", "startTime": "-5"}, -1100),
        ("klines", {"symbol": "BTCUSDT", "interval": "1h", "limit": "0"}, -1130),
        ("klines", {"symbol": "BTCUSDT", "interval": "1h", "limit": "ten"}, -1100),
        ("trades", {}, -1102),
        ("aggTrades", {"symbol": "BTCUSDT", "fromId": "x"}, -1100),
        ("ticker/price", {"symbol": "NONE"}, -1121),
        ("exchangeInfo", {"symbols": "BTCUSDT"}, -1100),
        ("exchangeInfo", {"symbols": '["BTCUSDT","NONE"]'}, -1121),
        ("depth", {"symbol": "BTCUSDT", "limit": "many"}, -1100),
    ],
)
def test_bad_requests_are_refused_with_binances_codes(exchange, path, query, code):
    assert exchange.refusal(path, **query) == (400, code)


def test_an_unknown_path_is_not_found(exchange):
    assert exchange.get("nothing").status_code == 404


def test_exchange_info_lists_the_rules(exchange):
    info = exchange.json("exchangeInfo")
    assert info["serverTime"] == NOW
    assert {limit["rateLimitType"] for limit in info["rateLimits"]} == {"REQUEST_WEIGHT", "ORDERS", "RAW_REQUESTS"}
    assert [s["symbol"] for s in info["symbols"]] == ["BTCUSDT", "ETHUSDT", "ADAUSDT"]
    bitcoin = info["symbols"][0]
    assert (bitcoin["status"], bitcoin["baseAsset"], bitcoin["quoteAsset"]) == ("TRADING", "BTC", "USDT")
    filters = {f["filterType"]: f for f in bitcoin["filters"]}
    assert {"PRICE_FILTER", "LOT_SIZE", "NOTIONAL", "MARKET_LOT_SIZE"} <= set(filters)
    assert filters["PRICE_FILTER"]["tickSize"] == "0.01000000"
    assert filters["LOT_SIZE"]["stepSize"] == "0.00001000"  # as on Binance


def test_exchange_info_of_chosen_symbols(exchange):
    one = exchange.json("exchangeInfo", symbol="ADAUSDT")["symbols"]
    assert [s["symbol"] for s in one] == ["ADAUSDT"]
    two = exchange.json("exchangeInfo", symbols='["ETHUSDT","BTCUSDT"]')["symbols"]
    assert [s["symbol"] for s in two] == ["ETHUSDT", "BTCUSDT"]


def test_the_ticker_is_the_last_bid(exchange, market):
    price = exchange.json("ticker/price", symbol="BTCUSDT")
    assert price == {"symbol": "BTCUSDT", "price": f"{market.quote('BTCUSD', NOW).bid:.8f}"}
    assert [p["symbol"] for p in exchange.json("ticker/price")] == ["BTCUSDT", "ETHUSDT", "ADAUSDT"]


def test_the_last_trades_end_now_and_grow_in_id(exchange, market):
    trades = exchange.json("trades", symbol="BTCUSDT", limit=1000)
    assert len(trades) == 1000
    assert trades[-1]["time"] <= NOW
    assert [b["id"] - a["id"] for a, b in pairwise(trades)] == [1] * 999
    assert float(trades[-1]["price"]) == market.quote("BTCUSD", NOW).bid


def test_the_trades_of_an_hour_add_up_to_its_kline(exchange):
    hour = HOUR - HOUR_MS
    kline = exchange.json("klines", symbol="BTCUSDT", interval="1h", startTime=hour, limit=1)[0]
    query = {"symbol": "BTCUSDT", "startTime": hour, "endTime": hour + HOUR_MS - 1, "limit": 1000}
    trades = exchange.json("aggTrades", **query)
    prices = [float(t["p"]) for t in trades]
    assert [prices[0], max(prices), min(prices), prices[-1]] == [float(x) for x in kline[1:5]]
    assert sum(float(t["q"]) for t in trades) == pytest.approx(float(kline[5]), abs=1e-4)


def test_aggregate_trades_go_on_from_an_id(exchange):
    first = exchange.json("aggTrades", symbol="ETHUSDT", startTime=HOUR - 2 * HOUR_MS, limit=400)
    following = exchange.json("aggTrades", symbol="ETHUSDT", fromId=first[-1]["a"] + 1, limit=10)
    assert [t["a"] for t in following] == [first[-1]["a"] + 1 + i for i in range(10)]
    assert exchange.json("aggTrades", symbol="ETHUSDT", fromId=first[0]["a"], limit=400) == first


def test_the_book_is_sorted_around_the_spread(exchange, market):
    book = exchange.json("depth", symbol="BTCUSDT", limit=20)
    bids, asks = ([float(price) for price, _ in book[side]] for side in ("bids", "asks"))
    quote = market.quote("BTCUSD", NOW)
    assert (bids[0], asks[0]) == (quote.bid, quote.ask)
    assert len(bids) == len(asks) == 20
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)


def test_every_reply_tells_the_weight_used(exchange):
    used = [
        int(exchange.get(path, **query).headers["X-MBX-USED-WEIGHT-1M"])
        for path, query in (
            ("ping", {}),
            ("klines", {"symbol": "BTCUSDT", "interval": "1h", "limit": 1}),
            ("klines", {"symbol": "NONE", "interval": "1h"}),  # a refused request weighs too
            ("exchangeInfo", {}),
            ("trades", {"symbol": "BTCUSDT", "limit": 1}),
            ("depth", {"symbol": "BTCUSDT", "limit": 500}),
        )
    ]
    assert used == [1, 3, 5, 25, 50, 75]


def test_beyond_the_weight_it_says_wait_and_a_new_minute_forgives(exchange):
    exchange.server.limiter.charge(5999)
    assert exchange.get("ping").status_code == 200
    exchange.mono.s += 20
    refused = exchange.get("ping")
    assert refused.status_code == 429
    assert refused.json()["code"] == -1003
    assert refused.headers["Retry-After"] == "40"
    exchange.mono.s += 40
    assert exchange.get("ping").status_code == 200


def test_a_client_that_does_not_wait_is_banned_and_longer_each_time(exchange):
    exchange.server.limiter.charge(6000)
    replies = [exchange.get("ping") for _ in range(11)]
    assert [r.status_code for r in replies] == [429] * 10 + [418]
    assert replies[-1].headers["Retry-After"] == "120"
    assert "banned until" in replies[-1].json()["msg"]
    exchange.mono.s += 119
    assert exchange.get("ping").status_code == 418
    exchange.mono.s += 1
    assert exchange.get("ping").status_code == 200
    exchange.server.limiter.charge(6000)
    assert [exchange.get("ping") for _ in range(10)][-1].headers["Retry-After"] == "240"


def test_a_limiter_counts_from_the_minute_not_from_the_first_request():
    mono = Mono()
    limiter = WeightLimiter(mono, limit=10)
    mono.s += 59
    assert limiter.charge(10).status == 200
    assert limiter.charge(1).retry_after_s == 1
    mono.s += 1
    assert limiter.charge(10).status == 200


def test_the_handler_table_takes_further_endpoints(exchange):
    extra = {("GET", "/api/v3/account"): Route(lambda query: {"makerCommission": 10}, 20)}
    exchange.server.routes = {**exchange.server.routes, **extra}
    assert exchange.json("account") == {"makerCommission": 10}
