"""The signed spot endpoints: one method each, over the exchange at the clock's now."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from simulator.binance import spot_replies
from simulator.binance.params import Params
from simulator.binance.refusals import refusal
from simulator.binance.routes import SignedRoute
from simulator.binance.rows import CANCELED, NO_LIST, SPOT, Order, Trade
from simulator.binance.spot_requests import fresh_client_id, read_oco, read_old_oco, read_order
from simulator.exchange_errors import BinanceError, missing
from simulator.exchange_routes import RawReply

if TYPE_CHECKING:
    from simulator.binance.venue import Venue

Reply = dict[str, Any]
T = TypeVar("T", Order, Trade)
RESPONSES = frozenset({"ACK", "RESULT", "FULL"})
REPLACE_MODES = frozenset({"STOP_ON_FAILURE", "ALLOW_FAILURE"})
AT_ONCE = frozenset({"MARKET", "LIMIT"})  # answered in full unless the client says otherwise


class SpotApi:
    """What the endpoints need; each takes the parameters and returns what is sent as JSON."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue

    def account(self, params: Params) -> Reply:
        """Tell the balances."""
        told = spot_replies.account(self.venue)
        if params.flag("omitZeroBalances"):
            told["balances"] = [one for one in told["balances"] if float(one["free"]) or float(one["locked"])]
        return told

    def new_order(self, params: Params) -> Reply:
        """Place an order."""
        order = read_order(self.venue, params)
        usual = "FULL" if order.type in AT_ONCE else "ACK"
        kind = params.choice("newOrderRespType", RESPONSES, default=usual)
        self.venue.spot.place([order])
        return spot_replies.placed(self._order(order.id), self._fills(order), kind)

    def test_order(self, params: Params) -> Reply:
        """Check an order and place none."""
        read_order(self.venue, params)
        return {}

    def order(self, params: Params) -> Reply:
        """Tell one order."""
        return spot_replies.stored(self._named(params, "unknown order"))

    def cancel(self, params: Params) -> Reply:
        """Cancel an order; with one leg of a list the whole list ends."""
        order = self._named(params, "unknown cancel")
        client_id = params.client_id("newClientOrderId", fresh_client_id())
        if not order.is_open:
            raise refusal("unknown cancel")
        if order.list_id != NO_LIST:
            return self._cancel_list(order.list_id)
        return spot_replies.cancelled(self.venue.spot.cancel(order), client_id)

    def replace(self, params: Params) -> Reply | RawReply:
        """Cancel an order and place another; the answer says what of it was done, 409 when it is one half."""
        mode = params.choice("cancelReplaceMode", REPLACE_MODES)
        named = {"orderId": "cancelOrderId", "origClientOrderId": "cancelOrigClientOrderId"}
        first = {"symbol": params.text("symbol")} | {name: params.given.get(key, "") for name, key in named.items()}
        ended = _tried(lambda: self.cancel(Params(first)))
        if isinstance(ended, BinanceError) and mode == "STOP_ON_FAILURE":
            return replaced(ended, None)
        return replaced(ended, _tried(lambda: self.new_order(params)))

    def open_orders(self, params: Params) -> list[Reply]:
        """List the open orders of one symbol or of all."""
        symbol = self._optional_symbol(params)
        return [spot_replies.stored(order) for order in self.venue.books.open_orders(SPOT, symbol)]

    def cancel_open_orders(self, params: Params) -> list[Reply]:
        """Cancel all open orders of a symbol, lists as a whole."""
        symbol = self.venue.rule(SPOT, params.text("symbol")).symbol
        orders = self.venue.books.open_orders(SPOT, symbol)
        if not orders:
            raise refusal("unknown cancel")
        told = [
            spot_replies.cancelled(self.venue.spot.cancel(order), fresh_client_id())
            for order in orders
            if order.list_id == NO_LIST
        ]
        lists = dict.fromkeys(order.list_id for order in orders if order.list_id != NO_LIST)
        return [*told, *(self._cancel_list(number) for number in lists)]

    def all_orders(self, params: Params) -> list[Reply]:
        """List a symbol's orders, from an id or between two times."""
        symbol = self.venue.rule(SPOT, params.text("symbol")).symbol
        orders = self.venue.books.select(Order, venue=SPOT, symbol=symbol)
        chosen = between(orders, params, first_id=params.whole("orderId"), moment=lambda order: order.created_ms)
        return [spot_replies.stored(order) for order in chosen]

    def my_trades(self, params: Params) -> list[Reply]:
        """List a symbol's fills: of an order, from an id, or between two times."""
        symbol = self.venue.rule(SPOT, params.text("symbol")).symbol
        trades = self.venue.books.select(Trade, venue=SPOT, symbol=symbol)
        order_id = params.whole("orderId")
        trades = [trade for trade in trades if order_id in (None, trade.order_id)]
        chosen = between(trades, params, first_id=params.whole("fromId"), moment=lambda trade: trade.time_ms)
        return [spot_replies.own_trade(trade) for trade in chosen]

    def new_oco(self, params: Params) -> Reply:
        """Place two orders of which one can execute."""
        return self._placed_list(params, read_oco(self.venue, params))

    def new_old_oco(self, params: Params) -> Reply:
        """Place an OCO through the deprecated endpoint."""
        return self._placed_list(params, read_old_oco(self.venue, params))

    def order_list(self, params: Params) -> Reply:
        """Tell one list."""
        return spot_replies.order_list(self._legs(params, "unknown list", "origClientOrderId"))

    def cancel_list(self, params: Params) -> Reply:
        """Cancel a list."""
        legs = self._legs(params, "unknown cancel", "listClientOrderId")
        if not any(leg.is_open for leg in legs):
            raise refusal("unknown cancel")
        return self._cancel_list(legs[0].list_id)

    def open_lists(self, params: Params) -> list[Reply]:
        """List the lists that can still execute."""
        numbers = dict.fromkeys(order.list_id for order in self.venue.books.open_orders(SPOT))
        return [spot_replies.order_list(self._legs_of(number)) for number in numbers if number != NO_LIST]

    def all_lists(self, params: Params) -> list[Reply]:
        """List all lists."""
        orders = self.venue.books.select(Order, venue=SPOT)
        numbers = dict.fromkeys(order.list_id for order in orders if order.list_id != NO_LIST)
        lists = [self._legs_of(number) for number in numbers]
        first = params.whole("fromId", 0) or 0
        return [spot_replies.order_list(legs) for legs in lists if legs[0].list_id >= first][-params.limit() :]

    def commission(self, params: Params) -> Reply:
        """Tell what a symbol's trades cost."""
        told = spot_replies.account(self.venue)["commissionRates"]
        nothing = dict.fromkeys(told, "0.00000000")
        symbol = self.venue.rule(SPOT, params.text("symbol")).symbol
        off = {"enabledForAccount": False, "enabledForSymbol": False, "discountAsset": "BNB", "discount": "0.00000000"}
        return {"symbol": symbol, "standardCommission": told, "taxCommission": nothing, "discount": off}

    def _placed_list(self, params: Params, legs: tuple[Order, Order]) -> Reply:
        kind = params.choice("newOrderRespType", RESPONSES, default="RESULT")
        self.venue.spot.place(legs)
        now = [self._order(leg.id) for leg in legs]
        reports = [spot_replies.placed(leg, [], "ACK" if kind == "ACK" else "RESULT") for leg in now]
        return {**spot_replies.order_list(now), "orderReports": reports}

    def _cancel_list(self, number: int) -> Reply:
        ended = [self.venue.spot.cancel(leg, status=CANCELED) for leg in self._legs_of(number) if leg.is_open]
        legs = self._legs_of(number)
        reports = [spot_replies.cancelled(leg, fresh_client_id()) for leg in ended]
        return {**spot_replies.order_list(legs), "orderReports": reports}

    def _legs(self, params: Params, unknown: str, client_name: str) -> list[Order]:
        number, client_id = params.whole("orderListId"), params.given.get(client_name, "")
        if number is None and not client_id:
            raise missing("orderListId")
        named = {"list_id": number} if number is not None else {"list_client_id": client_id}
        legs = self.venue.books.select(Order, venue=SPOT, **named)
        if not legs or legs[0].list_id == NO_LIST:
            raise refusal(unknown)
        return self._legs_of(legs[-1].list_id)

    def _legs_of(self, number: int) -> list[Order]:
        return self.venue.books.select(Order, venue=SPOT, list_id=number)

    def _named(self, params: Params, unknown: str) -> Order:
        symbol = self.venue.rule(SPOT, params.text("symbol")).symbol
        order_id, client_id = params.whole("orderId"), params.given.get("origClientOrderId", "")
        return self.venue.found(SPOT, symbol, order_id=order_id, client_id=client_id, missing=unknown)

    def _order(self, order_id: int) -> Order:
        [order] = self.venue.books.select(Order, id=order_id)
        return order

    def _fills(self, order: Order) -> list[Trade]:
        return self.venue.books.select(Trade, venue=SPOT, order_id=order.id)

    def _optional_symbol(self, params: Params) -> str | None:
        return self.venue.rule(SPOT, params.text("symbol")).symbol if params.has("symbol") else None


