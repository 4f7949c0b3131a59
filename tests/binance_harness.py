"""The Binance adapters at the simulated exchange, for the suite of tests/contract/test_brokers.py."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest import mock

import requests

from execution.brokers import connect
from execution.brokers.base import Broker
from execution.brokers.binance_fence import VenueFence
from execution.brokers.binance_futures import FuturesTerms
from execution.brokers.binance_ids import PLAIN, resting_id_of
from execution.brokers.binance_wire import BinanceWire, Credentials
from execution.safety.binance_outcomes import Venue
from simulator.binance.routes import SignedRoute
from simulator.binance.rows import Movement
from simulator.config import SimConfig
from simulator.exchange import ExchangeServer
from simulator.world import World

START = datetime(2026, 1, 5, 10, tzinfo=UTC)
WALLETS = {Venue.SPOT: "spot", Venue.FUTURES: "futures"}
UNKNOWN = b'{"code": -1000, "msg": "Unknown error, please check your request or try again later."}'


class CountingExchange(ExchangeServer):
    """The simulated exchange, which counts the trade requests that reach it and tells what was paid in and out."""

    heard = 0

    def __init__(self, world: World) -> None:
        super().__init__(world.market, world.clock)
        told = {
            ("GET", "/sapi/v1/capital/deposit/hisrec"): SignedRoute(self._deposits, 1),
            ("GET", "/sapi/v1/capital/withdraw/history"): SignedRoute(lambda params: [], 1),
        }
        self.routes = told | dict(self.routes)

    def limits_of(self, name: str) -> Any:
        self.heard += name.startswith(("POST", "DELETE"))
        return super().limits_of(name)

    def _deposits(self, params: object) -> list[dict[str, object]]:
        rows = self.venue.books.select(Movement, venue="spot", kind="DEPOSIT")
        return [
            {"id": str(row.id), "amount": str(row.amount), "coin": row.asset, "status": 1, "insertTime": row.time_ms}
            for row in rows
        ]


class BinanceHarness:
    """One adapter, at the simulated exchange in this process."""

    symbol = "BTCUSDT"
    begin = START - timedelta(days=2)

    def __init__(self, venue: Venue, world: World, server: CountingExchange, broker: Broker) -> None:
        self.venue = venue
        self.world = world
        self.server = server
        self.broker = broker
        self.wire: BinanceWire = broker.wire

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.world.clock.now_ms() / 1000, UTC)

    def pass_time(self, delta: timedelta) -> None:
        self.world.clock.step(self.world.clock.now_ms() + int(delta.total_seconds() * 1000))

    def heard(self) -> int:
        return self.server.heard

    def net_lots(self) -> Decimal:
        if self.venue is Venue.SPOT:
            return self.server.venue.books.balance("spot", "BTC")
        held = self.server.venue.books.positions()
        return sum((one.amount for one in held if one.symbol == self.symbol), Decimal(0))

    def rest_order(self, *, magic: int) -> int:
        price = round(self.broker.quote(self.symbol).bid * Decimal("0.8"), 1)
        order = {"symbol": self.symbol, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}
        mark = {"price": str(price), "newClientOrderId": resting_id_of(magic, PLAIN, 1)}
        endpoint = "privatePostOrder" if self.venue is Venue.SPOT else "fapiPrivatePostOrder"
        is_hedge = self.venue is Venue.FUTURES and self.wire.read("fapiPrivateGetPositionSideDual")["dualSidePosition"]
        side = {"positionSide": "LONG"} if is_hedge else {}
        self.wire.sync()
        reply = self.wire.call(endpoint, order | mark | side)
        assert reply.is_success, reply
        return int(reply.value["orderId"])

    @contextmanager
    def mute(self) -> Iterator[None]:
        def meet(method: str, carry: Callable[[], requests.Response]) -> requests.Response:
            if method == "GET":
                raise requests.ReadTimeout("no answer")
            return carry()

        with self._meeting(meet):
            yield

    @contextmanager
    def lose_answer(self, *, executed: bool) -> Iterator[None]:
        met = []

        def meet(method: str, carry: Callable[[], requests.Response]) -> requests.Response:
            if method == "GET" or met:
                return carry()
            met.append(method)
            answer = carry() if executed else requests.Response()
            answer.status_code, answer._content = 503, UNKNOWN
            return answer

        with self._meeting(meet):
            yield

    @contextmanager
    def cut_wire(self, *, executed: bool) -> Iterator[None]:
        def meet(method: str, carry: Callable[[], requests.Response]) -> requests.Response:
            if method == "GET":
                return carry()
            if executed:
                carry()
            raise requests.ConnectionError("Connection aborted.", ConnectionResetError(104, "reset by peer"))

        with self._meeting(meet):
            yield

    @contextmanager
    def _meeting(self, meet: Callable[[str, Callable[[], requests.Response]], requests.Response]) -> Iterator[None]:
        """Let every request of the adapter's session meet a fate."""
        session = self.broker.wire.session
        whole = session.request

        def request(method: str, url: str, **options: Any) -> requests.Response:
            return meet(method, lambda: whole(method, url, **options))

        with mock.patch.object(session, "request", request):
            yield


@contextmanager
def open_binance(name: str, kind: str, folder: Path) -> Iterator[BinanceHarness]:
    """Open an adapter at a new simulated exchange; ``kind`` is what the fee comes out of, or the position mode."""
    venue = Venue.SPOT if name == "binance_spot" else Venue.FUTURES
    with ExitStack() as stack:
        if kind == "fee elsewhere":
            stack.enter_context(mock.patch("simulator.binance.spot.SPOT_COMMISSION", Decimal(0)))
        world = World(SimConfig(state_dir=folder, start=START))
        server = CountingExchange(world)
        server.start()
        stack.callback(server.stop)
        given = options(venue, kind, server, folder)
        stack.callback(given["wire"].close)
        if kind == "hedge":
            assert given["wire"].call("fapiPrivatePostPositionSideDual", {"dualSidePosition": "true"}).is_success
        yield BinanceHarness(venue, world, server, connect(name, **given))


def new_wire(venue: Venue, server: ExchangeServer) -> BinanceWire:
    key = Credentials(key=server.credentials.key, secret=server.credentials.secret)
    return BinanceWire(venue, key, mono=time.monotonic, base=server.url)


def options(venue: Venue, kind: str, server: ExchangeServer, folder: Path) -> dict[str, Any]:
    common = {
        "wire": new_wire(venue, server),
        "fence": VenueFence(folder / "safety" / f"binance_{venue}_fence.json"),
        "symbols": ("BTCUSDT", "ETHUSDT"),
        "mono": time.monotonic,
        "sleep": _no_sleep,
    }
    terms = {"terms": FuturesTerms(leverage=20, is_hedge=kind == "hedge")} if venue is Venue.FUTURES else {}
    return common | terms


def _no_sleep(seconds: float) -> None:
    raise AssertionError(f"a healthy venue needs no pause, was asked for {seconds} s")
