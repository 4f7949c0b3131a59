"""The signed futures endpoints: one method each, over the exchange at the clock's now."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from simulator.binance import futures_replies as replies
from simulator.binance.futures_requests import amended, read_algo, read_order
from simulator.binance.params import Params
from simulator.binance.refusals import refusal
from simulator.binance.routes import SignedRoute
from simulator.binance.rows import ALGO, CANCELED, FUTURES, Movement, Order, Trade
from simulator.binance.spot_api import Reply, between
from simulator.exchange_errors import BinanceError, illegal_characters, missing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simulator.binance.venue import Venue

RESPONSES = frozenset({"ACK", "RESULT"})
MOST_AT_ONCE, MOST_CANCELLED = 5, 10  # orders of a batch
DISTINCT_INCOMES = frozenset({"TRANSFER", "REALIZED_PNL", "FUNDING_FEE", "COMMISSION", "INSURANCE_CLEAR"})


class FuturesApi:
    """What the endpoints need; each takes the parameters and returns what is sent as JSON."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue

    def new_order(self, params: Params) -> Reply:
        """Place an order."""
        order = read_order(self.venue, params)
        kind = params.choice("newOrderRespType", RESPONSES, default="ACK")
        self.venue.futures.place(order)
        placed = self._order(order.id)
        return replies.order(placed) if kind == "RESULT" else replies.acknowledged(placed)

    def test_order(self, params: Params) -> Reply:
        """Check an order and place none."""
        return replies.acknowledged(read_order(self.venue, params))

    def new_batch(self, params: Params) -> list[Reply]:
        """Place up to five orders, each on its own."""
        return [self._tried(self.new_order, one) for one in _batch(params)]

    def amend(self, params: Params) -> Reply:
        """Give a limit order that is open another price and quantity; it keeps its number."""
        order = self._named(params, "unknown order")
        changed = amended(self.venue, order, params)
        self.venue.books.put(replace(order, status=CANCELED))  # gives back its margin; all is undone when refused
        self.venue.futures.place(changed)
        return replies.order(self._order(order.id))

    def cancel_batch(self, params: Params) -> list[Reply]:
        """Cancel some orders of a symbol, each on its own."""
        given = {name.lower(): value for name, value in params.given.items()}
        numbers = {"orderId": _listed(given.get("orderidlist", "[]"))}
        numbers |= {"origClientOrderId": _listed(given.get("origclientorderidlist", "[]"))}
        asked = [{"symbol": params.text("symbol"), name: one} for name, some in numbers.items() for one in some]
        if not 0 < len(asked) <= MOST_CANCELLED:
            raise BinanceError(-4082, "Invalid number of batch orders.")
        return [self._tried(self.cancel, one) for one in asked]

    def order(self, params: Params) -> Reply:
        """Tell one order."""
        return replies.order(self._named(params, "unknown order"))

    def open_order(self, params: Params) -> Reply:
        """Tell one order that is open."""
        order = self._named(params, "unknown order")
        if not order.is_open:
            raise refusal("unknown order")
        return replies.order(order)

    def cancel(self, params: Params) -> Reply:
        """Cancel an order."""
        order = self._named(params, "unknown cancel")
        if not order.is_open:
            raise refusal("unknown cancel")
        return replies.order(self.venue.futures.cancel(order))

    def cancel_all(self, params: Params) -> Reply:
        """Cancel a symbol's orders; algo orders stay."""
        for order in self.venue.books.open_orders(FUTURES, self._symbol(params)):
            self.venue.futures.cancel(order)
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    def countdown(self, params: Params) -> Reply:
        """Cancel a symbol's orders after a while unless asked again before; 0 takes that back, and algo orders stay."""
        symbol, wait_ms = self._symbol(params), params.whole("countdownTime")
        text = params.text("countdownTime")
        due_ms = self.venue.now_ms + round((wait_ms or 0) * self.venue.pace) if wait_ms else 0
        self.venue.books.set_setting(f"countdown {symbol}", due_ms)
        return {"symbol": symbol, "countdownTime": text}

    def open_orders(self, params: Params) -> list[Reply]:
        """List the open orders of one symbol or of all, algo orders aside."""
        return [replies.order(order) for order in self.venue.books.open_orders(FUTURES, self._optional(params))]

    def all_orders(self, params: Params) -> list[Reply]:
        """List a symbol's orders, from an id or between two times."""
        orders = self.venue.books.select(Order, venue=FUTURES, symbol=self._symbol(params))
        chosen = between(orders, params, first_id=params.whole("orderId"), moment=lambda order: order.created_ms)
        return [replies.order(order) for order in chosen]

    def user_trades(self, params: Params) -> list[Reply]:
        """List a symbol's fills: of an order, from an id, or between two times."""
        trades = self.venue.books.select(Trade, venue=FUTURES, symbol=self._symbol(params))
        order_id = params.whole("orderId")
        trades = [trade for trade in trades if order_id in (None, trade.order_id)]
        chosen = between(trades, params, first_id=params.whole("fromId"), moment=lambda trade: trade.time_ms)
        return [replies.trade(trade) for trade in chosen]

    def new_algo(self, params: Params) -> Reply:
        """Place a conditional order."""
        order = read_algo(self.venue, params)
        self.venue.books.put(order)
        return replies.algo(self.venue, order)

    def algo(self, params: Params) -> Reply:
        """Tell one conditional order."""
        return replies.algo(self.venue, self._named_algo(params, "unknown order"))

    def cancel_algo(self, params: Params) -> Reply:
        """Cancel a conditional order that has not been triggered."""
        algo = self._named_algo(params, "unknown cancel")
        if not algo.is_open or algo.working:
            raise refusal("unknown cancel")
        self.venue.futures.cancel(algo)
        return {"algoId": algo.id, "clientAlgoId": algo.client_id, "code": "200", "msg": "success"}

    def cancel_all_algos(self, params: Params) -> Reply:
        """Cancel a symbol's conditional orders."""
        for algo in self.venue.books.open_orders(ALGO, self._symbol(params)):
            if not algo.working:
                self.venue.futures.cancel(algo)
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    def open_algos(self, params: Params) -> list[Reply]:
        """List the conditional orders that wait, of one symbol or of all."""
        return [replies.algo(self.venue, one) for one in self.venue.books.open_orders(ALGO, self._optional(params))]

    def all_algos(self, params: Params) -> list[Reply]:
        """List a symbol's conditional orders."""
        algos = self.venue.books.select(Order, venue=ALGO, symbol=self._symbol(params))
        chosen = between(algos, params, first_id=params.whole("algoId"), moment=lambda algo: algo.created_ms)
        return [replies.algo(self.venue, algo) for algo in chosen]

    def account_2(self, params: Params) -> Reply:
        """Tell the account as version 2 does."""
        return replies.account(self.venue, version=2)

    def account_3(self, params: Params) -> Reply:
        """Tell the account as version 3 does."""
        return replies.account(self.venue, version=3)

    def balance(self, params: Params) -> list[Reply]:
        """Tell the wallet."""
        return [replies.balance(self.venue)]

    def position_risk_2(self, params: Params) -> list[Reply]:
        """List the positions of one symbol or of all, flat ones too."""
        symbols = [self._symbol(params)] if params.has("symbol") else self.venue.listed()
        positions = [position for symbol in symbols for position in replies.sides(self.venue, symbol)]
        return [replies.position_risk(self.venue, position) for position in positions]

    def position_risk_3(self, params: Params) -> list[Reply]:
        """List the positions that are open, or whose symbol has orders."""
        symbols = [self._symbol(params)] if params.has("symbol") else self.venue.listed()
        busy = {order.symbol for order in self.venue.books.open_orders() if order.venue in (FUTURES, ALGO)}
        positions = [position for symbol in symbols for position in replies.sides(self.venue, symbol)]
        return [replies.position_risk_3(self.venue, one) for one in positions if one.amount or one.symbol in busy]

    def income(self, params: Params) -> list[Reply]:
        """List what moved the wallet."""
        kind = params.given.get("incomeType", "")
        if kind and kind not in DISTINCT_INCOMES:
            raise illegal_characters("incomeType", "|".join(sorted(DISTINCT_INCOMES)))
        symbol = self._optional(params)
        rows = self.venue.books.select(Movement, venue=FUTURES)
        rows = [row for row in rows if symbol in (None, row.symbol)]
        told = [(row, replies.income(row)) for row in rows]
        start, end = params.whole("startTime", 0) or 0, params.whole("endTime", 2**62) or 2**62
        kept = [one for row, one in told if kind in ("", one["incomeType"]) and start <= row.time_ms <= end]
        limit = params.limit(default=100)
        return kept[:limit] if params.has("startTime") else kept[-limit:]

    def _tried(self, act: Callable[[Params], Reply], given: Mapping[str, str]) -> Reply:
        try:
            return act(Params(given))
        except BinanceError as error:
            return error.body

    def _symbol(self, params: Params) -> str:
        return self.venue.rule(FUTURES, params.text("symbol")).symbol

    def _optional(self, params: Params) -> str | None:
        return self._symbol(params) if params.has("symbol") else None

    def _order(self, order_id: int) -> Order:
        [order] = self.venue.books.select(Order, id=order_id)
        return order

    def _named(self, params: Params, unknown: str) -> Order:
        order_id, client_id = params.whole("orderId"), params.given.get("origClientOrderId", "")
        return self.venue.found(FUTURES, self._symbol(params), order_id=order_id, client_id=client_id, missing=unknown)

    def _named_algo(self, params: Params, unknown: str) -> Order:
        number, client_id = params.whole("algoId"), params.given.get("clientAlgoId", "")
        if number is None and not client_id:
            raise missing("algoId")
        named: dict[str, Any] = {"id": number} if number is not None else {"client_id": client_id}
        algos = self.venue.books.select(Order, venue=ALGO, **named)
        if not algos:
            raise refusal(unknown)
        return algos[-1]


