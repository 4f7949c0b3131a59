"""A hand-made market and world for the simulated terminal: every tick is written down by the test."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator import metatrader5
from simulator.config import SimConfig
from simulator.market import RATE_DTYPE, TICK_DTYPE, Quote
from simulator.symbols import SimSymbol

mt5: Any = metatrader5  # its functions may answer None, which tests do not ask about each time
SPREAD = 10.0
IN_MEMORY = Path(":memory:")


def moment(text: str) -> int:
    """Return an ISO time, UTC, in milliseconds: ``moment("2026-01-05T08:00")``."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


MORNING = moment("2026-01-05T08:00")  # a Monday in winter: 10:00 on the server's clock


def make_symbol(name: str = "BTCUSD", **changes: Any) -> SimSymbol:
    """Return a symbol with easy numbers: spread 10.00, commission 4 bps, swap 25.00 or 12.50 a night at 50,000."""
    values: dict[str, Any] = {
        "name": name,
        "binance_symbol": f"{name}T",
        "digits": 2,
        "point": 0.01,
        "volume_min": 0.01,
        "volume_step": 0.01,
        "volume_max": 100.0,
        "spread_points": 1000,
        "currency_base": name[:3],
        "commission_rate": 0.0004,
        "swap_long_pct": -18.0,
        "swap_short_pct": -9.0,
        "stops_level": 100,
        "filling_mode": 2,
    }
    return SimSymbol(**(values | changes))


@dataclass
class ScriptedMarket:
    """The market's methods over ticks that are given: by symbol, rows of (UTC ms, bid); the ask is 10.00 more."""

    bids: Mapping[str, Sequence[tuple[int, float]]]
    symbols: dict[str, SimSymbol]
    start_ms: int = moment("2025-12-01T00:00")
    end_ms: int = moment("2027-01-01T00:00")
    closed: list[tuple[int, int]] = field(default_factory=list)

    def is_open(self, symbol: str, t_ms: int) -> bool:
        return not any(a <= t_ms < b for a, b in self.closed)

    def quote(self, symbol: str, t_ms: int) -> Quote:
        rows = self.bids[symbol]
        i = bisect_right([t for t, _ in rows], t_ms)
        if not i:
            raise ValueError(f"{symbol} has no price yet")
        t, bid = rows[i - 1]
        return Quote(t, bid, round(bid + SPREAD, 2))

    def ticks(self, symbol: str, from_ms: int, to_ms: int) -> NDArray[Any]:
        rows = [(t, bid, round(bid + SPREAD, 2)) for t, bid in self.bids[symbol] if from_ms < t <= to_ms]
        return np.array(rows, TICK_DTYPE)

    def rates_between(self, symbol: str, edges_ms: NDArray[Any], *, now_ms: int) -> NDArray[Any]:
        out = []
        for a, b in pairwise(edges_ms):
            bids = [bid for t, bid in self.bids[symbol] if a <= t < b and t <= now_ms]
            if bids:
                out.append((a, bids[0], max(bids), min(bids), bids[-1], len(bids), 1000, 0))
        return np.array(out, RATE_DTYPE)


@dataclass
class HandClock:
    """A clock that a test sets."""

    t_ms: int = MORNING

    def now_ms(self) -> int:
        return self.t_ms


@dataclass
class ScriptedWorld:
    """What the terminal needs of a world."""

    market: Any
    config: SimConfig
    ledger_path: Path = IN_MEMORY
    clock: Any = field(default_factory=HandClock)

    def go(self, t_ms: int) -> None:
        """Set the clock and let the account live up to it."""
        self.clock.t_ms = t_ms
        mt5.advance()

    def after(self, **duration: float) -> None:
        """Go on by some minutes, hours ... (as timedelta takes them)."""
        self.go(self.clock.t_ms + round(_milliseconds(**duration)))


def _milliseconds(*, seconds: float = 0, minutes: float = 0, hours: float = 0) -> float:
    return 1000 * (seconds + 60 * (minutes + 60 * hours))


def minute_path(*bids: float, start_ms: int = MORNING) -> list[tuple[int, float]]:
    """Return one tick a minute, the first at the start."""
    return [(start_ms + 60_000 * i, bid) for i, bid in enumerate(bids)]


def make_world(
    bids: Mapping[str, Sequence[tuple[int, float]]] | None = None,
    *,
    symbols: Sequence[SimSymbol] | None = None,
    market: Any = None,
    ledger_path: Path = IN_MEMORY,
    closed: Sequence[tuple[int, int]] = (),
    now_ms: int = MORNING,
    **config: Any,
) -> ScriptedWorld:
    """Return a world of scripted ticks: BTCUSD stands at 50,000 unless told otherwise; leverage 10."""
    if market is None:
        bids = bids or {"BTCUSD": [(MORNING, 50_000.0)]}
        specs = symbols or [make_symbol(name) for name in bids]
        market = ScriptedMarket(bids, {s.name: s for s in specs}, closed=list(closed))
    values: dict[str, Any] = {"state_dir": Path(), "leverage": 10, "margin_mode": "hedging"}
    return ScriptedWorld(market, SimConfig(**(values | config)), ledger_path, HandClock(now_ms))


@contextmanager
def shown(world: Any) -> Iterator[Any]:
    """Mount a world and connect to it."""
    mt5.mount(world)
    try:
        assert mt5.initialize(), mt5.last_error()
        yield world
    finally:
        mt5.unmount()


def deal(side: int, volume: float, *, symbol: str = "BTCUSD", **fields: Any) -> dict[str, Any]:
    """Return a market order's request."""
    base = {"action": mt5.TRADE_ACTION_DEAL, "symbol": symbol, "volume": volume, "type": side}
    return base | {"type_filling": mt5.ORDER_FILLING_IOC} | fields


def buy(volume: float = 1.0, **fields: Any) -> Any:
    """Buy at the market."""
    return mt5.order_send(deal(mt5.ORDER_TYPE_BUY, volume, **fields))


def sell(volume: float = 1.0, **fields: Any) -> Any:
    """Sell at the market."""
    return mt5.order_send(deal(mt5.ORDER_TYPE_SELL, volume, **fields))


def pending(order_type: int, price: float, volume: float = 1.0, **fields: Any) -> Any:
    """Place a pending order."""
    request = {"action": mt5.TRADE_ACTION_PENDING, "symbol": "BTCUSD", "volume": volume, "type": order_type}
    return mt5.order_send(request | {"price": price} | fields)


def stops(position: int, **fields: Any) -> Any:
    """Set a position's stop and target."""
    return mt5.order_send({"action": mt5.TRADE_ACTION_SLTP, "symbol": "BTCUSD", "position": position} | fields)
