"""The simulated Binance: its REST interface over HTTP on this machine, with its limits and its refusals.

The handler table is a dict of (method, path) to :class:`Route`; a further part of the interface, like the signed one,
is one more dict of them. Errors a handler raises as :class:`BinanceError` are sent in Binance's own shape.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from simulator.clock import SimClock
from simulator.exchange_errors import BinanceError, banned, too_much_weight
from simulator.exchange_public import PublicApi, public_routes
from simulator.exchange_routes import Route
from simulator.faults.exchange import RawReply
from simulator.faults.player import FaultPlayer
from simulator.http import JsonHandler, LocalServer
from simulator.market import Market
from simulator.ratelimit import WEIGHT_A_MINUTE, Verdict, WeightLimiter


class ExchangeHandler(JsonHandler):
    """One request to the exchange."""

    server: ExchangeServer
    server_version = "nginx"

    def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
        """Answer a read."""
        self._answer("GET")

    def _answer(self, method: str) -> None:
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        route = self.server.routes.get((method, url.path))
        if route is None:
            self.reply(404, {"code": -1, "msg": f"no {method} {url.path} here"})
            return
        verdict = self.server.limiter.charge(route.weighs(query))
        headers = dict.fromkeys(("X-MBX-USED-WEIGHT", "X-MBX-USED-WEIGHT-1M"), str(verdict.used))
        try:
            _let_pass(verdict)
            self._send(self._found(f"{method} {url.path}", route, query), headers)
        except BinanceError as error:
            if verdict.retry_after_s:
                headers["Retry-After"] = str(verdict.retry_after_s)
            self.reply(error.status, error.body, headers)

    def _found(self, name: str, route: Route, query: Mapping[str, str]) -> Any:
        """Return what a route answers, with the faults that the request meets."""
        player = self.server.player
        if not player.is_on:
            return route.handle(query)
        now_ms = self.server.clock.now_ms()
        with self.server.one_at_a_time:
            return player.play(name, lambda: route.handle(query), query, now_ms=now_ms)

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
        The world's.
    mono : callable
        Real seconds, by which requests are counted.
    """

    def __init__(self, market: Market, clock: SimClock, *, mono: Callable[[], float] = time.monotonic) -> None:
        self.routes: Mapping[tuple[str, str], Route] = public_routes(PublicApi(market, clock))
        self.limiter = WeightLimiter(mono)
        self.clock = clock
        self.player = FaultPlayer(clock.path.parent)
        self.one_at_a_time = Lock()  # so that the same requests meet the same faults
        super().__init__(ExchangeHandler)


def _let_pass(verdict: Verdict) -> None:
    if verdict.status == 429:
        raise too_much_weight(WEIGHT_A_MINUTE)
    if verdict.status == 418:
        raise banned(int((time.time() + verdict.retry_after_s) * 1000))