def _batch(params: Params) -> list[dict[str, str]]:
    text = params.text("batchOrders")
    try:
        orders = json.loads(text)
    except ValueError:
        orders = None
    if not isinstance(orders, list) or not all(isinstance(order, dict) for order in orders):
        raise missing("batchOrders")
    if len(orders) > MOST_AT_ONCE:
        raise BinanceError(-4082, "Invalid number of batch orders.")
    return [{name: _as_sent(value) for name, value in order.items()} for order in orders]


def _listed(text: str) -> list[str]:
    """Return the entries of a JSON list."""
    try:
        entries = json.loads(text)
    except ValueError:
        entries = None
    if not isinstance(entries, list):
        raise illegal_characters("orderIdList", "a JSON list")
    return [str(entry) for entry in entries]


def _as_sent(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def futures_routes(api: FuturesApi) -> dict[tuple[str, str], SignedRoute]:
    """Return the signed futures part of the handler table, with Binance's weights."""
    path = "/fapi/v1"
    routes = {
        ("POST", "order"): SignedRoute(api.new_order, 1, n_orders=1),
        ("POST", "order/test"): SignedRoute(api.test_order, 1),
        ("POST", "batchOrders"): SignedRoute(api.new_batch, 5, n_orders=5),
        ("DELETE", "batchOrders"): SignedRoute(api.cancel_batch, 1),
        ("PUT", "order"): SignedRoute(api.amend, 1, n_orders=1),
        ("GET", "order"): SignedRoute(api.order, 1),
        ("GET", "openOrder"): SignedRoute(api.open_order, 1),
        ("DELETE", "order"): SignedRoute(api.cancel, 1),
        ("DELETE", "allOpenOrders"): SignedRoute(api.cancel_all, 1),
        ("POST", "countdownCancelAll"): SignedRoute(api.countdown, 10),
        ("GET", "openOrders"): SignedRoute(api.open_orders, lambda query: 1 if query.get("symbol") else 40),
        ("GET", "allOrders"): SignedRoute(api.all_orders, 5),
        ("GET", "userTrades"): SignedRoute(api.user_trades, 5),
        ("POST", "algoOrder"): SignedRoute(api.new_algo, 1, n_orders=1),
        ("GET", "algoOrder"): SignedRoute(api.algo, 1),
        ("DELETE", "algoOrder"): SignedRoute(api.cancel_algo, 1),
        ("DELETE", "algoOpenOrders"): SignedRoute(api.cancel_all_algos, 1),
        ("GET", "openAlgoOrders"): SignedRoute(api.open_algos, lambda query: 1 if query.get("symbol") else 40),
        ("GET", "allAlgoOrders"): SignedRoute(api.all_algos, 5),
        ("GET", "income"): SignedRoute(api.income, 30),
    }
    versions = {
        ("GET", "/fapi/v2/account"): SignedRoute(api.account_2, 5),
        ("GET", "/fapi/v3/account"): SignedRoute(api.account_3, 5),
        ("GET", "/fapi/v2/balance"): SignedRoute(api.balance, 5),
        ("GET", "/fapi/v3/balance"): SignedRoute(api.balance, 5),
        ("GET", "/fapi/v2/positionRisk"): SignedRoute(api.position_risk_2, 5),
        ("GET", "/fapi/v3/positionRisk"): SignedRoute(api.position_risk_3, 5),
    }
    return {(method, f"{path}/{name}"): route for (method, name), route in routes.items()} | versions
