"""A simulated exchange and stock ccxt clients that trade on it, for tests."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import ccxt
import numpy as np
import pytest
import requests
from requests.adapters import HTTPAdapter

from simulator.binance.futures_api import FuturesApi, futures_routes
from simulator.binance.futures_settings_api import FuturesSettingsApi, settings_routes
from simulator.binance.params import Params
from simulator.binance.rows import Movement, Order, Position, Trade
from simulator.binance.spot_api import SpotApi, spot_routes
from simulator.binance.venue import Venue
from simulator.clock import SimClock
from simulator.exchange import ExchangeServer
from simulator.exchange_errors import BinanceError
from simulator.hourbars import HOUR_MS
from simulator.market import Market
from simulator.synthetic import START_MS
from tests.sim_builders import MORNING, HandClock, ScriptedMarket, make_symbol, minute_path

NOW = START_MS + 60 * 24 * HOUR_MS + 7 * HOUR_MS + 25 * 60_000
HOSTS = ("https://api.binance.com", "https://fapi.binance.com", "https://dapi.binance.com")


class ToTheSimulator(HTTPAdapter):
    """Carries what is sent to Binance's hosts to the simulated exchange; the client is none the wiser."""

    def __init__(self, url: str) -> None:
        self._url = url
        super().__init__()

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request to the other address."""
        host = next(host for host in HOSTS if request.url.startswith(host))
        request.url = self._url + request.url.removeprefix(host)
        return super().send(request, *args, **kwargs)


class World:
    """An exchange whose time a test moves, and what it sees of prices and books."""

    def __init__(self, server: ExchangeServer, clock: SimClock) -> None:
        self.server, self.clock, self.venue = server, clock, server.venue

    def client(self, kind: str, **fields: Any) -> ccxt.Exchange:
        """Return a stock ccxt client, its hosts' traffic carried to the exchange."""
        keys = {"apiKey": self.server.credentials.key, "secret": self.server.credentials.secret}
        client = getattr(ccxt, kind)({"enableRateLimit": False} | keys | fields)
        for host in HOSTS:
            client.session.mount(host, ToTheSimulator(self.server.url))
        client.nonce = self.clock.now_ms
        return client

    def pass_hours(self, hours: float) -> None:
        """Let the market live on."""
        self.clock.step(self.clock.now_ms() + round(hours * HOUR_MS))
        self.venue.catch_up()

    def bid(self, symbol: str = "BTCUSDT") -> Decimal:
        """Return the best bid now, from the market itself."""
        quote = self.venue.market.quote(f"{symbol[:3]}USD", self.clock.now_ms())
        return Decimal(repr(quote.bid))

    def spread(self, symbol: str = "BTCUSDT") -> Decimal:
        """Return ask minus bid, from the market itself."""
        spec = self.venue.market.symbols[f"{symbol[:3]}USD"]
        return Decimal(spec.spread_points).scaleb(-spec.digits)

    def hours_until(self, level: Decimal, *, above: bool) -> int:
        """Return after how many whole hours the bid has been at a level, within a month; from the path itself."""
        start = self.clock.now_ms()
        for day in range(30):
            first = start + day * 24 * HOUR_MS
            ticks = self.venue.market.ticks("BTCUSD", first, first + 24 * HOUR_MS)
            reached = ticks["bid"] >= float(level) if above else ticks["bid"] <= float(level)
            if reached.any():
                return int((ticks["time_ms"][reached.argmax()] - start) // HOUR_MS) + 1
        raise LookupError(f"the bid is not at {level} within a month")


@dataclass
class HandMarket(ScriptedMarket):
    """Ticks that are given, as the exchange needs them; its hour bars stand at the first price."""

    seed: int = 1

    def name_of(self, binance_symbol: str) -> str:
        return {spec.binance_symbol: name for name, spec in self.symbols.items()}[binance_symbol]

    def hour_bars(self, symbol: str) -> Any:
        points = np.array([round(self.bids[symbol][0][1] * 100)])
        bars = {"start_ms": self.start_ms, "open": points, "close": points, "digits": 2}
        return SimpleNamespace(**bars, row_at_or_before=lambda t_ms: 0)


@dataclass
class Hand:
    """An exchange without a server, over ticks of one a minute that a test writes down; the spread is 10."""

    market: HandMarket
    clock: Any
    path: Path | str = ":memory:"
    balance: float = 100_000.0

    def __post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        """Begin, or go on as after a restart."""
        self.venue = Venue(self.market, self.clock, self.path, balance=self.balance)
        spot, futures = spot_routes(SpotApi(self.venue)), futures_routes(FuturesApi(self.venue))
        settings = settings_routes(FuturesSettingsApi(self.venue))
        self.routes = {" ".join(key): route for key, route in (spot | futures | settings).items()}

    def ask(self, name: str, **given: Any) -> Any:
        """Answer a request as if it had been signed."""
        params = Params({key: str(value) for key, value in given.items()})
        with self.venue.live():
            return self.routes[name].handle(params)

    def refused(self, name: str, **given: Any) -> tuple[int, str]:
        """Return the code and the words of a refusal, which changes nothing."""
        before = self.held()
        with pytest.raises(BinanceError) as caught:
            self.ask(name, **given)
        assert self.held() == before
        return caught.value.code, str(caught.value)

    def held(self) -> tuple[Any, ...]:
        """Return all that is in the books."""
        books = self.venue.books
        return tuple(books.select(kind) for kind in (Order, Trade, Movement, Position))

    def spot(self, kind: str, side: str, quantity: object = "1", **given: Any) -> Any:
        """Place a spot order."""
        given = {"symbol": "BTCUSDT", "type": kind, "side": side, "newOrderRespType": "FULL"} | given
        return self.ask("POST /api/v3/order", **given, **({"quantity": quantity} if quantity else {}))

    def futures(self, kind: str, side: str, quantity: object = "1", **given: Any) -> Any:
        """Place a futures order."""
        given = {"symbol": "BTCUSDT", "type": kind, "side": side, "newOrderRespType": "RESULT"} | given
        return self.ask("POST /fapi/v1/order", quantity=quantity, **given)

    def algo(self, kind: str, side: str, trigger: object, **given: Any) -> Any:
        """Place a conditional futures order."""
        given = {"symbol": "BTCUSDT", "type": kind, "side": side, "triggerPrice": trigger} | given
        return self.ask("POST /fapi/v1/algoOrder", algoType="CONDITIONAL", **given)

    def wallet(self, asset: str = "USDT", venue: str = "spot") -> Decimal:
        """Return a balance."""
        return self.venue.books.balance(venue, asset)

    def minutes(self, n: float) -> None:
        """Let the path go on."""
        self.clock.t_ms += round(n * 60_000)
        self.venue.catch_up()


def hand(*bids: float, path: Path | str = ":memory:", balance: float = 100_000.0, start_ms: int = MORNING) -> Hand:
    """Return an exchange whose BTCUSDT has these bids, one a minute, from 08:00 on a Monday."""
    ticks = {"BTCUSD": minute_path(*(bids or (50_000.0,)), start_ms=start_ms)}
    market = HandMarket(ticks, {"BTCUSD": make_symbol("BTCUSD", binance_symbol="BTCUSDT")})
    return Hand(market, StandingClock(start_ms), path, balance)


@dataclass
class StandingClock(HandClock):
    """A clock that a test sets, with what the exchange asks it beside the time."""

    paused: bool = True
    speed: float = 1.0


def small_market() -> Market:
    """Return two symbols' prices for a hundred days."""
    return Market.synthetic(seed=11, names=["BTCUSD", "ETHUSD"], end_ms=START_MS + 100 * 24 * HOUR_MS)


@contextmanager
def exchange_world(market: Market, folder: Path, **options: Any) -> Iterator[World]:
    """Serve an exchange on a clock that stands until it is stepped."""
    clock = SimClock(folder / "clock.json", end_ms=market.end_ms)
    clock.create(start_ms=NOW, speed=1.0, mode="synthetic")
    server = ExchangeServer(market, clock, **options)
    server.start()
    try:
        yield World(server, clock)
    finally:
        server.stop()


class Signer:
    """A client that signs as Binance's documentation says, and can be made to do it wrongly."""

    def __init__(self, world: World, session: requests.Session) -> None:
        self.server: ExchangeServer = world.server
        self.clock, self.session = world.clock, session

    def ask(self, path: str, method: str = "GET", *, key: str | None = None, body: bool = False, **given: Any) -> Any:
        """Send a signed request; a parameter that is None is left out."""
        fields = {"timestamp": self.clock.now_ms()} | given
        text = urlencode({name: value for name, value in fields.items() if value is not None})
        signed = hmac.new(self.server.credentials.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        text = text if "signature" in given else f"{text}&signature={signed}"
        headers = {} if key == "" else {"X-MBX-APIKEY": key or self.server.credentials.key}
        url = self.server.url + path
        if body:
            return self.session.request(method, url, data=text, headers=headers, timeout=5)
        return self.session.request(method, f"{url}?{text}", headers=headers, timeout=5)

    def refusal(self, path: str = "/api/v3/account", **given: Any) -> tuple[int, int, str]:
        """Return status, code and words of a refusal."""
        reply = self.ask(path, **given)
        assert set(reply.json()) == {"code", "msg"}
        return reply.status_code, reply.json()["code"], reply.json()["msg"]
