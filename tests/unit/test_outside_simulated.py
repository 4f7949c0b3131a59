"""The simulated world's funding and mood: the same for everybody, made from the past, in the shape of the real ones."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
import requests

from market.errors import FeedReplyError
from market.feeds.depth import DepthFeed
from market.feeds.fear_greed import FearGreedFeed
from market.feeds.funding import FundingFeed
from market.feeds.pause import Pause
from market.feeds.rest import RestClient
from simulator.clock import SimClock
from simulator.exchange import ExchangeServer
from simulator.exchange_outside import (
    DAY_MS,
    FUNDING_MS,
    fear_greed,
    funding_rate,
    mark_price,
    premium,
)
from simulator.hourbars import HOUR_MS
from simulator.market import Market
from simulator.synthetic import START_MS

NOW = START_MS + 90 * DAY_MS + 7 * HOUR_MS + 25 * 60_000
LAST = NOW // FUNDING_MS * FUNDING_MS


@pytest.fixture(scope="module")
def market() -> Market:
    return Market.synthetic(seed=11, names=["BTCUSD", "ETHUSD"], end_ms=START_MS + 100 * DAY_MS)


@pytest.fixture
def client(market, tmp_path):
    clock = SimClock(tmp_path / "clock.json", end_ms=market.end_ms)
    clock.create(start_ms=NOW, speed=60, mode="synthetic")
    server = ExchangeServer(market, clock)
    server.start()
    with requests.Session() as session:
        yield RestClient(session, server.url, pause=Pause())
    server.stop()


def test_the_funding_feed_reads_exactly_the_worlds_settlements(market, client):
    rows = FundingFeed(client, lambda: NOW).readings("BTCUSDT", since_ms=START_MS)

    settled = np.arange(START_MS + 3 * FUNDING_MS, NOW, FUNDING_MS)  # from the second day on
    assert [row.at_ms // FUNDING_MS * FUNDING_MS for row in rows] == settled.tolist()
    assert all(0 <= row.at_ms % FUNDING_MS < 1000 for row in rows)
    assert [row.rate for row in rows] == [funding_rate(market, "BTCUSD", at_ms) for at_ms in settled.tolist()]


def test_a_later_start_brings_the_rest_of_the_same_settlements(client):
    feed = FundingFeed(client, lambda: NOW)
    whole = feed.readings("BTCUSDT", since_ms=START_MS)

    for since in (whole[5].at_ms, whole[5].at_ms + 1, whole[-1].at_ms, whole[-1].at_ms + 1):
        assert feed.readings("BTCUSDT", since_ms=since) == [row for row in whole if row.at_ms >= since]


def test_without_a_start_the_last_settlements_come(client):
    rows = client.get("/fapi/v1/fundingRate", {"symbol": "BTCUSDT", "limit": 3})

    assert [row["fundingTime"] // FUNDING_MS * FUNDING_MS for row in rows] == [
        LAST - 2 * FUNDING_MS,
        LAST - FUNDING_MS,
        LAST,
    ]


def test_rates_are_as_a_funding_market_has_them(market):
    rates = np.array([funding_rate(market, "BTCUSD", START_MS + DAY_MS + i * FUNDING_MS) for i in range(250)])

    assert 0.4 < (rates == 0.0001).mean() < 0.95  # the interest, unless the premium is far from it
    assert (rates < 0).any()
    assert np.abs(rates).max() <= 0.003


def test_nothing_that_is_said_knows_what_comes(market):
    longer = Market.synthetic(seed=11, names=["BTCUSD", "ETHUSD"], end_ms=START_MS + 200 * DAY_MS)

    for day in (5, 40, 90):
        at_ms = START_MS + day * DAY_MS
        cut = Market.synthetic(seed=11, names=["BTCUSD", "ETHUSD"], end_ms=at_ms)
        for whole in (market, longer):
            assert funding_rate(whole, "BTCUSD", at_ms) == funding_rate(cut, "BTCUSD", at_ms)
            assert fear_greed(whole, at_ms) == fear_greed(cut, at_ms)


def test_another_seed_is_another_world(market):
    other = Market.synthetic(seed=12, names=["BTCUSD", "ETHUSD"], end_ms=START_MS + 100 * DAY_MS)

    moments = [START_MS + i * DAY_MS for i in range(40, 60)]
    assert [premium(market, "BTCUSD", t) for t in moments] != [premium(other, "BTCUSD", t) for t in moments]
    assert [fear_greed(market, t) for t in moments] != [fear_greed(other, t) for t in moments]


def test_the_mood_follows_prices_and_stays_in_its_range(client):
    days = FearGreedFeed(client, lambda: NOW).readings("", since_ms=START_MS)

    assert [day.at_ms for day in days] == [START_MS + i * DAY_MS for i in range(91)]
    assert all(1 <= day.value <= 99 for day in days)
    assert len({day.label for day in days}) >= 3


def test_labels_are_those_of_the_recorded_index(client, trading_data):
    recorded = (trading_data / "recorded" / "alternative_me_fng_data_to_2026-04.json.gz").read_bytes()
    real = {int(day["value"]): day["value_classification"] for day in json.loads(gzip.decompress(recorded))}
    ours = FearGreedFeed(client, lambda: NOW).readings("", since_ms=START_MS)

    assert {day.label for day in ours if day.value in real and real[day.value] != day.label} == set()


def test_one_day_is_the_newest_with_its_countdown(client):
    [today] = client.get("/fng/")["data"]

    assert int(today["timestamp"]) * 1000 == NOW // DAY_MS * DAY_MS
    assert int(today["time_until_update"]) == (24 - 7) * 3600 - 25 * 60


def test_the_premium_index_is_near_the_spot_price(market, client):
    said = client.get("/fapi/v1/premiumIndex", {"symbol": "ETHUSDT"})

    quote = market.quote("ETHUSD", NOW)
    assert float(said["indexPrice"]) == pytest.approx((quote.bid + quote.ask) / 2, abs=1e-8)
    assert float(said["markPrice"]) == pytest.approx(mark_price(market, "ETHUSD", NOW), abs=1e-8)
    assert abs(float(said["markPrice"]) / float(said["indexPrice"]) - 1) < 0.01
    assert said["nextFundingTime"] == LAST + FUNDING_MS


def test_the_book_has_two_sides_and_its_imbalance_changes(client):
    [book] = DepthFeed(client, lambda: NOW).readings("BTCUSDT", since_ms=0)

    assert book.bid < book.ask
    assert -1 < (book.bid_quantity - book.ask_quantity) / (book.bid_quantity + book.ask_quantity) < 1


@pytest.mark.parametrize(
    ("query", "said"),
    [({}, "-1102"), ({"symbol": "DOGEUSDT"}, "-1121"), ({"symbol": "BTCUSDT", "limit": "x"}, "-1100")],
)
def test_bad_requests_are_refused_as_the_exchange_does(client, query, said):
    with pytest.raises(FeedReplyError, match=said):
        client.get("/fapi/v1/fundingRate", query)
