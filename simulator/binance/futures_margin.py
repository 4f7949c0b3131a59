"""What a futures account is worth: its wallet, its positions at the mark price, and the margin that these take."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from simulator.binance.rows import FUTURES, QUOTE_ASSET, ZERO, Order, Position, to_8
from simulator.binance.rules import MAINTENANCE, USUAL_LEVERAGE

if TYPE_CHECKING:
    from simulator.binance.venue import Venue


class FuturesMargin:
    """The futures side of an exchange, to be looked at; all positions share one wallet (cross margin)."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue

    @property
    def hedging(self) -> bool:
        """Return whether a symbol has a long and a short position beside each other."""
        return self.venue.books.setting("dual side", "false") == "true"

    def leverage(self, symbol: str) -> int:
        """Return the leverage that is set for a symbol."""
        return int(self.venue.books.setting(f"leverage {symbol}", str(USUAL_LEVERAGE)))

    def margin_type(self, symbol: str) -> str:
        """Return CROSSED or ISOLATED; the margin of either is counted as crossed."""
        return self.venue.books.setting(f"margin type {symbol}", "CROSSED")

    def open_positions(self) -> list[Position]:
        """Return the positions that are not flat."""
        return [position for position in self.venue.books.positions() if position.amount]

    def wallet(self) -> Decimal:
        """Return the wallet's balance."""
        return self.venue.books.balance(FUTURES, QUOTE_ASSET)

    def floating(self) -> Decimal:
        """Return the unrealised profit at the mark prices."""
        return sum((p.worth(self.venue.mark(p.symbol)) for p in self.open_positions()), ZERO)

    def notional(self, position: Position) -> Decimal:
        """Return what a position is worth at the mark price, signed."""
        return to_8(position.amount * self.venue.mark(position.symbol))

    def initial_margin(self, position: Position) -> Decimal:
        """Return a position's collateral."""
        return to_8(abs(self.notional(position)) / self.leverage(position.symbol))

    def order_margin(self, order: Order) -> Decimal:
        """Return the collateral of an open limit order."""
        if order.reduce_only or order.close_position:
            return ZERO
        return to_8(order.remaining * order.price / self.leverage(order.symbol))

    def orders_margin(self, symbol: str | None = None) -> Decimal:
        """Return the collateral of all open limit orders."""
        return sum((self.order_margin(order) for order in self.venue.books.open_orders(FUTURES, symbol)), ZERO)

    def maintenance(self) -> Decimal:
        """Return the margin below which positions are liquidated."""
        return sum((to_8(abs(self.notional(p)) * MAINTENANCE) for p in self.open_positions()), ZERO)

    def available(self) -> Decimal:
        """Return what new positions may take as collateral."""
        held = sum((self.initial_margin(position) for position in self.open_positions()), ZERO)
        return self.wallet() + self.floating() - held - self.orders_margin()

    def margin_weight(self, position: Position) -> Decimal:
        """Return how the margin above the maintenance changes with a position's mark price."""
        return position.amount - abs(position.amount) * MAINTENANCE

    def liquidation_price(self, position: Position) -> Decimal:
        """Return the mark price at which the account is liquidated if only this one moves; 0 when there is none."""
        weight = self.margin_weight(position)
        if not weight:
            return ZERO
        spare = self.wallet() + self.floating() - self.maintenance()
        price = self.venue.mark(position.symbol) - spare / weight
        return to_8(price) if price > 0 else ZERO

    def position_of(self, order: Order) -> Position:
        """Return the position that an order is for."""
        return self.venue.books.position(order.symbol, order.position_side)
