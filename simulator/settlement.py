"""What one execution does to one position: opens, adds, reduces, closes or reverses it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from simulator import constants as mt5
from simulator.ledger import ZERO, Position, changed
from simulator.money import exact, profit, to_cents

if TYPE_CHECKING:
    from simulator.symbols import SimSymbol

AVERAGE_DIGITS = 8  # of a netting position's average price, finer than any symbol's


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """An execution: ``volume`` lots bought or sold at ``price``."""

    order_ticket: int
    side: int  # ORDER_TYPE_BUY or ORDER_TYPE_SELL, which are also DEAL_TYPE_* and POSITION_TYPE_*
    volume: Decimal
    price: float
    time_ms: int
    reason: int
    magic: int = 0
    comment: str = ""
    sl: float = 0.0
    tp: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What is left of the position, and what the deal books."""

    after: Position | None
    entry: int  # DEAL_ENTRY_*
    position_id: int
    profit: Decimal = ZERO
    swap: Decimal = ZERO


def settle(symbol: SimSymbol, position: Position | None, fill: Fill) -> Settlement:
    """Apply a fill to the position it is meant for; None where it opens a new one."""
    if position is None:
        after = _opened(symbol, fill)
        return Settlement(after=after, entry=mt5.DEAL_ENTRY_IN, position_id=after.identifier)
    if position.type == fill.side:
        return Settlement(after=_added(position, fill), entry=mt5.DEAL_ENTRY_IN, position_id=position.identifier)
    return _closed(symbol, position, fill)


def _opened(symbol: SimSymbol, fill: Fill) -> Position:
    return Position(
        ticket=fill.order_ticket,
        identifier=fill.order_ticket,
        symbol=symbol.name,
        type=fill.side,
        volume=fill.volume,
        price_open=fill.price,
        sl=fill.sl,
        tp=fill.tp,
        swap=ZERO,
        magic=fill.magic,
        comment=fill.comment,
        reason=fill.reason,
        time_ms=fill.time_ms,
        update_ms=fill.time_ms,
    )


def _added(position: Position, fill: Fill) -> Position:
    """Average the price by volume; stops that the order carries replace the old ones."""
    volume = position.volume + fill.volume
    paid = exact(position.price_open) * position.volume + exact(fill.price) * fill.volume
    return changed(
        position,
        volume=volume,
        price_open=float(round(paid / volume, AVERAGE_DIGITS)),
        sl=fill.sl or position.sl,
        tp=fill.tp or position.tp,
        update_ms=fill.time_ms,
    )


def _closed(symbol: SimSymbol, position: Position, fill: Fill) -> Settlement:
    """Realise what is closed, with its share of the swap; what the fill has beyond that opens the other side."""
    closed = min(position.volume, fill.volume)
    swap = to_cents(position.swap * closed / position.volume)
    earned = profit(symbol, position.type, closed, price_open=position.price_open, price_close=fill.price)
    entry, after = mt5.DEAL_ENTRY_OUT, None
    if fill.volume < position.volume:
        after = changed(position, volume=position.volume - closed, swap=position.swap - swap, update_ms=fill.time_ms)
    elif fill.volume > position.volume:
        entry = mt5.DEAL_ENTRY_INOUT
        # The ticket becomes the reversing order's, the identifier stays: it is still the symbol's one position.
        after = changed(_opened(symbol, fill), volume=fill.volume - closed, identifier=position.identifier)
    return Settlement(after=after, entry=entry, position_id=position.identifier, profit=earned, swap=swap)
