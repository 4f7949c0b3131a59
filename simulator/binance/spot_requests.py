"""Turns a spot request into orders: what it asks for, and every filter of the symbol."""

from __future__ import annotations

import secrets
import string
from dataclasses import replace
from decimal import ROUND_DOWN, Decimal
from typing import TYPE_CHECKING

from simulator.binance.levels import is_reached, is_waiting_stop
from simulator.binance.refusals import refusal
from simulator.binance.rows import BUY, NEW, NO_LIST, SELL, SPOT, ZERO, Order, to_8

if TYPE_CHECKING:
    from simulator.binance.params import Params
    from simulator.binance.rules import Rules
    from simulator.binance.venue import Venue

LETTERS = string.ascii_letters + string.digits
TYPES = frozenset(
    {"LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"}
)
PRICED = frozenset({"LIMIT", "LIMIT_MAKER", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"})
TIMED = PRICED - {"LIMIT_MAKER"}
STOPS = frozenset({"STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"})
SIDES = frozenset({BUY, SELL})
TIMES_IN_FORCE = frozenset({"GTC", "IOC", "FOK"})
ABOVE = {SELL: ("LIMIT_MAKER", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"), BUY: ("STOP_LOSS", "STOP_LOSS_LIMIT")}


def fresh_client_id() -> str:
    """Return an id as the exchange makes one where the client sends none."""
    return "".join(secrets.choice(LETTERS) for _ in range(22))


def read_order(venue: Venue, params: Params) -> Order:
    """Return the checked order of ``POST /api/v3/order``; BinanceError for what is wrong with it."""
    rules = venue.tradable(SPOT, params.text("symbol"))
    side = params.choice("side", SIDES, wrong="side")
    kind = params.choice("type", TYPES, wrong="type")
    order = replace(
        _blank(venue, rules, side),
        client_id=params.client_id("newClientOrderId", fresh_client_id()),
        type=kind,
        tif=_time_in_force(params, "timeInForce", kind),
        price=_price(params, "price", kind, PRICED),
        stop_price=_price(params, "stopPrice", kind, STOPS),
        quantity=params.optional_amount("quantity"),
        quote_quantity=params.optional_amount("quoteOrderQty") if kind == "MARKET" else ZERO,
    )
    if not order.quote_quantity:
        params.text("quantity")
    elif order.quantity:
        raise refusal("combination")
    return check_order(venue, rules, _sized(venue, rules, order))


def check_order(venue: Venue, rules: Rules, order: Order) -> Order:
    """Return the order when it keeps to the symbol's filters and its prices make sense now."""
    _check_price(venue, rules, order)
    _check_quantity(rules, order)
    _check_notional(venue, rules, order)
    _check_counts(venue, rules, order)
    if is_waiting_stop(order) and is_reached(order, venue.prices(order.symbol)):
        raise refusal("would trigger")
    if order.type == "LIMIT_MAKER" and (order.price - venue.taker_price(order)) * order.direction >= 0:
        raise refusal("would take")
    if any(one.client_id == order.client_id for one in venue.books.open_orders(SPOT)):
        raise refusal("duplicate")
    return replace(order, id=venue.next_order_id())


def read_oco(venue: Venue, params: Params) -> tuple[Order, Order]:
    """Return the two checked legs of ``POST /api/v3/orderList/oco``, the stop first."""
    rules = venue.tradable(SPOT, params.text("symbol"))
    side = params.choice("side", SIDES, wrong="side")
    list_id, list_client_id = _list_ids(venue, params)
    legs = []
    for place in ("above", "below"):
        allowed = ABOVE[side] if place == "above" else ABOVE[BUY if side == SELL else SELL]
        kind = params.choice(f"{place}Type", allowed, wrong="type")
        leg = replace(
            _blank(venue, rules, side),
            client_id=params.client_id(f"{place}ClientOrderId", fresh_client_id()),
            type=kind,
            tif=_time_in_force(params, f"{place}TimeInForce", kind),
            price=_price(params, f"{place}Price", kind, PRICED),
            stop_price=_price(params, f"{place}StopPrice", kind, STOPS),
            quantity=params.amount("quantity"),
            list_id=list_id,
            list_client_id=list_client_id,
        )
        legs.append(leg)
    return _checked_legs(venue, rules, legs[0], legs[1])


def read_old_oco(venue: Venue, params: Params) -> tuple[Order, Order]:
    """Return the legs of the deprecated ``POST /api/v3/order/oco``: a limit maker and a stop."""
    rules = venue.tradable(SPOT, params.text("symbol"))
    side = params.choice("side", SIDES, wrong="side")
    list_id, list_client_id = _list_ids(venue, params)
    kind = "STOP_LOSS_LIMIT" if params.has("stopLimitPrice") else "STOP_LOSS"
    shared = replace(
        _blank(venue, rules, side), quantity=params.amount("quantity"), list_id=list_id, list_client_id=list_client_id
    )
    maker = replace(
        shared,
        type="LIMIT_MAKER",
        client_id=params.client_id("limitClientOrderId", fresh_client_id()),
        price=params.amount("price"),
    )
    stop = replace(
        shared,
        type=kind,
        client_id=params.client_id("stopClientOrderId", fresh_client_id()),
        tif=_time_in_force(params, "stopLimitTimeInForce", kind),
        price=params.optional_amount("stopLimitPrice"),
        stop_price=params.amount("stopPrice"),
    )
    above, below = (maker, stop) if side == SELL else (stop, maker)
    return _checked_legs(venue, rules, above, below)


def _checked_legs(venue: Venue, rules: Rules, above: Order, below: Order) -> tuple[Order, Order]:
    last = venue.bid(above.symbol)
    if not (below.stop_price or below.price) < last < (above.stop_price or above.price):
        raise refusal("oco prices")
    if above.client_id == below.client_id:
        raise refusal("duplicate")
    first, second = sorted((above, below), key=lambda leg: leg.type == "LIMIT_MAKER")  # as the real one numbers them
    return check_order(venue, rules, first), check_order(venue, rules, second)


def _list_ids(venue: Venue, params: Params) -> tuple[int, str]:
    client_id = params.client_id("listClientOrderId", fresh_client_id())
    if any(order.list_client_id == client_id for order in venue.books.open_orders(SPOT)):
        raise refusal("duplicate")
    return venue.books.next_id("list", first=1), client_id


def _blank(venue: Venue, rules: Rules, side: str) -> Order:
    return Order(
        id=0,
        venue=SPOT,
        symbol=rules.symbol,
        client_id="",
        side=side,
        type="",
        tif="GTC",
        status=NEW,
        price=ZERO,
        stop_price=ZERO,
        quantity=ZERO,
        quote_quantity=ZERO,
        executed=ZERO,
        quote_executed=ZERO,
        list_id=NO_LIST,
        list_client_id="",
        reduce_only=False,
        close_position=False,
        position_side="",
        working_type="CONTRACT_PRICE",
        working=False,
        actual_id=0,
        created_ms=venue.now_ms,
        updated_ms=venue.now_ms,
        trigger_ms=0,
    )


def _time_in_force(params: Params, name: str, kind: str) -> str:
    if kind in TIMED:
        return params.choice(name, TIMES_IN_FORCE, wrong="tif")
    if params.has(name):
        raise refusal("not required", name=name)
    return "GTC"


def _price(params: Params, name: str, kind: str, wanted: frozenset[str]) -> Decimal:
    if kind in wanted:
        return params.amount(name)
    if params.has(name):
        raise refusal("not required", name=name)
    return ZERO


def _sized(venue: Venue, rules: Rules, order: Order) -> Order:
    """Return a market order that was told what to spend with the quantity that buys, in whole steps."""
    if not order.quote_quantity:
        return order
    steps = (order.quote_quantity / venue.taker_price(order) / rules.step).to_integral_value(ROUND_DOWN)
    return replace(order, quantity=to_8(steps * rules.step))


def _check_price(venue: Venue, rules: Rules, order: Order) -> None:
    last = venue.bid(order.symbol)
    for name, price in (("price", order.price), ("stopPrice", order.stop_price)):
        wanted = order.type in (PRICED if name == "price" else STOPS)
        if not wanted:
            continue
        if not rules.min_price <= price <= rules.max_price or price % rules.tick:
            raise refusal("filter", name="PRICE_FILTER")
    if order.price and not last * rules.most_down <= order.price <= last * rules.most_up:
        raise refusal("filter", name="PERCENT_PRICE_BY_SIDE")


def _check_quantity(rules: Rules, order: Order) -> None:
    fits = rules.min_quantity <= order.quantity <= rules.max_quantity and not order.quantity % rules.step
    if not fits and not (order.quote_quantity and not order.quantity):
        raise refusal("filter", name="LOT_SIZE")


def _check_notional(venue: Venue, rules: Rules, order: Order) -> None:
    price = order.price or order.stop_price or venue.bid(order.symbol)
    if order.quantity * price < rules.min_notional:
        raise refusal("filter", name="NOTIONAL")


def _check_counts(venue: Venue, rules: Rules, order: Order) -> None:
    held = venue.books.open_orders(SPOT, order.symbol)
    if len(held) >= rules.max_orders:
        raise refusal("filter", name="MAX_NUM_ORDERS")
    if order.stop_price and sum(bool(one.stop_price) for one in held) >= rules.max_algo_orders:
        raise refusal("filter", name="MAX_NUM_ALGO_ORDERS")