def _tried(act: Callable[[], Reply]) -> Reply | BinanceError:
    try:
        return act()
    except BinanceError as error:
        return error


def replaced(ended: Reply | BinanceError, placed: Reply | BinanceError | None) -> Reply | RawReply:
    """Return the answer to a cancel-replace from what its halves were answered, None for one that was not tried."""
    told: Reply = {}
    for name, half in (("cancel", ended), ("newOrder", placed)):
        done = "NOT_ATTEMPTED" if half is None else "FAILURE" if isinstance(half, BinanceError) else "SUCCESS"
        told[f"{name}Result"] = done
        told[f"{name}Response"] = half.body if isinstance(half, BinanceError) else half
    results = {told["cancelResult"], told["newOrderResult"]}
    if results == {"SUCCESS"}:
        return told
    half_done = "SUCCESS" in results
    words = "partially failed" if half_done else "failed"
    body = {"code": -2021 if half_done else -2022, "msg": f"Order cancel-replace {words}.", "data": told}
    return RawReply(409 if half_done else 400, json.dumps(body).encode())


def between(rows: Sequence[T], params: Params, *, first_id: int | None, moment: Callable[[T], int]) -> list[T]:
    """Return the page that is asked for: the oldest from an id or a start time on, else the newest."""
    start, end = params.whole("startTime"), params.whole("endTime")
    if start is not None and end is not None and start > end:
        raise BinanceError(-1127, "Start time is greater than end time.")
    kept = [row for row in rows if first_id is None or row.id >= first_id]
    kept = [row for row in kept if (start or 0) <= moment(row) <= (2**62 if end is None else end)]
    limit = params.limit()
    return kept[:limit] if first_id is not None or start is not None else kept[-limit:]


