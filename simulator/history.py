"""Answers the terminal's questions about positions, orders and deals: by symbol, group mask, ticket or time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from simulator.readings import trade_deal, trade_order, trade_position
from simulator.server_time import HOUR_MS, to_server_s, to_utc_ms
from simulator.symbol_readings import matching

if TYPE_CHECKING:
    from simulator.account import Account
    from simulator.arguments import Choice, Past
    from simulator.ledger import Deal, Order, Position
    from simulator.structs import TradeDeal, TradeOrder, TradePosition

Row = TypeVar("Row", "Position", "Order", "Deal")
Held = TypeVar("Held", "Position", "Order")
Done = TypeVar("Done", "Order", "Deal")
Span = tuple[int, int]  # server times in ms, both ends included


def positions(account: Account, choice: Choice) -> tuple[TradePosition, ...]:
    """Return the chosen open positions."""
    return tuple(trade_position(account, p) for p in _chosen(account.ledger.positions(), choice))


def working_orders(account: Account, choice: Choice) -> tuple[TradeOrder, ...]:
    """Return the chosen working orders."""
    return tuple(trade_order(account, o) for o in _chosen(account.ledger.orders(), choice))


def done_orders(account: Account, past: Past) -> tuple[TradeOrder, ...]:
    """Return orders that ended: the one with a ticket, else a position's, else those that ended in a span."""
    ledger = account.ledger
    if past.ticket is not None:
        rows = ledger.history_orders_of(ticket=past.ticket)
    elif past.position is not None:
        rows = ledger.history_orders_of(position_id=past.position)
    else:
        rows = _in_span(ledger.history_orders, past.span, lambda order: order.done_ms)
    return tuple(trade_order(account, o) for o in _grouped(rows, past.group))


def deals(account: Account, past: Past) -> tuple[TradeDeal, ...]:
    """Return deals: those of an order's ticket, else a position's, else those made in a span."""
    ledger = account.ledger
    if past.ticket is not None:
        rows = ledger.deals_of(order_ticket=past.ticket)
    elif past.position is not None:
        rows = ledger.deals_of(position_id=past.position)
    else:
        rows = _in_span(ledger.deals, past.span, lambda deal: deal.time_ms)
    return tuple(trade_deal(d) for d in _grouped(rows, past.group))


def _chosen(rows: list[Held], choice: Choice) -> list[Held]:
    if choice.ticket is not None:
        return [row for row in rows if row.ticket == choice.ticket]
    if choice.symbol is not None:
        return [row for row in rows if row.symbol == choice.symbol]
    return _grouped(rows, choice.group)


def _grouped(rows: list[Row], group: str | None) -> list[Row]:
    names = set(matching({row.symbol for row in rows}, group))
    return [row for row in rows if row.symbol in names]


def _in_span(read: Callable[..., list[Done]], span: Span | None, moment: Callable[[Done], int]) -> list[Done]:
    """Return the rows of a span of the server's clock, to whole seconds.

    An hour is read more on both sides, and the clock's own reading decides: in November it shows an hour twice.
    """
    if span is None:
        return read()
    rows = read(from_ms=to_utc_ms(span[0]) - HOUR_MS, to_ms=to_utc_ms(span[1]) + 2 * HOUR_MS)
    return [row for row in rows if span[0] // 1000 <= to_server_s(moment(row)) <= span[1] // 1000]
