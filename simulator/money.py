"""What trades cost and earn, to the cent: profit, commission, swap and margin of the simulated broker.

All are in the account's currency, which is every symbol's profit currency, and are rounded half away from zero to
whole cents at the moment they are booked, so that a balance is exactly the sum of its deals.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from simulator.constants import POSITION_TYPE_BUY

if TYPE_CHECKING:
    from simulator.ledger import Position
    from simulator.symbols import SimSymbol

CENT = Decimal("0.01")
NIGHTS_PER_YEAR = 360  # of SYMBOL_SWAP_MODE_INTEREST_CURRENT


def exact(value: float) -> Decimal:
    """Return the shortest decimal that reads as this float: the number a person would have written."""
    return Decimal(repr(float(value)))


def to_cents(value: Decimal) -> Decimal:
    """Round to whole cents, half away from zero."""
    return value.quantize(CENT, rounding=ROUND_HALF_UP)


def notional(symbol: SimSymbol, volume: Decimal, price: float) -> Decimal:
    """Return what a volume is worth at a price, unrounded."""
    return exact(price) * volume * exact(symbol.contract_size)


def profit(symbol: SimSymbol, side: int, volume: Decimal, *, price_open: float, price_close: float) -> Decimal:
    """Return what a position of ``side`` (POSITION_TYPE_*) earns between two prices, in cents."""
    earned = notional(symbol, volume, price_close) - notional(symbol, volume, price_open)
    return to_cents(earned if side == POSITION_TYPE_BUY else -earned)


def commission(symbol: SimSymbol, volume: Decimal, price: float) -> Decimal:
    """Return what one deal is charged, in cents, as an amount of the deal: zero or negative."""
    return -to_cents(notional(symbol, volume, price) * exact(symbol.commission_rate))


def night_swap(symbol: SimSymbol, side: int, volume: Decimal, price: float) -> Decimal:
    """Return what holding a position over one server midnight adds to its swap, in cents."""
    yearly_pct = exact(symbol.swap_long_pct if side == POSITION_TYPE_BUY else symbol.swap_short_pct)
    return to_cents(notional(symbol, volume, price) * yearly_pct / 100 / NIGHTS_PER_YEAR)


def margin(symbol: SimSymbol, volume: Decimal, price: float, *, leverage: int) -> Decimal:
    """Return the collateral of a volume at a price, in cents."""
    return to_cents(notional(symbol, volume, price) * exact(symbol.margin_rate) / leverage)


def margin_of_side(symbol: SimSymbol, positions: Iterable[Position], *, leverage: int) -> Decimal:
    """Return the collateral of positions on one side: each at its opening price."""
    return sum((margin(symbol, p.volume, p.price_open, leverage=leverage) for p in positions), Decimal("0.00"))
