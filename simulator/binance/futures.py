"""The USD-M futures market: positions, margin, funding and liquidation, with one wallet for all (cross margin)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from simulator.binance.futures_margin import FuturesMargin
from simulator.binance.levels import is_reached, is_waiting_stop, is_watched
from simulator.binance.refusals import refusal
from simulator.binance.rows import (
    ALGO,
    BUY,
    CANCELED,
    EXPIRED,
    FILLED,
    FINISHED,
    FUTURES,
    NEW,
    NO_LIST,
    QUOTE_ASSET,
    REJECTED,
    SELL,
    TRIGGERED,
    ZERO,
    Order,
    Position,
    Trade,
    to_8,
)
from simulator.binance.rules import MAKER, TAKER
from simulator.exchange_errors import BinanceError
from simulator.exchange_outside import funding_rate

if TYPE_CHECKING:
    pass

BOTH, LONG, SHORT = "BOTH", "LONG", "SHORT"
WITH_POSITION = "GTE_GTC"  # a time in force: until cancelled, or until the position is closed


class Futures(FuturesMargin):
    """The futures side of an exchange; every order fills whole, since the book is as deep as the market's quote."""

    def place(self, order: Order) -> None:
        """Book a new order that passed its checks: it fills, rests, or ends as its time in force says.

        Raises
        ------
        BinanceError
            -2019 when the margin is too small, -5022 when a maker's order would take.
        """
        price = self.venue.taker_price(order)
        crosses = not order.price or (order.price - price) * order.direction >= 0
        if crosses and order.tif == "GTX":
            raise refusal("post only")
        self._check_margin(order, price if crosses else order.price, crosses=crosses)
        self.venue.books.put(order)
        if crosses:
            self.fill(order, price, maker=False)
        elif order.tif in ("IOC", "FOK"):
            self.cancel(order, status=EXPIRED)

    def cancel(self, order: Order, *, status: str = CANCELED) -> Order:
        """End an open order, and the algo order that it came from."""
        ended = replace(order, status=status, updated_ms=self.venue.now_ms)
        self.venue.books.put(ended)
        self._finish_algo(ended)
        return ended

    def on_tick(self, symbol: str) -> bool:
        """Execute what the price reaches now; return whether anything was."""
        books, prices = self.venue.books, self.venue.prices(symbol)
        orders = [o for o in books.open_orders(symbol=symbol) if o.venue in (FUTURES, ALGO) and is_watched(o)]
        reached = [order for order in orders if is_reached(order, prices)]
        for order in reached:
            if any(one.id == order.id for one in books.open_orders(order.venue, symbol)):
                self._reach(order)
        return bool(reached)

    def _reach(self, order: Order) -> None:
        if order.venue == ALGO and is_waiting_stop(order):
            self.trigger(order)
        elif order.reduce_only and not self.reducible(order):
            self.cancel(order, status=EXPIRED)
        else:
            self.fill(order, order.price, maker=True)

    def trigger(self, algo: Order) -> None:
        """Turn an algo order into the order that it stands for; with nothing to close, or no margin, it ends."""
        now_ms, fate = self.venue.now_ms, self.venue.fate(algo)
        quantity = self.reducible(algo) if algo.close_position else algo.quantity
        if algo.reduce_only:
            quantity = min(quantity, self.reducible(algo))
        if fate or not quantity:
            self.venue.books.put(replace(algo, status=fate or EXPIRED, trigger_ms=now_ms, updated_ms=now_ms))
            return
        order = replace(
            algo,
            id=self.venue.next_order_id(),
            venue=FUTURES,
            quantity=quantity,
            type="LIMIT" if algo.price else "MARKET",
            stop_price=ZERO,
            status=NEW,
            created_ms=now_ms,
            updated_ms=now_ms,
        )
        begun = replace(algo, status=TRIGGERED, working=True, actual_id=order.id, trigger_ms=now_ms, updated_ms=now_ms)
        self.venue.books.put(begun)
        try:
            self.place(order)
        except BinanceError:
            self.venue.books.put(replace(begun, status=REJECTED, actual_id=0))

    def reducible(self, order: Order) -> Decimal:
        """Return how much there is that an order can close."""
        amount = self.position_of(order).amount
        return abs(amount) if amount * order.direction < 0 else ZERO

    def fill(self, order: Order, price: Decimal, *, maker: bool) -> Trade:
        """Execute what is left of an order against its position, and book profit and commission."""
        venue, quantity = self.venue, order.remaining
        if order.reduce_only or order.close_position:
            quantity = min(quantity, self.reducible(order))
        after, realized = moved(self.position_of(order), order.direction * quantity, price, venue.now_ms)
        quote = to_8(quantity * price)
        trade = Trade(
            id=venue.next_trade_id(),
            venue=FUTURES,
            symbol=order.symbol,
            order_id=order.id,
            list_id=NO_LIST,
            side=order.side,
            position_side=order.position_side,
            price=price,
            quantity=quantity,
            quote=quote,
            commission=to_8(quote * (MAKER if maker else TAKER)),
            commission_asset=QUOTE_ASSET,
            realized=realized,
            maker=maker,
            time_ms=venue.now_ms,
        )
        venue.books.put(trade)
        venue.books.put(after)
        for amount, kind in ((realized, "REALIZED_PNL"), (-trade.commission, "COMMISSION")):
            venue.move(FUTURES, QUOTE_ASSET, amount, kind, symbol=order.symbol, trade_id=trade.id)
        filled = replace(
            order,
            status=FILLED,
            quantity=order.executed + quantity,
            executed=order.executed + quantity,
            quote_executed=order.quote_executed + quote,
            updated_ms=venue.now_ms,
        )
        venue.books.put(filled)
        self._finish_algo(filled)
        self._end_with(after)
        return trade

    def countdown_ms(self, symbol: str) -> int:
        """Return when a symbol's orders are to be cancelled, 0: never."""
        return int(self.venue.books.setting(f"countdown {symbol}", "0"))

    def count_down(self) -> None:
        """Cancel the orders whose countdown is over."""
        for symbol in self.venue.listed():
            if 0 < self.countdown_ms(symbol) <= self.venue.now_ms:
                with_algos = self.venue.books.setting("countdown takes algos", "false") == "true"
                for order in self.venue.books.open_orders(symbol=symbol):
                    if order.venue == FUTURES or (order.venue == ALGO and with_algos):
                        self.cancel(order)
                self.venue.books.set_setting(f"countdown {symbol}", 0)

    def pay_funding(self) -> None:
        """Exchange the funding between longs and shorts at the mark price."""
        for position in self.open_positions():
            name = self.venue.market.name_of(position.symbol)
            rate = Decimal(f"{funding_rate(self.venue.market, name, self.venue.now_ms):.8f}")
            amount = -to_8(self.notional(position) * rate)
            self.venue.move(FUTURES, QUOTE_ASSET, amount, "FUNDING_FEE", symbol=position.symbol)

    def liquidate(self) -> bool:
        """Close everything when the margin is at the maintenance or below; the exchange bears what is missing."""
        if not self.open_positions() or self.wallet() + self.floating() > self.maintenance():
            return False
        for order in self.venue.books.open_orders(FUTURES):
            self.cancel(order, status=EXPIRED)
        for position in self.open_positions():
            self.close_by_exchange(position, f"autoclose-{self.venue.now_ms}")
        if self.wallet() < 0:
            self.venue.move(FUTURES, QUOTE_ASSET, -self.wallet(), "INSURANCE_CLEAR")
        return True

    def close_by_exchange(self, position: Position, client_id: str, quantity: Decimal | None = None) -> Trade:
        """Close a position, or a part of it, by the exchange's own market order."""
        order = self.market_order(
            position.symbol,
            SELL if position.amount > 0 else BUY,
            quantity or abs(position.amount),
            client_id=client_id,
            position_side=position.position_side,
        )
        self.venue.books.put(order)
        return self.fill(order, self.venue.taker_price(order), maker=False)

    def market_order(
        self, symbol: str, side: str, quantity: Decimal, *, client_id: str, position_side: str = BOTH
    ) -> Order:
        """Return a market order as it is before it is booked."""
        return Order(
            id=self.venue.next_order_id(),
            venue=FUTURES,
            symbol=symbol,
            client_id=client_id,
            side=side,
            type="MARKET",
            tif="GTC",
            status=NEW,
            price=ZERO,
            stop_price=ZERO,
            quantity=quantity,
            quote_quantity=ZERO,
            executed=ZERO,
            quote_executed=ZERO,
            list_id=NO_LIST,
            list_client_id="",
            reduce_only=False,
            close_position=False,
            position_side=position_side,
            working_type="CONTRACT_PRICE",
            working=True,
            actual_id=0,
            created_ms=self.venue.now_ms,
            updated_ms=self.venue.now_ms,
            trigger_ms=0,
        )

    def _finish_algo(self, order: Order) -> None:
        """End the algo order whose order has ended."""
        for algo in self.venue.books.open_orders(ALGO, order.symbol):
            if algo.actual_id == order.id:
                self.venue.books.put(replace(algo, status=FINISHED, updated_ms=self.venue.now_ms))

    def _end_with(self, position: Position) -> None:
        """Expire the algo orders that are to end with a position that is closed."""
        for algo in self.venue.books.open_orders(ALGO, position.symbol):
            same = algo.position_side == position.position_side
            if same and algo.tif == WITH_POSITION and not algo.working and not self.reducible(algo):
                self.cancel(algo, status=EXPIRED)

    def _check_margin(self, order: Order, price: Decimal, *, crosses: bool) -> None:
        before = self.position_of(order)
        after, realized = moved(before, order.direction * order.remaining, price, self.venue.now_ms)
        if before.amount * after.amount >= 0 and abs(after.amount) <= abs(before.amount):
            return
        if not crosses:
            needed = self.order_margin(order)
        else:
            fee = to_8(order.remaining * price * TAKER)
            lost = before.worth(self.venue.mark(order.symbol)) - after.worth(self.venue.mark(order.symbol)) - realized
            needed = self.initial_margin(after) - self.initial_margin(before) + fee + max(ZERO, lost)
        if needed > self.available():
            raise refusal("margin")


def moved(position: Position, change: Decimal, price: Decimal, now_ms: int) -> tuple[Position, Decimal]:
    """Return a position after a signed quantity is traded at a price, and the profit that realises.

    What is closed leaves with its share of the cost, so that profit and remaining cost add up exactly.
    """
    amount, cost, realized = position.amount, position.cost, ZERO
    if amount * change < 0:
        closed = min(abs(change), abs(amount))
        sign = 1 if amount > 0 else -1
        released = cost if closed == abs(amount) else to_8(cost * closed / abs(amount))
        realized = sign * to_8(closed * price) - released
        amount, cost, change = amount - sign * closed, cost - released, change + sign * closed
    after = replace(position, amount=amount + change, cost=cost + to_8(change * price), updated_ms=now_ms)
    return after, realized
