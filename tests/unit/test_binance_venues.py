"""How a Binance broker is built from the settings, and what is refused before anything is asked."""

from __future__ import annotations

import json

import pytest

from execution.errors import BrokerUnavailableError, ConfigError
from execution.venue_fences import latch_venues, unlatch_venues, venue_fence
from execution.venues import connect_named, named_broker
from simulator.config import SimConfig
from simulator.exchange import ExchangeServer
from simulator.world import World
from tests.binance_harness import START

KEYS = ("binance_spot", "binance_futures")


@pytest.fixture(autouse=True)
def site(settings, tmp_path):
    settings.RUN_DIR = tmp_path / "run"
    settings.SAFETY_DIR = tmp_path / "safety"
    settings.BINANCE_BASE = settings.BINANCE_API_KEY = settings.BINANCE_API_SECRET = ""
    settings.TRADING_MODE = "demo"
    settings.RUN_DIR.mkdir()
    return settings


@pytest.fixture
def exchange(site, tmp_path):
    world = World(SimConfig(state_dir=tmp_path, start=START))
    server = ExchangeServer(world.market, world.clock)
    server.start()
    host, port = server.url.removeprefix("http://").split(":")
    (site.RUN_DIR / "binance.json").write_text(json.dumps({"host": host, "port": int(port), **server.published}))
    yield server
    server.stop()


@pytest.mark.parametrize("key", KEYS)
def test_the_demo_trades_on_the_simulated_exchange_with_its_own_key(exchange, site, key):
    site.BINANCE_API_KEY = site.BINANCE_API_SECRET = "x" * 64  # of the real one, which the demo never uses
    with named_broker(key, symbols=["BTCUSDT"], patient=False) as broker:
        account = broker.account()
    assert (account.balance, account.currency) == (100_000, "USDT")
    assert account.server.endswith(" simulated")


def test_a_demo_without_its_exchange_says_how_to_start_it():
    with pytest.raises(BrokerUnavailableError, match=r"no simulated Binance has published itself .*manage\.py up"):
        connect_named("binance_spot", symbols=["BTCUSDT"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"TRADING_MODE": "paper"}, "paper trading at Binance needs BINANCE_BASE"),
        ({"TRADING_MODE": "paper", "BINANCE_BASE": "https://api.binance.com"}, "paper trading at Binance needs"),
        ({"TRADING_MODE": "live"}, "needs BINANCE_API_KEY and BINANCE_API_SECRET"),
    ],
)
def test_real_orders_need_an_address_and_a_key(site, change, words):
    for name, value in change.items():
        setattr(site, name, value)
    with pytest.raises(ConfigError, match=words):
        connect_named("binance_spot", symbols=["BTCUSDT"])


def test_a_broker_that_nobody_knows_is_named_with_those_that_there_are():
    with pytest.raises(ConfigError, match="no broker 'moonshot'; known: mt5, binance_spot, binance_futures"):
        connect_named("moonshot")


def test_a_symbol_that_is_not_traded_there_is_refused_at_connecting(exchange):
    with pytest.raises(ConfigError, match="does not trade 'NOSUCH'"):
        connect_named("binance_spot", symbols=["NOSUCH"], patient=False)


def test_a_key_that_may_withdraw_is_refused(exchange):
    with exchange.venue.live() as venue:
        venue.books.set_setting("may withdraw", "true")
    with pytest.raises(ConfigError, match="may withdraw"):
        connect_named("binance_spot", symbols=["BTCUSDT"], patient=False)


def test_connecting_is_tried_again_with_growing_pauses_and_then_given_up(site, monkeypatch):
    (site.RUN_DIR / "binance.json").write_text(json.dumps({"host": "127.0.0.1", "port": 1, "key": "k", "secret": "s"}))
    slept = []
    monkeypatch.setattr("ops.clock.sleep", slept.append)
    with pytest.raises(BrokerUnavailableError):
        connect_named("binance_spot", symbols=["BTCUSDT"])
    assert slept == [1, 2, 4, 8]


def test_latching_the_venues_needs_no_venue():
    latch_venues()
    assert [venue_fence(key).read().latched for key in KEYS] == [True, True]
    unlatch_venues()
    assert [venue_fence(key).read().latched for key in KEYS] == [False, False]
