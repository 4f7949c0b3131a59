"""The spot market: what an account may spend, how orders execute, and which of two that belong together stays."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from simulator.binance.levels import is_reached, is_waiting_stop
from simulator.binance.refusals import refusal
from simulator.binance.rows import (
    BUY,
    CANCELED,
    EXPIRED,
    FILLED,
    NO_LIST,
    QUOTE_ASSET,
    SPOT,
    ZERO,
    Order,
    Trade,
    to_8,
)
from simulator.binance.rules import SPOT_COMMISSION

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simulator.binance.venue import Venue


class Spot:
    """The spot side of an exchange; every order fills whole, since the book is as deep as the market's quote."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue

    def locked(self) -> dict[str, Decimal]:
        """Return what open orders hold back, by asset; the two of a list hold back the larger amount."""
        together: dict[tuple[str, int, int], Decimal] = defaultdict(Decimal)
        for order in self.venue.books.open_orders(SPOT):
            asset, amount = self.needs(order)
            key = (asset, order.list_id, 0 if order.list_id != NO_LIST else order.id)
            together[key] = max(together[key], amount)
        locked: dict[str, Decimal] = defaultdict(Decimal)
        for (asset, *_), amount in together.items():
            locked[asset] += amount
        return locked

    def free(self, asset: str) -> Decimal:
        """Return what new orders may spend."""
        return self.venue.books.balance(SPOT, asset) - self.locked().get(asset, ZERO)

    def needs(self, order: Order) -> tuple[str, Decimal]:
        """Return the asset and the amount that an order holds back."""
        if order.side == BUY:
            return QUOTE_ASSET, to_8(order.remaining * (order.price or order.stop_price))
        return self.venue.rules[SPOT][order.symbol].base, order.remaining

    def place(self, orders: Iterable[Order]) -> None:
        """Book new orders that passed all checks, the legs of a list together; what crosses the quote fills at once.

        Raises
        ------
        BinanceError
            -2010 when the account has not the means, or a maker's order would take.
        """
        placed = list(orders)
        self._check_means(placed)
        for order in placed:
            self.venue.books.put(order)
        for order in placed:
            if not is_waiting_stop(order):
                self._arrive(order)

    def cancel(self, order: Order, *, status: str = CANCELED) -> Order:
        """End an open order."""
        ended = replace(order, status=status, updated_ms=self.venue.now_ms)
        self.venue.books.put(ended)
        return ended

    def on_tick(self, symbol: str) -> bool:
        """Execute what the price reaches now; return whether anything was."""
        prices = self.venue.prices(symbol)
        reached = [o for o in self.venue.books.open_orders(SPOT, symbol) if is_reached(o, prices)]
        for order in reached:
            if any(one.id == order.id for one in self.venue.books.open_orders(SPOT, symbol)):
                self._reach(order)
        return bool(reached)

    def _reach(self, order: Order) -> None:
        if is_waiting_stop(order):
            self.trigger(order)
        else:
            self.fill(order, order.price, maker=True)

    def trigger(self, order: Order) -> None:
        """Let a stop become what it is: a market order, or a limit that may cross the quote."""
        self._end_siblings(order)
        if self.venue.fate(order):
            self.cancel(order, status=EXPIRED)
            return
        order = replace(order, working=True, trigger_ms=self.venue.now_ms, updated_ms=self.venue.now_ms)
        self.venue.books.put(order)
        self._arrive(order)

    def _arrive(self, order: Order) -> None:
        """Meet the book: fill at its price, rest, or end unfilled as the time in force says."""
        price = self.venue.taker_price(order)
        crosses = not order.price or (order.price - price) * order.direction >= 0
        if crosses and self._can_pay(order, price):
            self.fill(order, price, maker=False)
        elif crosses or order.tif in ("IOC", "FOK"):
            self.cancel(order, status=EXPIRED)

    def _can_pay(self, order: Order, price: Decimal) -> bool:
        """Return whether the wallet holds what a fill takes; a stop to buy may find the price above what it locked."""
        if order.side != BUY:
            return True
        others = self.locked().get(QUOTE_ASSET, ZERO) - self.needs(order)[1]
        return self.venue.books.balance(SPOT, QUOTE_ASSET) - max(ZERO, others) >= to_8(order.remaining * price)

    def fill(self, order: Order, price: Decimal, *, maker: bool) -> Trade:
        """Execute what is left of an order, pay the commission out of what it brought, and end its siblings."""
        venue, base = self.venue, self.venue.rules[SPOT][order.symbol].base
        quantity = order.remaining
        quote = to_8(quantity * price)
        asset, gained = (base, quantity) if order.side == BUY else (QUOTE_ASSET, quote)
        trade = Trade(
            id=venue.next_trade_id(),
            venue=SPOT,
            symbol=order.symbol,
            order_id=order.id,
            list_id=order.list_id,
            side=order.side,
            position_side="",
            price=price,
            quantity=quantity,
            quote=quote,
            commission=to_8(gained * SPOT_COMMISSION),
            commission_asset=asset,
            realized=ZERO,
            maker=maker,
            time_ms=venue.now_ms,
        )
        venue.books.put(trade)
        self._settle(trade, base)
        filled = replace(order, status=FILLED, executed=order.quantity, updated_ms=venue.now_ms, working=True)
        venue.books.put(replace(filled, quote_executed=order.quote_executed + quote))
        self._end_siblings(order)
        return trade

    def _settle(self, trade: Trade, base: str) -> None:
        sign = 1 if trade.side == BUY else -1
        for asset, amount, kind in (
            (base, sign * trade.quantity, "TRADE"),
            (QUOTE_ASSET, -sign * trade.quote, "TRADE"),
            (trade.commission_asset, -trade.commission, "COMMISSION"),
        ):
            self.venue.move(SPOT, asset, amount, kind, symbol=trade.symbol, trade_id=trade.id)

    def _end_siblings(self, order: Order) -> None:
        """Expire the other leg of a list: one of the two executes, never both."""
        for other in self.venue.books.open_orders(SPOT, order.symbol):
            if order.list_id != NO_LIST and other.list_id == order.list_id and other.id != order.id:
                self.cancel(other, status=EXPIRED)

    def _check_means(self, orders: list[Order]) -> None:
        for order in orders:
            asset, amount = self.needs(order)
            if order.side == BUY and not order.price and not order.stop_price:
                amount = to_8(order.remaining * self.venue.taker_price(order))
            if amount > self.free(asset):
                raise refusal("balance")
