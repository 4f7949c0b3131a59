"""What the suite of tests/contract/test_brokers.py needs of a broker beside its own methods: its venue's side.

A broker in ``BROKERS`` needs an entry in ``HARNESSES``: one context manager for each kind of account that it can hold,
each of which opens the broker against a simulated venue, flat, with a balance that was paid in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Protocol
from unittest import mock

from execution.brokers import connect
from execution.brokers.base import Broker, OrderTicket, Permit, Protection, Reduction, SendResult
from execution.brokers.magic import Family, encode_magic
from execution.planning.orders import Position, Side
from execution.safety.outcomes import Outcome
from market.terminal.calls import Answer, Call
from market.terminal.client import open_terminal
from market.terminal.errors import TerminalOutcomeUnknownError
from market.terminal.local import LocalTransport
from simulator import constants as mt5
from simulator import control, metatrader5
from simulator.config import SimConfig
from simulator.faults import FaultPlan, Rule, switch_off, switch_on
from simulator.server_time import to_utc_ms
from simulator.world import World
from tests.binance_harness import open_binance

MAGIC, OTHER_MAGIC = (encode_magic(Family.REBALANCE, counter) for counter in (1, 2))
START = datetime(2026, 1, 5, 10, tzinfo=UTC)
READS = ("account_info", "symbol_info", "symbol_info_tick", "positions_get", "orders_get", "history_deals_get")


class Harness(Protocol):
    """A broker at its simulated venue, and what is done and seen past the broker."""

    broker: Broker
    symbol: str  # open, and traded in both directions where the venue sells short
    begin: datetime  # before the account's first movement of cash, aware UTC

    def now(self) -> datetime:
        """Return the venue's time, aware UTC."""

    def pass_time(self, delta: timedelta) -> None:
        """Let the venue's time pass."""

    def heard(self) -> int:
        """Return how many trade requests have reached the venue."""

    def net_lots(self) -> Decimal:
        """Return the signed lots of the symbol by the venue's own ledger."""

    def rest_order(self, *, magic: int) -> int:
        """Place an order far from the market, at the venue itself, and return its number."""

    def mute(self) -> AbstractContextManager[None]:
        """Let the venue answer no read inside the block."""

    def lose_answer(self, *, executed: bool) -> AbstractContextManager[None]:
        """Let the first write inside the block, executed or not, end with a failure of the venue's own interface.

        It may stay broken until the broker connects again.
        """

    def cut_wire(self, *, executed: bool) -> AbstractContextManager[None]:
        """Let every write inside the block, executed or not, end in silence on the way to the broker."""


class MissingHarnessError(LookupError):
    """A broker that the suite cannot open."""


class Mt5Harness:
    """The MetaTrader 5 adapter, at the simulated terminal in this process."""

    symbol = "BTCUSD"
    begin = START - timedelta(days=2)

    def __init__(self, world: World, broker: Broker) -> None:
        self.world = world
        self.broker = broker

    def now(self) -> datetime:
        return venue_time(self.world)

    def pass_time(self, delta: timedelta) -> None:
        control.step(self.now() + delta)

    def heard(self) -> int:
        return metatrader5.mounted_account().ledger.meta("requests")

    def net_lots(self) -> Decimal:
        held = [p for p in metatrader5.mounted_account().ledger.positions() if p.symbol == self.symbol]
        return sum((p.volume if p.type == mt5.POSITION_TYPE_BUY else -p.volume for p in held), Decimal(0))

    def rest_order(self, *, magic: int) -> int:
        price = round(metatrader5.symbol_info_tick(self.symbol).bid * 0.8, 2)
        request = {"action": mt5.TRADE_ACTION_PENDING, "type": mt5.ORDER_TYPE_BUY_LIMIT, "price": price}
        placed = metatrader5.order_send(request | {"symbol": self.symbol, "volume": 0.1, "magic": magic})
        assert placed.retcode == mt5.TRADE_RETCODE_DONE, placed
        return placed.order

    @contextmanager
    def mute(self) -> Iterator[None]:
        with self._faults(*(Rule(fault="M56", call=name) for name in READS)):
            yield

    @contextmanager
    def lose_answer(self, *, executed: bool) -> Iterator[None]:
        with self._faults(Rule(fault="M04", call="order_send", times=1, parameters={"executed": executed})):
            yield

    @contextmanager
    def cut_wire(self, *, executed: bool) -> Iterator[None]:
        exchange = LocalTransport.exchange

        def cut(transport: LocalTransport, call: Call, *, timeout_s: float) -> Answer:
            answer = exchange(transport, call, timeout_s=timeout_s) if executed or call.terms is None else None
            if call.terms is None:
                return answer
            raise TerminalOutcomeUnknownError("the terminal's process was killed")

        with mock.patch.object(LocalTransport, "exchange", cut):
            yield

    @contextmanager
    def _faults(self, *rules: Rule) -> Iterator[None]:
        switch_on(self.world.config.sim_dir, FaultPlan(rules=rules))
        try:
            yield
        finally:
            switch_off(self.world.config.sim_dir)


