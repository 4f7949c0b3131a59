"""The package's functions about positions, orders, deals and trade requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator import history, trading
from simulator.arguments import Moment, read_choice, read_past, read_positive, read_side
from simulator.money import exact, margin, profit
from simulator.mounting import TERMINAL, data, live
from simulator.received import noted
from simulator.structs import OrderCheckResult, OrderSendResult, TradeDeal, TradeOrder, TradePosition
from simulator.trade_requests import parse_request

if TYPE_CHECKING:
    from simulator.symbols import SimSymbol


def positions_total() -> int | None:
    """Return the number of open positions."""
    return data("positions_total", lambda: len(live().ledger.positions()))


def positions_get(
    *args: object, symbol: str | None = None, group: str | None = None, ticket: int | None = None
) -> tuple[TradePosition, ...] | None:
    """Return the open positions: all, of a symbol, of a group, or the one with a ticket."""
    return data(
        "positions_get", lambda: history.positions(live(), read_choice(args, symbol, group, ticket)), symbol=symbol
    )


def orders_total() -> int | None:
    """Return the number of working orders."""
    return data("orders_total", lambda: len(live().ledger.orders()))


def orders_get(
    *args: object, symbol: str | None = None, group: str | None = None, ticket: int | None = None
) -> tuple[TradeOrder, ...] | None:
    """Return the working orders: all, of a symbol, of a group, or the one with a ticket."""
    return data(
        "orders_get", lambda: history.working_orders(live(), read_choice(args, symbol, group, ticket)), symbol=symbol
    )


def history_orders_total(date_from: Moment, date_to: Moment) -> int | None:
    """Return the number of orders that ended between two moments."""
    return data("history_orders_total", lambda: len(history.done_orders(live(), read_past(date_from, date_to))))


def history_orders_get(
    date_from: Moment | None = None,
    date_to: Moment | None = None,
    *,
    group: str | None = None,
    ticket: int | None = None,
    position: int | None = None,
) -> tuple[TradeOrder, ...] | None:
    """Return the orders that ended: between two moments, of a position, or the one with a ticket."""
    return data(
        "history_orders_get",
        lambda: history.done_orders(live(), read_past(date_from, date_to, group, ticket, position)),
    )


def history_deals_total(date_from: Moment, date_to: Moment) -> int | None:
    """Return the number of deals between two moments."""
    return data("history_deals_total", lambda: len(history.deals(live(), read_past(date_from, date_to))))


def history_deals_get(
    date_from: Moment | None = None,
    date_to: Moment | None = None,
    *,
    group: str | None = None,
    ticket: int | None = None,
    position: int | None = None,
) -> tuple[TradeDeal, ...] | None:
    """Return the deals: between two moments, of a position, or of the order with a ticket."""
    return data(
        "history_deals_get",
        lambda: history.deals(live(), read_past(date_from, date_to, group, ticket, position)),
    )


def order_calc_margin(action: int, symbol: str, volume: float, price: float) -> float | None:
    """Return the margin of a trade in account currency, other positions aside."""

    def body() -> float:
        account, spec = live(), _spec(symbol)
        read_side(action)
        lots, at = read_positive("volume", volume), read_positive("price", price)
        return float(margin(spec, exact(lots), at, leverage=account.leverage))

    return data("order_calc_margin", body)


def order_calc_profit(action: int, symbol: str, volume: float, price_open: float, price_close: float) -> float | None:
    """Return the profit of a trade between two prices in account currency, without commission and swap."""

    def body() -> float:
        spec, side, lots = _spec(symbol), read_side(action), exact(read_positive("volume", volume))
        opened, closed = read_positive("price_open", price_open), read_positive("price_close", price_close)
        return float(profit(spec, side, lots, price_open=opened, price_close=closed))

    return data("order_calc_profit", body)


def order_check(request: dict[str, Any]) -> OrderCheckResult | None:
    """Return whether a request would be executed: retcode 0, else the refusal that order_send() would give."""
    return data("order_check", lambda: trading.check(live(), parse_request(request)), request=request)


def order_send(request: dict[str, Any]) -> OrderSendResult | None:
    """Execute a trade request; retcode 10009 is done, None means that it never left the terminal."""
    with noted(TERMINAL, request) as answer:
        answer.value = data(
            "order_send",
            lambda: trading.send(live(), parse_request(request), TERMINAL.next_request_id()),
            request=request,
        )
    return answer.value


def _spec(symbol: str) -> SimSymbol:
    return live().market.symbols[TERMINAL.known(symbol)]
