"""Finds the ticks of the market's path that may change an account, without looking at each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simulator import constants as mt5
from simulator.account import STOP_OUT_PCT

if TYPE_CHECKING:
    from simulator.account import Account
    from simulator.ledger import Order, Position
    from simulator.market import Market

ABOVE = frozenset(  # pending orders that wait above the market, stop-limits among them
    {
        mt5.ORDER_TYPE_SELL_LIMIT,
        mt5.ORDER_TYPE_BUY_STOP,
        mt5.ORDER_TYPE_BUY_STOP_LIMIT,
    }
)
BUYING = frozenset({mt5.ORDER_TYPE_BUY_LIMIT, mt5.ORDER_TYPE_BUY_STOP, mt5.ORDER_TYPE_BUY_STOP_LIMIT})
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Path:
    """The ticks of some symbols in time order; arrays of shape (n,), ``symbol`` an index into ``names``."""

    names: list[str]
    from_ms: int
    time_ms: NDArray[np.int64]
    symbol: NDArray[np.int64]
    bid: Floats
    ask: Floats


def read_path(market: Market, names: list[str], from_ms: int, to_ms: int) -> Path:
    """Return the ticks of the named symbols in ``(from_ms, to_ms]``; at the same moment in the order of the names."""
    parts = [market.ticks(name, from_ms, to_ms) for name in names]
    ticks = np.concatenate(parts)
    symbol = np.repeat(np.arange(len(names)), [len(part) for part in parts])
    order = np.argsort(ticks["time_ms"], kind="stable")
    ticks, symbol = ticks[order], symbol[order]
    return Path(
        names=names, from_ms=from_ms, time_ms=ticks["time_ms"], symbol=symbol, bid=ticks["bid"], ask=ticks["ask"]
    )


def may_matter(account: Account, path: Path) -> NDArray[np.bool_]:
    """Return which ticks reach a level of the account as it is now, or may take it to a stop-out."""
    positions, orders = account.ledger.positions(), account.ledger.orders()
    matter = _may_stop_out(account, path, positions)
    for k, name in enumerate(path.names):
        own = path.symbol == k
        levels = _Levels()
        levels.add_positions(p for p in positions if p.symbol == name)
        levels.add_orders(o for o in orders if o.symbol == name)
        matter |= own & levels.reached(path)
    return matter


class _Levels:
    """The nearest level on each side of a symbol's bid and ask."""

    def __init__(self) -> None:
        self.bid_low, self.bid_high = -np.inf, np.inf
        self.ask_low, self.ask_high = -np.inf, np.inf

    def add_positions(self, positions: Iterable[Position]) -> None:
        """Add stops and targets: a long position's are reached by the bid, a short one's by the ask."""
        for p in positions:
            if p.type == mt5.POSITION_TYPE_BUY:
                self.bid_low, self.bid_high = max(self.bid_low, p.sl or -np.inf), min(self.bid_high, p.tp or np.inf)
            else:
                self.ask_low, self.ask_high = max(self.ask_low, p.tp or -np.inf), min(self.ask_high, p.sl or np.inf)

    def add_orders(self, orders: Iterable[Order]) -> None:
        """Add the prices of pending orders: buying ones are reached by the ask, selling ones by the bid."""
        for o in orders:
            if o.type in BUYING and o.type in ABOVE:
                self.ask_high = min(self.ask_high, o.price_open)
            elif o.type in BUYING:
                self.ask_low = max(self.ask_low, o.price_open)
            elif o.type in ABOVE:
                self.bid_high = min(self.bid_high, o.price_open)
            else:
                self.bid_low = max(self.bid_low, o.price_open)

    def reached(self, path: Path) -> NDArray[np.bool_]:
        """Return which ticks are at a level or beyond."""
        bids = (path.bid <= self.bid_low) | (path.bid >= self.bid_high)
        return np.asarray(bids | (path.ask <= self.ask_low) | (path.ask >= self.ask_high))


def _may_stop_out(account: Account, path: Path, positions: list[Position]) -> NDArray[np.bool_]:
    """Return the ticks at which equity, in floating point, is within cents of the stop-out level or below."""
    margin = float(account.margin(positions))
    if not margin:
        return np.zeros(len(path.time_ms), np.bool_)
    equity = np.full(len(path.time_ms), float(account.ledger.balance() + sum(p.swap for p in positions)))
    for k, name in enumerate(path.names):
        held = [p for p in positions if p.symbol == name]
        if held:
            equity += _value_along(account, path, k, held)
    slack = 0.01 * (len(positions) + 1)  # every position's profit is rounded to a cent when it counts
    return np.asarray(equity <= margin * STOP_OUT_PCT / 100 + slack)


def _value_along(account: Account, path: Path, k: int, held: list[Position]) -> Floats:
    """Return the floating profit of a symbol's positions at every tick of the path, its own or another's."""
    first = account.market.quote(path.names[k], path.from_ms)
    last_own = np.maximum.accumulate(np.where(path.symbol == k, np.arange(len(path.symbol)), -1))
    bid = np.where(last_own >= 0, path.bid[last_own], first.bid)
    ask = np.where(last_own >= 0, path.ask[last_own], first.ask)
    contract = account.market.symbols[path.names[k]].contract_size
    value = np.zeros(len(bid))
    for p in held:
        gain = bid - p.price_open if p.type == mt5.POSITION_TYPE_BUY else p.price_open - ask
        value += gain * (float(p.volume) * contract)
    return value