def spot_routes(api: SpotApi) -> dict[tuple[str, str], SignedRoute]:
    """Return the signed spot part of the handler table, with Binance's weights."""
    path = "/api/v3"
    return {
        ("GET", f"{path}/account"): SignedRoute(api.account, 20),
        ("GET", f"{path}/account/commission"): SignedRoute(api.commission, 20),
        ("POST", f"{path}/order"): SignedRoute(api.new_order, 1, n_orders=1),
        ("POST", f"{path}/order/test"): SignedRoute(api.test_order, 1),
        ("GET", f"{path}/order"): SignedRoute(api.order, 4),
        ("DELETE", f"{path}/order"): SignedRoute(api.cancel, 1),
        ("POST", f"{path}/order/cancelReplace"): SignedRoute(api.replace, 1, n_orders=1),
        ("GET", f"{path}/openOrders"): SignedRoute(api.open_orders, lambda query: 6 if query.get("symbol") else 80),
        ("DELETE", f"{path}/openOrders"): SignedRoute(api.cancel_open_orders, 1),
        ("GET", f"{path}/allOrders"): SignedRoute(api.all_orders, 20),
        ("GET", f"{path}/myTrades"): SignedRoute(api.my_trades, lambda query: 5 if query.get("orderId") else 20),
        ("POST", f"{path}/orderList/oco"): SignedRoute(api.new_oco, 1, n_orders=2),
        ("POST", f"{path}/order/oco"): SignedRoute(api.new_old_oco, 1, n_orders=2),
        ("GET", f"{path}/orderList"): SignedRoute(api.order_list, 4),
        ("DELETE", f"{path}/orderList"): SignedRoute(api.cancel_list, 1),
        ("GET", f"{path}/openOrderList"): SignedRoute(api.open_lists, 6),
        ("GET", f"{path}/allOrderList"): SignedRoute(api.all_lists, 20),
    }