@contextmanager
def open_mt5(margin_mode: str, folder: Path) -> Iterator[Harness]:
    """Open the adapter at a new simulated account."""
    world = World(SimConfig(state_dir=folder, start=START, margin_mode=margin_mode))
    metatrader5.mount(world)
    try:
        terminal = open_terminal("module:simulator.metatrader5", run_dir=folder, state_dir=folder)
        site = {"to_utc": _to_utc, "now": partial(venue_time, world), "sleep": _no_sleep}
        yield Mt5Harness(world, connect("mt5", terminal=terminal, login=None, **site))
    finally:
        metatrader5.unmount()


def venue_time(world: World) -> datetime:
    return datetime.fromtimestamp(world.clock.now_ms() / 1000, UTC)


def _to_utc(server_s: int) -> datetime:
    return datetime.fromtimestamp(to_utc_ms(server_s * 1000) / 1000, UTC)


def _no_sleep(seconds: float) -> None:
    raise AssertionError(f"a healthy venue needs no pause, was asked for {seconds} s")


# --- the registry --------------------------------------------------------------------------------------------------

Opener = Callable[[Path], AbstractContextManager[Harness]]
HARNESSES: dict[str, Mapping[str, Opener]] = {
    "mt5": {mode: partial(open_mt5, mode) for mode in ("hedging", "netting")},
    "binance_spot": {kind: partial(open_binance, "binance_spot", kind) for kind in ("fee elsewhere",)},
    "binance_futures": {kind: partial(open_binance, "binance_futures", kind) for kind in ("one-way", "hedge")},
}


def kinds_of(name: str) -> tuple[str, ...]:
    """Return the kinds of account that a broker is tried on; one without a harness has a kind that fails to open."""
    return tuple(HARNESSES.get(name, ())) or ("no harness",)


def open_harness(name: str, kind: str, folder: Path) -> AbstractContextManager[Harness]:
    """Open a broker at its simulated venue.

    Raises
    ------
    MissingHarnessError
        With what is to be written.
    """
    if not HARNESSES.get(name):
        raise MissingHarnessError(
            f"broker {name!r} has no harness, so that nothing is known of it: in tests/broker_conformance.py write a "
            f"class with the methods of Harness and a context manager that opens it at a simulated venue, and add "
            f"{name!r} to HARNESSES, with an entry for each kind of account"
        )
    return HARNESSES[name][kind](folder)


# --- what the tests work with -----------------------------------------------------------------------------------------


def lots(desk: Harness, times: int = 1) -> Decimal:
    """Return so many times ten of the smallest orders."""
    return desk.broker.spec(desk.symbol).smallest_order * 10 * times


def permit(desk: Harness, *, fence: int = 5, ahead_s: float = 2.0, reduce: bool = False) -> Permit:
    return Permit(fence=fence, not_after=desk.broker.stamp() + ahead_s, reduce=reduce)


def ticket(desk: Harness, volume: Decimal | None = None, side: Side = Side.BUY, **changes: object) -> OrderTicket:
    values = {"symbol": desk.symbol, "side": side, "volume": volume or lots(desk), "magic": MAGIC, "comment": "a test"}
    return OrderTicket(**values | changes)


def entered(
    desk: Harness, volume: Decimal | None = None, side: Side = Side.BUY, *, stop: Decimal | None = None
) -> SendResult:
    """Enter, with the stop on the order where the venue takes it there, else set right after."""
    rides = desk.broker.capabilities.stops_with_entry
    result = desk.broker.submit(ticket(desk, volume, side, stop=stop if rides else None), permit(desk))
    assert result.outcome is Outcome.OK, result
    if stop is not None and not rides:
        (position,) = held(desk)
        where = Protection(symbol=desk.symbol, side=side, ticket=position.ticket, stop=stop)
        done = desk.broker.protect(where, permit(desk))
        assert done.outcome is Outcome.OK, done
    return result


def held(desk: Harness) -> tuple[Position, ...]:
    return tuple(p for p in desk.broker.positions() if p.symbol == desk.symbol)


def level(desk: Harness, factor: str) -> Decimal:
    """Return a price on the grid, so many times the bid."""
    return round(desk.broker.quote(desk.symbol).bid * Decimal(factor), desk.broker.spec(desk.symbol).digits)


def state(desk: Harness) -> tuple[object, ...]:
    """Return what a write can change."""
    stops = [(p.ticket, p.volume, p.stop, p.target) for p in held(desk)]
    return stops, [order.order_id for order in desk.broker.working_orders()], len(desk.broker.fills_since(desk.begin))


def ready(desk: Harness, name: str) -> Callable[[Permit], SendResult]:
    """Return a write that would be executed: for it a position and a resting order are there."""
    entered(desk, lots(desk, 2))
    (position,), order_id = held(desk), desk.rest_order(magic=MAGIC)
    stop = {"symbol": desk.symbol, "side": position.side, "ticket": position.ticket, "stop": level(desk, "0.9")}
    request = {
        "submit": ticket(desk),
        "reduce": Reduction(position=position, volume=lots(desk), magic=OTHER_MAGIC),
        "protect": Protection(**stop),
        "cancel": order_id,
    }[name]
    return lambda leave: getattr(desk.broker, name)(request, leave)


def close(desk: Harness, position: Position, volume: Decimal) -> SendResult:
    return desk.broker.reduce(Reduction(position=position, volume=volume, magic=OTHER_MAGIC), permit(desk))
