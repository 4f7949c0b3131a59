"""Funding rates: every recorded settlement is understood, and what is not one is refused by the field's name."""

from __future__ import annotations

import gzip
import json
from itertools import pairwise
from typing import Any

import pytest
import requests

from market.errors import FeedReplyError, FeedUnavailableError
from market.feeds import FeedConfig
from market.feeds.funding import PUBLIC_BASE, FundingFeed
from market.feeds.outside_replies import parse_funding
from market.feeds.pause import Pause
from market.feeds.rest import RestClient
from tests.market_builders import HOUR_MS, MONDAY, Answer, rest_server

PATH = "/fapi/v1/fundingRate"
GRID_MS = 8 * HOUR_MS


@pytest.fixture
def rest():
    with rest_server() as server:
        yield server


@pytest.fixture
def client(rest):
    with requests.Session() as session:
        yield RestClient(session, rest.url, pause=Pause())


def settlement(i: int = 0, **changed: Any) -> dict[str, Any]:
    """Return a settlement as Binance sends it, ``i`` after Monday's first."""
    row = {"symbol": "BTCUSDT", "fundingTime": MONDAY + i * GRID_MS, "fundingRate": "0.00010000", "markPrice": "9.5"}
    return {name: value for name, value in (row | changed).items() if value is not None}


def serve(rest, n: int) -> None:
    """Let the server answer as the exchange does: a page of what it has in the time that is asked for."""
    rows = [settlement(i) for i in range(n)]

    def page(query):
        start, end = int(query["startTime"]), int(query["endTime"])
        return Answer([row for row in rows if start <= row["fundingTime"] <= end][: int(query["limit"])])

    rest.answers[PATH] = page


@pytest.mark.parametrize(("base", "n"), [("BTC", 7_274), ("ETH", 7_040), ("BNB", 6_815)])
def test_every_recorded_settlement_is_understood(trading_data, base, n):
    recorded = (trading_data / "recorded" / f"fapi_v1_fundingRate_{base}USDT.json.gz").read_bytes()
    reply = json.loads(gzip.decompress(recorded))

    rows = parse_funding(reply, f"{base}USDT")

    assert len(rows) == n
    assert [row.at_ms for row in rows] == [item["fundingTime"] for item in reply]
    assert {round((later.at_ms - row.at_ms) / GRID_MS, 4) for row, later in pairwise(rows)} == {1.0}
    assert sum(row.mark_price is None for row in rows) == sum(item["markPrice"] == "" for item in reply) > 1000
    assert all(-0.01 < row.rate < 0.01 for row in rows)


def test_the_documented_replies_without_a_mark_price_are_understood(trading_data):
    recorded = trading_data / "recorded" / "nautilus" / "http_responses" / "http_futures_market_funding_rate.json"

    first, second = parse_funding(json.loads(recorded.read_text()), "BTCUSDT")

    assert (first.at_ms, first.rate, first.mark_price) == (1570608000000, -0.0375, None)
    assert second.rate == 0.0001


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"fundingRate": None}, "funding 0: fundingRate must be a number, was None"),
        ({"fundingRate": ""}, "fundingRate must be a number, was ''"),
        ({"fundingRate": True}, "fundingRate must be a number, was True"),
        ({"fundingRate": "NaN"}, "fundingRate must be a number"),
        ({"fundingRate": "inf"}, "fundingRate must be a number"),
        ({"fundingRate": [1]}, "fundingRate must be a number"),
        ({"fundingRate": 10**400}, "fundingRate must be a number"),
        ({"fundingRate": "1.5"}, "fundingRate must be a fraction"),
        ({"fundingTime": None}, "fundingTime must be a whole number, was None"),
        ({"fundingTime": "--5"}, "fundingTime must be a whole number, was '--5'"),
        ({"fundingTime": MONDAY + 0.5}, "fundingTime must be a whole number"),
        ({"fundingTime": MONDAY // 1000}, "fundingTime must be ms since 1970"),
        ({"fundingTime": MONDAY * 1000}, "fundingTime must be ms since 1970"),
        ({"markPrice": "0"}, "markPrice must be above 0"),
        ({"markPrice": "soon"}, "markPrice must be a number, was 'soon'"),
        ({"symbol": "ETHUSDT"}, "symbol must be BTCUSDT, was 'ETHUSDT'"),
        ({"symbol": None}, "symbol must be text"),
    ],
)
def test_what_is_no_settlement_is_refused_by_the_fields_name(changed, named):
    with pytest.raises(FeedReplyError, match=named):
        parse_funding([settlement(**changed)], "BTCUSDT")


@pytest.mark.parametrize("reply", [{"code": 0}, None, "x", [1], [None], [[]]])
def test_what_is_no_list_of_settlements_is_refused(reply):
    with pytest.raises(FeedReplyError, match=r"funding( 0)? must be (a list|an object)"):
        parse_funding(reply, "BTCUSDT")


@pytest.mark.parametrize("order", [[1, 0], [0, 0]])
def test_settlements_out_of_order_or_twice_are_refused(order):
    with pytest.raises(FeedReplyError, match="fundingTime must go one way"):
        parse_funding([settlement(i) for i in order], "BTCUSDT")


def test_fields_that_nobody_knows_and_numbers_that_are_no_text_are_fine():
    [row] = parse_funding([settlement(fundingRate=0.0002, markPrice=100, rateOfTomorrow="?")], "BTCUSDT")

    assert row == (MONDAY, 0.0002, 100.0)


def test_a_long_history_is_asked_for_in_pages(rest, client):
    serve(rest, 2_500)

    rows = FundingFeed(client, lambda: MONDAY + 2_499 * GRID_MS).readings("BTCUSDT", since_ms=MONDAY)

    assert [row.at_ms for row in rows] == [MONDAY + i * GRID_MS for i in range(2_500)]
    assert rest.count(PATH) == 3


def test_nothing_that_is_settled_after_our_time_comes(rest, client):
    serve(rest, 10)

    rows = FundingFeed(client, lambda: MONDAY + 4 * GRID_MS - 1).readings("BTCUSDT", since_ms=MONDAY)

    assert len(rows) == 4


def test_settlements_that_were_not_asked_for_are_refused(rest, client):
    rest.answers[PATH] = [Answer([settlement(0)])]

    with pytest.raises(FeedReplyError, match="others came"):
        FundingFeed(client, lambda: MONDAY + 4 * GRID_MS).readings("BTCUSDT", since_ms=MONDAY + 1)


def test_the_simulated_exchange_serves_its_futures_too_and_a_real_one_elsewhere(tmp_path):
    def base(**fields: Any) -> str:
        feed = FundingFeed.open(FeedConfig(now_ms=lambda: 0, run_dir=tmp_path, state_dir=tmp_path, **fields))
        feed.close()
        return feed.client.base

    (tmp_path / "binance.json").write_text(json.dumps({"host": "127.0.0.1", "port": 4321}))
    assert base(is_demo=True) == "http://127.0.0.1:4321"
    assert base(binance_base="http://127.0.0.1:99") == "http://127.0.0.1:99"
    assert base() == base(binance_base="https://api1.binance.com") == PUBLIC_BASE
    assert base(is_demo=True, binance_futures_base="https://fapi.example.com") == "https://fapi.example.com"


def test_the_demo_never_asks_the_real_exchange(tmp_path):
    with pytest.raises(FeedUnavailableError, match="no simulated Binance"):
        FundingFeed.open(FeedConfig(now_ms=lambda: 0, run_dir=tmp_path, state_dir=tmp_path, is_demo=True))
