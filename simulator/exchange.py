"""The simulated Binance: its REST interface over HTTP on this machine, with its limits and its refusals.

The handler table is a dict of (method, path) to a route; a signed route is answered only to who shows the key and
signs with its secret. Errors a handler raises as :class:`BinanceError` are sent in Binance's own shape.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from simulator.binance.futures_api import FuturesApi, futures_routes
from simulator.binance.futures_public import FuturesPublicApi, futures_public_routes
from simulator.binance.futures_settings_api import FuturesSettingsApi, settings_routes
from simulator.binance.order_limits import FUTURES_SPANS, SPOT_SPANS, OrderLimiter
from simulator.binance.routes import SignedRoute
from simulator.binance.rules import FUTURES_WEIGHT_A_MINUTE
from simulator.binance.signing import Credentials, SignedRequest, check_signed
from simulator.binance.spot_api import SpotApi, spot_routes
from simulator.binance.venue import Venue
from simulator.binance.wallet_api import WalletApi, wallet_routes
from simulator.clock import SimClock
from simulator.exchange_errors import BinanceError, banned, too_much_weight
from simulator.exchange_outside import OutsideApi, outside_routes
from simulator.exchange_public import PublicApi, public_routes
from simulator.exchange_routes import RawReply, Route
from simulator.faults.player import FaultPlayer
from simulator.http import JsonHandler, LocalServer
from simulator.market import Market
from simulator.ratelimit import WEIGHT_A_MINUTE, Verdict, WeightLimiter

BALANCE = 100_000.0  # USDT that either wallet of a new account starts with
LEDGER = "exchange.sqlite3"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one of the exchange's hosts counts."""

    weight: WeightLimiter
    a_minute: int
    orders: OrderLimiter


class ExchangeHandler(JsonHandler):
    """One request to the exchange."""

    server: ExchangeServer
    server_version = "nginx"

    def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
        """Answer a read."""
        self._answer("GET")

    def do_POST(self) -> None:  # noqa: N802 - the name that http.server calls
        """Answer an order or a setting."""
        self._answer("POST")

    def do_PUT(self) -> None:  # noqa: N802 - the name that http.server calls
        """Answer a change."""
        self._answer("PUT")

    def do_DELETE(self) -> None:  # noqa: N802 - the name that http.server calls
        """Answer a cancellation."""
        self._answer("DELETE")

    def _answer(self, method: str) -> None:
        url = urlsplit(self.path)
        try:
            body = self.body().decode("utf-8", "replace")
        except ValueError as error:
            self.reply(413, {"code": -1, "msg": str(error)})
            return
        given = dict(parse_qsl(f"{url.query}&{body}", keep_blank_values=True))
        route = self.server.routes.get((method, url.path))
        if route is None:
            self.reply(404, {"code": -1, "msg": f"no {method} {url.path} here"})
            return
        request = SignedRequest(url.query, body, self.headers.get("X-MBX-APIKEY", ""), given)
        self._charged(f"{method} {url.path}", route, request)

    def _charged(self, name: str, route: Route | SignedRoute, request: SignedRequest) -> None:
        limits = self.server.limits_of(name)
        verdict = limits.weight.charge(route.weighs(request.given))
        headers = dict.fromkeys(("X-MBX-USED-WEIGHT", "X-MBX-USED-WEIGHT-1M"), str(verdict.used))
        try:
            _let_pass(verdict, limits.a_minute)
            if isinstance(route, SignedRoute) and route.n_orders:
                headers |= limits.orders.charge(route.n_orders)
            self._send(self._found(name, route, request), headers)
        except BinanceError as error:
            if verdict.retry_after_s or error.status == 429:
                headers["Retry-After"] = str(verdict.retry_after_s or 10)
            self.reply(error.status, error.body, headers)

    def _found(self, name: str, route: Route | SignedRoute, request: SignedRequest) -> Any:
        """Return what a route answers, with the faults that the request meets."""
        server = self.server

        def handle() -> Any:
            return server.signed(route, request) if isinstance(route, SignedRoute) else route.handle(request.given)

        if not server.player.is_on:
            return handle()
        now_ms = server.clock.now_ms()
        with server.one_at_a_time:
            return server.player.play(name, handle, request.given, now_ms=now_ms, venue=server.venue)

    def _send(self, value: Any, headers: dict[str, str]) -> None:
        if not isinstance(value, RawReply):
            self.reply(200, value, headers)
            return
        self.close_connection = self.close_connection or value.is_cut
        if value.status:
            self.reply_raw(value.status, value.body, headers | value.headers)


class ExchangeServer(LocalServer):
    """The exchange of a world.

    Parameters
    ----------
    market, clock
        The world's; the account's books are beside the clock's file.
    mono : callable
        Real seconds, by which requests are counted.
    balance : float
        USDT in the spot and in the futures wallet of a new account.
    """

    def __init__(
        self,
        market: Market,
        clock: SimClock,
        *,
        mono: Callable[[], float] = time.monotonic,
        balance: float = BALANCE,
    ) -> None:
        self.venue = Venue(market, clock, clock.path.parent / LEDGER, balance=balance)
        self.routes: Mapping[tuple[str, str], Route | SignedRoute] = _routes(market, clock, self.venue)
        self.limiter = WeightLimiter(mono)
        self._spot = Limits(self.limiter, WEIGHT_A_MINUTE, OrderLimiter(mono, SPOT_SPANS))
        futures = WeightLimiter(mono, limit=FUTURES_WEIGHT_A_MINUTE)
        self._futures = Limits(futures, FUTURES_WEIGHT_A_MINUTE, OrderLimiter(mono, FUTURES_SPANS))
        self.clock = clock
        self.player = FaultPlayer(clock.path.parent)
        self.one_at_a_time = Lock()  # so that the same requests meet the same faults
        super().__init__(ExchangeHandler)

    @property
    def credentials(self) -> Credentials:
        """Return the account's key and secret."""
        return self.venue.credentials

    @property
    def published(self) -> dict[str, str]:
        """Return what a client of this machine's owner needs beside the address."""
        return {"token": "", "key": self.credentials.key, "secret": self.credentials.secret}

    def limits_of(self, name: str) -> Limits:
        """Return the counts of the host that a request named like ``GET /fapi/v1/time`` goes to."""
        return self._futures if "/fapi/" in name else self._spot

    def signed(self, route: SignedRoute, request: SignedRequest) -> Any:
        """Answer a signed request, or refuse it; the account has lived up to now before it is looked at."""
        venue = self.venue
        with venue.live():
            now_ms = venue.clock.now_ms()
            return route.handle(check_signed(request, venue.credentials, now_ms=now_ms, pace=venue.pace))

    def stop(self) -> None:
        """Stop answering, and close the books."""
        super().stop()
        with self.venue.lock:
            self.venue.books.close()


def _routes(market: Market, clock: SimClock, venue: Venue) -> dict[tuple[str, str], Route | SignedRoute]:
    return {
        **public_routes(PublicApi(market, clock)),
        **outside_routes(OutsideApi(market, clock)),
        **futures_public_routes(FuturesPublicApi(market, clock)),
        **spot_routes(SpotApi(venue)),
        **futures_routes(FuturesApi(venue)),
        **settings_routes(FuturesSettingsApi(venue)),
        **wallet_routes(WalletApi(venue)),
    }


def _let_pass(verdict: Verdict, a_minute: int) -> None:
    if verdict.status == 429:
        raise too_much_weight(a_minute)
    if verdict.status == 418:
        raise banned(int((time.time() + verdict.retry_after_s) * 1000))
