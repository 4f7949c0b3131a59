"""Faults of the simulated Binance's public part, as its HTTP shows them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from simulator.clock import SimClock
from simulator.exchange import ExchangeServer
from simulator.faults import FaultPlan, Rule, read_log, switch_off, switch_on
from simulator.hourbars import HOUR_MS
from simulator.market import Market
from simulator.synthetic import START_MS

NOW = START_MS + 60 * 24 * HOUR_MS + 25 * 60_000
KLINES = {"symbol": "BTCUSDT", "interval": "1h", "limit": 8}


class Exchange:
    """A client of one exchange, whose faults a test chooses."""

    def __init__(self, server: ExchangeServer, session: requests.Session) -> None:
        self.server, self.session = server, session
        self.sim_dir = server.clock.path.parent

    def meets(self, fault: str, lasts_s: float | None = None, **parameters: Any) -> None:
        rule = Rule(fault=fault, times=1, lasts_s=lasts_s, parameters=parameters)
        switch_on(self.sim_dir, FaultPlan(rules=(rule,)))

    def get(self, path: str = "ping", **query: Any) -> requests.Response:
        return self.session.get(f"{self.server.url}/api/v3/{path}", params=query, timeout=5, allow_redirects=False)

    def klines(self) -> list[list[Any]]:
        return self.get("klines", **KLINES).json()

    def with_and_without(self, fault: str, **parameters: Any) -> tuple[list[list[Any]], list[list[Any]]]:
        """Return the klines as they are, and as the fault shows them."""
        usual = self.klines()
        self.meets(fault, **parameters)
        return usual, self.klines()


@pytest.fixture(scope="module")
def market() -> Market:
    return Market.synthetic(seed=11, names=["BTCUSD"], end_ms=START_MS + 70 * 24 * HOUR_MS)


@pytest.fixture
def exchange(market: Market, tmp_path) -> Iterator[Exchange]:
    clock = SimClock(tmp_path / "clock.json", end_ms=market.end_ms)
    clock.create(start_ms=NOW, speed=1.0, mode="synthetic")
    server = ExchangeServer(market, clock)
    server.start()
    with requests.Session() as session:
        yield Exchange(server, session)
    server.stop()


@pytest.mark.parametrize(
    ("fault", "parameters", "status", "code"),
    [
        ("B02", {"body": "unknown"}, 503, -1000),
        ("B02", {"body": "unavailable"}, 503, -1000),
        ("B02", {"body": "internal"}, 503, -1001),
        ("B02", {"body": "throttled"}, 503, -1008),
        ("B02", {"body": "html"}, 503, None),
        ("B03", {"status": 500}, 500, None),
        ("B03", {"status": 504}, 504, None),
        ("B04", {"code": -1000}, 500, -1000),
        ("B04", {"code": -1006}, 500, -1006),
        ("B04", {"code": -1007}, 504, -1007),
        ("B04", {"code": -1016}, 408, -1016),
        ("B08", {}, 429, -1003),
        ("B09", {}, 418, -1003),
        ("B36", {"status": 451}, 451, 0),
        ("B36", {"status": 403}, 403, None),
        ("B40", {}, 410, -9999),
    ],
)
def test_a_request_can_be_refused(exchange, fault, parameters, status, code):
    exchange.meets(fault, lasts_s=0, **parameters)
    reply = exchange.get("time")

    assert reply.status_code == status
    assert (reply.json()["code"] if code is not None else None) == code
    if code is None:
        assert reply.text.startswith("<html>")
    assert exchange.get("time").status_code == 200
    assert [(line["id"], line["call"]) for line in read_log(exchange.sim_dir)] == [(fault, "GET /api/v3/time")]


@pytest.mark.parametrize(("fault", "after"), [("B08", "2"), ("B09", "120")])
def test_a_refusal_by_weight_says_how_long_to_stay_away(exchange, fault, after):
    exchange.meets(fault)
    assert exchange.get("klines", **KLINES).headers["Retry-After"] == after


def test_a_ban_goes_on_until_it_is_over(exchange):
    exchange.meets("B09")
    assert [exchange.get("time").status_code for _ in range(3)] == [418] * 3
    exchange.server.clock.step(NOW + 601_000)
    assert exchange.get("time").status_code == 200


def test_a_request_can_get_no_answer(exchange):
    exchange.meets("B01", seconds=0.05)
    with pytest.raises(requests.ConnectionError):
        exchange.get("time")
    assert exchange.get("time").status_code == 200


def test_the_weight_can_be_used_by_others(exchange):
    exchange.meets("B10", used=5900)
    reply = exchange.get("klines", **KLINES)

    assert reply.headers["X-MBX-USED-WEIGHT-1M"] == "5900"
    assert len(reply.json()) == 8


@pytest.mark.parametrize(("fault", "parameters", "off"), [("B11", {}, 2000), ("B12", {}, -5000)])
def test_the_servers_time_can_be_off(exchange, fault, parameters, off):
    exchange.meets(fault, **parameters)
    assert exchange.get("time").json() == {"serverTime": NOW + off}


def test_rules_and_status_can_change(exchange):
    exchange.meets("B14", tickSize="5.0", minNotional="50.0")
    [symbol] = exchange.get("exchangeInfo").json()["symbols"]
    filters = {one["filterType"]: one for one in symbol["filters"]}
    assert (filters["PRICE_FILTER"]["tickSize"], filters["NOTIONAL"]["minNotional"]) == ("5.0", "50.0")

    exchange.meets("B34", status="CANCEL_ONLY")
    [symbol] = exchange.get("exchangeInfo").json()["symbols"]
    assert symbol["status"] == "CANCEL_ONLY"
    switch_off(exchange.sim_dir)
    assert exchange.get("exchangeInfo").json()["symbols"][0]["status"] == "TRADING"


def test_klines_can_be_missing(exchange):
    usual, shown = exchange.with_and_without("B30", n=3, back=2)
    assert shown == [*usual[:3], *usual[6:]]


def test_the_last_kline_can_have_other_prices(exchange):
    usual, shown = exchange.with_and_without("B31", factor=2.0)
    assert shown[:-1] == usual[:-1]
    assert [float(x) for x in shown[-1][1:5]] == pytest.approx([2 * float(x) for x in usual[-1][1:5]])
    assert shown[-1][5:] == usual[-1][5:]


@pytest.mark.parametrize(("how", "rows"), [("twice", [*range(8), 6, 7]), ("swapped", [*range(6), 7, 6])])
def test_klines_can_be_repeated_or_swapped(exchange, how, rows):
    usual, shown = exchange.with_and_without("B32", how=how)
    assert shown == [usual[i] for i in rows]


def test_klines_can_be_flat_or_late(exchange):
    usual, shown = exchange.with_and_without("B33", how="flat", n=2)
    assert shown[:-2] == usual[:-2]
    for row, before in zip(shown[-2:], usual[-2:], strict=True):
        assert set(row[1:5]) == {usual[-3][4]}
        assert float(row[5]) == row[8] == 0
        assert (row[0], row[6]) == (before[0], before[6])

    _, shown = exchange.with_and_without("B33", how="ends early", n=2)
    assert shown == usual[:-2]


def test_a_body_can_be_cut_off(exchange):
    exchange.meets("B38", how="truncated")
    with pytest.raises(json.JSONDecodeError):
        json.loads(exchange.get("klines", **KLINES).text)
    exchange.meets("B38", how="short")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        exchange.get("klines", **KLINES)


def test_a_body_can_have_other_types_and_fields(exchange):
    usual, shown = exchange.with_and_without("B38", how="wrong types")
    assert shown == {"data": usual}
    _, shown = exchange.with_and_without("B38", how="more fields")
    assert shown == [[*row, "more"] for row in usual]


def test_a_request_can_be_sent_elsewhere(exchange):
    exchange.meets("B39", location="http://127.0.0.1:9/else")
    reply = exchange.get("time")
    assert (reply.status_code, reply.headers["Location"]) == (302, "http://127.0.0.1:9/else")
