"""Moves the exchange along the market's path: stops, limits, liquidations and funding, each at its tick, in order.

Ticks are scanned as arrays, in whole points, so that a level is compared exactly; only those that may matter are looked
at one by one.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simulator.binance.levels import MARK, is_watched, level_in_bids, waits_above
from simulator.binance.rows import SPOT
from simulator.exchange_outside import FUNDING_MS, premium
from simulator.hourbars import HOUR_MS
from simulator.path_scan import Path, read_path

if TYPE_CHECKING:
    from simulator.binance.venue import Venue

SPAN_MS = 24 * HOUR_MS  # path that is scanned at once
NEAR = 0.01  # USDT
Mask = NDArray[np.bool_]


def advance(venue: Venue, to_ms: int) -> None:
    """Live through the path up to ``to_ms`` and commit what happened; a moment that is past changes nothing."""
    if to_ms <= venue.now_ms:
        return
    if not _symbols(venue):
        venue.now_ms = to_ms  # nothing can happen, so there is nothing to commit
        return
    began_ms = venue.now_ms
    try:
        with venue.books.transaction():
            while venue.now_ms < to_ms:
                _live_through(venue, to_ms)
            venue.books.set_setting("advanced_ms", venue.now_ms)
    except BaseException:
        venue.now_ms = began_ms
        raise


def _live_through(venue: Venue, to_ms: int) -> None:
    """Go on to the end of the hour, or of the day where only spot orders wait; funding is paid when it is due."""
    symbols = _symbols(venue)
    if not symbols:
        venue.now_ms = to_ms
        return
    # The mark price's premium is one number within an hour, so futures are walked hour by hour, the moment of the
    # change on its own.
    span_ms = HOUR_MS if _has_futures(venue) else SPAN_MS
    edge_ms = (venue.now_ms // span_ms + 1) * span_ms
    due = [due_ms for symbol in symbols if (due_ms := venue.futures.countdown_ms(symbol)) > venue.now_ms]
    until_ms = min([to_ms, edge_ms if venue.now_ms == edge_ms - 1 else edge_ms - 1, *due])
    _walk(venue, until_ms, symbols)
    venue.futures.count_down()
    if not until_ms % FUNDING_MS:
        venue.futures.pay_funding()


def _symbols(venue: Venue) -> list[str]:
    """Return the symbols that have open orders or positions."""
    held = {position.symbol for position in venue.books.positions() if position.amount}
    return sorted(held | {order.symbol for order in venue.books.open_orders()})


def _has_futures(venue: Venue) -> bool:
    """Return whether there are futures positions or orders."""
    return bool(venue.futures.open_positions()) or any(o.venue != SPOT for o in venue.books.open_orders())


def _walk(venue: Venue, until_ms: int, symbols: list[str]) -> None:
    stretch = Stretch(venue, symbols, until_ms)
    path, matters = stretch.path, stretch.may_matter()
    i = 0
    while i < len(matters) and matters[i:].any():
        i += int(matters[i:].argmax())
        venue.now_ms = int(path.time_ms[i])
        if _on_tick(venue, symbols[path.symbol[i]]):
            matters = stretch.may_matter()
        i += 1
    venue.now_ms = until_ms


def _on_tick(venue: Venue, symbol: str) -> bool:
    """Execute what a tick reaches; return whether anything was booked."""
    spot = venue.spot.on_tick(symbol)
    futures = venue.futures.on_tick(symbol)
    return venue.futures.liquidate() or spot or futures


class Stretch:
    """A stretch of the path within which the mark prices' premiums are constant.

    Parameters
    ----------
    venue : Venue
        Which lives from its now to ``until_ms``.
    symbols : list of str
        The exchange's names of what has orders or positions.
    until_ms : int
    """

    def __init__(self, venue: Venue, symbols: list[str], until_ms: int) -> None:
        self._venue, self._symbols = venue, symbols
        names = [venue.market.name_of(symbol) for symbol in symbols]
        self.path: Path = read_path(venue.market, names, venue.now_ms, until_ms)
        self._factors = [1 + premium(venue.market, name, until_ms) for name in names]  # of the mark to the middle
        self._digits = [venue.market.symbols[name].digits for name in names]
        self._spreads = [venue.rules[SPOT][symbol].spread for symbol in symbols]

    def may_matter(self) -> Mask:
        """Return which ticks reach an order's level, or may take the account to its liquidation."""
        matter = self._may_liquidate()
        for k in range(len(self._symbols)):
            low, high = self._nearest(k)
            points = np.rint(self.path.bid * 10.0 ** self._digits[k])
            matter |= (self.path.symbol == k) & ((points <= low) | (points >= high))
        return matter

    def _nearest(self, k: int) -> tuple[float, float]:
        """Return the nearest levels of a symbol's orders below and above, in whole points of the bid."""
        low, high = -np.inf, np.inf
        for order in filter(is_watched, self._venue.books.open_orders(symbol=self._symbols[k])):
            level = level_in_bids(order, self._spreads[k], Decimal(self._factors[k])).scaleb(self._digits[k])
            slack = order.working_type == MARK  # a point: its level is not exact, and is looked at again
            if waits_above(order):
                high = min(high, float(level.to_integral_value(ROUND_CEILING)) - slack)
            else:
                low = max(low, float(level.to_integral_value(ROUND_FLOOR)) + slack)
        return low, high

    def _may_liquidate(self) -> Mask:
        """Return the ticks at which, in floating point, the margin is within a cent of the maintenance or below."""
        futures, n_ticks = self._venue.futures, len(self.path.time_ms)
        held = futures.open_positions()
        if not held:
            return np.zeros(n_ticks, np.bool_)
        margin = np.full(n_ticks, float(futures.wallet() - sum(position.cost for position in held)))
        for k, symbol in enumerate(self._symbols):
            weight = sum(float(futures.margin_weight(one)) for one in held if one.symbol == symbol)
            if weight:
                middle = self._bids_along(k) + float(self._spreads[k]) / 2
                margin += weight * middle * self._factors[k]
        return np.asarray(margin <= NEAR)

    def _bids_along(self, k: int) -> NDArray[np.float64]:
        """Return a symbol's bid at every tick of the path, its own or another's."""
        path = self.path
        first = self._venue.market.quote(path.names[k], path.from_ms).bid
        last_own = np.maximum.accumulate(np.where(path.symbol == k, np.arange(len(path.symbol)), -1))
        return np.where(last_own >= 0, path.bid[last_own], first)
