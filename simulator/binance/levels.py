"""Where an open order is reached: a stop by the last price, which is the bid here, or by the mark price.

A buying limit executes when the ask comes down to it, a selling one when the bid comes up to it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from simulator.binance.rows import ALGO, BUY, Order

MARK = "MARK_PRICE"


class Prices(NamedTuple):
    """A symbol's prices at a moment."""

    bid: Decimal
    ask: Decimal
    mark: Decimal


def is_waiting_stop(order: Order) -> bool:
    """Return whether the order waits for its stop price."""
    return bool(order.stop_price) and not order.working


def is_watched(order: Order) -> bool:
    """Return whether a price can change the order; an algo order whose order works only waits for that."""
    return order.venue != ALGO or not order.working


def waits_above(order: Order) -> bool:
    """Return whether the price has to rise to the order's level."""
    buys = order.side == BUY
    if not is_waiting_stop(order):
        return not buys
    return buys if order.type.startswith("STOP") else not buys


def level_in_bids(order: Order, spread: Decimal, premium: Decimal) -> Decimal:
    """Return the bid at which the order's stop is triggered, or its limit executed.

    ``premium`` is what the mark price is of the middle of the spread. For a stop that waits for the mark price the
    result is right to a hundred-millionth only, since that price is rounded.
    """
    if is_waiting_stop(order):
        return order.stop_price / premium - spread / 2 if order.working_type == MARK else order.stop_price
    return order.price - spread if order.side == BUY else order.price


def is_reached(order: Order, prices: Prices) -> bool:
    """Return whether the market is at the order's level or beyond."""
    if is_waiting_stop(order):
        price, level = (prices.mark if order.working_type == MARK else prices.bid), order.stop_price
    else:
        price, level = (prices.ask if order.side == BUY else prices.bid), order.price
    return price >= level if waits_above(order) else price <= level
