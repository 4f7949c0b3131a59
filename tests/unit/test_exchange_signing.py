"""Who may ask the simulated exchange: keys, signatures, moments, weights and order counts, over HTTP."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
import requests

from simulator.binance.refusals import WORDS
from simulator.binance.rows import Trade
from simulator.market import Market
from tests.exchange_clients import Signer, World, exchange_world, small_market

ACCOUNT, ORDER = "/api/v3/account", "/api/v3/order"


@pytest.fixture(scope="module")
def market() -> Market:
    return small_market()


@pytest.fixture
def world(market: Market, tmp_path) -> Iterator[World]:
    with exchange_world(market, tmp_path) as world:
        yield world


@pytest.fixture
def signer(world: World) -> Iterator[Signer]:
    with requests.Session() as session:
        yield Signer(world, session)


@pytest.mark.parametrize("path", [ACCOUNT, "/fapi/v3/account", "/sapi/v1/account/apiRestrictions"])
def test_who_signs_is_answered(signer, path):
    assert signer.ask(path).status_code == 200


def test_parameters_may_be_in_the_body(signer):
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
    reply = signer.ask(ORDER, "POST", body=True, **order)
    assert (reply.status_code, reply.json()["status"]) == (200, "FILLED")


@pytest.mark.parametrize(
    ("given", "status", "code", "words"),
    [
        ({"key": ""}, 401, -2014, "API-key format invalid."),
        ({"key": "abc"}, 401, -2014, "API-key format invalid."),
        ({"key": "a" * 64}, 401, -2015, "Invalid API-key, IP, or permissions for action."),
        ({"signature": ""}, 400, -1102, "Mandatory parameter 'signature' was not sent, was empty/null, or malformed."),
        ({"signature": "0" * 64}, 400, -1022, "Signature for this request is not valid."),
        (
            {"timestamp": None},
            400,
            -1102,
            "Mandatory parameter 'timestamp' was not sent, was empty/null, or malformed.",
        ),
        ({"timestamp": "soon"}, 400, -1100, ""),
        ({"recvWindow": 60_001}, 400, -1131, "recvWindow must be less than 60000."),
    ],
)
def test_a_request_that_is_signed_wrongly_is_refused(signer, given, status, code, words):
    told = signer.refusal(**given)
    assert told[:2] == (status, code)
    assert told[2] == words or not words


@pytest.mark.parametrize(
    ("off_ms", "window", "words"),
    [
        (-5000, None, ""),
        (-5001, None, "Timestamp for this request is outside of the recvWindow."),
        (-100, 99, "Timestamp for this request is outside of the recvWindow."),
        (-59_000, 60_000, ""),
        (999, None, ""),
        (1000, None, "Timestamp for this request was 1000ms ahead of the server's time."),
    ],
)
def test_a_request_has_to_be_signed_in_its_window(signer, off_ms, window, words):
    reply = signer.ask(ACCOUNT, timestamp=signer.clock.now_ms() + off_ms, recvWindow=window)
    assert (reply.status_code, reply.json().get("msg", "")) == ((400, words) if words else (200, ""))


def test_windows_are_of_real_time_however_fast_the_market_runs(signer):
    signer.clock.set_speed(60)
    assert signer.refusal(timestamp=signer.clock.now_ms() - 6000)[1] == -1021  # it stands
    signer.clock.resume()
    assert signer.ask(ACCOUNT, timestamp=signer.clock.now_ms() - 200_000).status_code == 200
    assert signer.refusal(timestamp=signer.clock.now_ms() - 400_000)[1] == -1021


def test_nothing_is_signed_away_by_a_get_without_a_key(world):
    assert requests.get(f"{world.server.url}{ACCOUNT}", timeout=5).json()["code"] == -2014


def test_each_market_counts_its_own_weight(signer):
    spot = signer.ask(ACCOUNT).headers
    futures = signer.ask("/fapi/v3/account").headers
    assert (spot["X-MBX-USED-WEIGHT-1M"], futures["X-MBX-USED-WEIGHT-1M"]) == ("20", "5")


def test_too_much_weight_is_refused_and_then_banned(signer):
    replies = [signer.ask("/fapi/v1/income") for _ in range(92)]  # 30 each of 2400
    assert [reply.status_code for reply in replies[:80]] == [200] * 80
    assert [reply.status_code for reply in replies[80:]] == [429] * 10 + [418] * 2
    assert 0 < int(replies[80].headers["Retry-After"]) <= 60
    assert "IP banned until" in replies[-1].json()["msg"]
    assert signer.ask(ACCOUNT).status_code == 200


def test_new_orders_are_counted_and_bounded(signer):
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.001"}
    replies = [signer.ask(ORDER, "POST", **order) for _ in range(101)]
    assert replies[4].headers["X-MBX-ORDER-COUNT-10S"] == "5"
    assert replies[4].headers["X-MBX-ORDER-COUNT-1D"] == "5"
    assert [reply.status_code for reply in replies[-2:]] == [200, 429]
    assert replies[-1].json() == {
        "code": -1015,
        "msg": "Too many new orders; current limit is 100 orders per 10 SECOND.",
    }
    assert replies[-1].headers["Retry-After"] == "10"


def test_the_words_are_those_that_users_have_pasted(trading_data):
    recorded = json.loads((trading_data / "recorded" / "error_bodies_from_threads.json").read_text())["errors"]
    pasted = {(one["code"], one["msg"]) for one in recorded if one["code"] in (-2010, -1021, -1013, -4003, -1106)}
    ours = {(code, words) for code, words in WORDS.values()}
    filled = {(-1013, f"Filter failure: {name}") for name in ("LOT_SIZE", "MIN_NOTIONAL", "PRICE_FILTER")}
    filled |= {(-1106, "Parameter 'reduceOnly' sent when not required.")}
    assert {one for one in pasted - ours - filled if "%s" not in one[1]} == set()


def test_the_secret_is_readable_for_its_owner_only(world, tmp_path):
    published = world.server.published
    assert (len(published["key"]), len(published["secret"])) == (64, 64)
    assert stat.S_IMODE((tmp_path / "exchange.sqlite3").stat().st_mode) == 0o600


def test_orders_that_come_at_once_are_booked_one_by_one(world):
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.001"}

    def trade(_: int) -> list[int]:
        with requests.Session() as session:
            return [Signer(world, session).ask(ORDER, "POST", **order).status_code for _ in range(10)]

    with ThreadPoolExecutor(4) as pool:
        statuses = [status for told in pool.map(trade, range(4)) for status in told]
    assert statuses == [200] * 40
    assert len(world.venue.books.select(Trade)) == 40
    assert world.venue.books.balance("spot", "BTC") == 40 * Decimal("0.000999")
