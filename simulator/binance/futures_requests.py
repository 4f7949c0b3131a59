"""Turns a futures request into an order or an algo order: what it asks for, mode, filters, and what may be reduced."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from simulator.binance.futures import BOTH, LONG, SHORT, WITH_POSITION
from simulator.binance.levels import MARK, is_reached
from simulator.binance.refusals import refusal
from simulator.binance.rows import ALGO, BUY, FUTURES, SELL, ZERO, Order
from simulator.binance.spot_requests import SIDES, fresh_client_id

if TYPE_CHECKING:
    from simulator.binance.params import Params
    from simulator.binance.rules import Rules
    from simulator.binance.venue import Venue

TYPES = frozenset({"LIMIT", "MARKET"})
CONDITIONAL = frozenset({"STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"})
ALGO_TYPES = CONDITIONAL - {"TRAILING_STOP_MARKET"}
TIMES_IN_FORCE = frozenset({"GTC", "IOC", "FOK", "GTX"})
WORKING_TYPES = frozenset({MARK, "CONTRACT_PRICE"})
POSITION_SIDES = frozenset({BOTH, LONG, SHORT})
CLOSES = {LONG: SELL, SHORT: BUY}


def read_order(venue: Venue, params: Params) -> Order:
    """Return the checked order of ``POST /fapi/v1/order``; BinanceError for what is wrong with it."""
    rules = venue.tradable(FUTURES, params.text("symbol"))
    kind = params.text("type")
    if kind in CONDITIONAL:
        raise refusal("algo endpoint")
    params.choice("type", TYPES, wrong="type")
    order = _shared(venue, rules, params, client_name="newClientOrderId")
    if kind == "LIMIT":
        tif = params.choice("timeInForce", TIMES_IN_FORCE, wrong="tif")
        order = replace(order, type=kind, tif=tif, price=params.amount("price"))
        _check_price(venue, rules, order)
    elif params.has("timeInForce"):
        raise refusal("not required", name="timeInForce")
    elif params.has("price"):
        raise refusal("not required", name="price")
    _check_quantity(rules, order)
    order = _within_position(venue, order)
    _check_notional(venue, rules, order)
    _check_client_id(venue, order)
    return order


def amended(venue: Venue, order: Order, params: Params) -> Order:
    """Return an open limit order with the price and the quantity of ``PUT /fapi/v1/order``."""
    rules = venue.tradable(FUTURES, order.symbol)
    if not order.is_open or order.type != "LIMIT" or params.choice("side", SIDES, wrong="side") != order.side:
        raise refusal("unknown order")
    changed = replace(order, price=params.amount("price"), quantity=params.amount("quantity"), updated_ms=venue.now_ms)
    _check_price(venue, rules, changed)
    _check_quantity(rules, changed)
    _check_notional(venue, rules, changed)
    return changed


def read_algo(venue: Venue, params: Params) -> Order:
    """Return the checked algo order of ``POST /fapi/v1/algoOrder``."""
    rules = venue.tradable(FUTURES, params.text("symbol"))
    params.choice("algoType", {"CONDITIONAL"})
    kind = params.choice("type", ALGO_TYPES, wrong="type")
    order = replace(
        _shared(venue, rules, params, client_name="clientAlgoId"),
        venue=ALGO,
        type=kind,
        tif=params.choice("timeInForce", {*TIMES_IN_FORCE, WITH_POSITION}, default="GTC", wrong="tif"),
        price=ZERO if kind.endswith("MARKET") else params.amount("price"),
        stop_price=params.amount("triggerPrice"),
        working=False,
        working_type=params.choice("workingType", WORKING_TYPES, default="CONTRACT_PRICE"),
        close_position=params.flag("closePosition"),
    )
    _check_prices(rules, order)
    if order.close_position:
        order = _closing(venue, params, order)
    else:
        _check_quantity(rules, order)
        _check_notional(venue, rules, order)
    _check_client_id(venue, order)
    if order.tif == WITH_POSITION and not venue.futures.reducible(order):
        raise refusal("no position")
    if is_reached(order, venue.prices(order.symbol)):
        raise refusal("immediately")
    return order


def _shared(venue: Venue, rules: Rules, params: Params, *, client_name: str) -> Order:
    side = params.choice("side", SIDES, wrong="side")
    position_side = params.choice("positionSide", POSITION_SIDES, default=BOTH)
    if (position_side == BOTH) is venue.futures.hedging:
        raise refusal("side mode")
    if venue.futures.hedging and params.has("reduceOnly"):
        raise refusal("not required", name="reduceOnly")
    closing = params.flag("closePosition")
    quantity = ZERO if closing else params.amount("quantity")
    client_id = params.client_id(client_name, fresh_client_id())
    order = venue.futures.market_order(rules.symbol, side, quantity, client_id=client_id, position_side=position_side)
    return replace(order, reduce_only=params.flag("reduceOnly") or CLOSES.get(position_side) == side)


def _closing(venue: Venue, params: Params, order: Order) -> Order:
    for name in ("quantity", "reduceOnly"):
        if params.has(name):
            raise refusal("not required", name=name)
    for other in venue.books.open_orders(ALGO, order.symbol):
        same = (other.type, other.side, other.position_side) == (order.type, order.side, order.position_side)
        if other.close_position and same:
            raise refusal("close position exists")
    return order


def _within_position(venue: Venue, order: Order) -> Order:
    """Return a reducing order no larger than what is left to reduce; what waits to reduce counts as gone."""
    if not order.reduce_only:
        return order
    held = venue.futures.reducible(order)
    if not held:
        raise refusal("reduce only")
    waiting = [one for one in venue.books.open_orders(FUTURES, order.symbol) if one.reduce_only]
    reserved = sum((one.remaining for one in waiting if one.position_side == order.position_side), ZERO)
    if held <= reserved:
        raise refusal("covered")
    if order.position_side != BOTH and order.quantity > held - reserved:
        raise refusal("reduce only")
    return replace(order, quantity=min(order.quantity, held - reserved))


def _check_price(venue: Venue, rules: Rules, order: Order) -> None:
    _check_prices(rules, order)
    mark = venue.mark(order.symbol)
    if order.side == BUY and order.price > (most := mark * rules.most_up):
        raise refusal("price high", value=f"{most:.2f}")
    if order.side == SELL and order.price < (least := mark * rules.most_down):
        raise refusal("price low", value=f"{least:.2f}")


def _check_prices(rules: Rules, order: Order) -> None:
    for price in filter(None, (order.price, order.stop_price)):
        if not rules.min_price <= price <= rules.max_price:
            raise refusal("zero price")
        if price % rules.tick:
            raise refusal("tick")
    if order.type != "MARKET" and not order.price and not order.stop_price:
        raise refusal("zero price")


def _check_quantity(rules: Rules, order: Order) -> None:
    if order.quantity <= 0:
        raise refusal("zero quantity")
    if order.quantity % rules.step:
        raise refusal("step")
    if order.quantity < rules.min_quantity:
        raise refusal("min quantity")
    if order.quantity > rules.max_quantity:
        raise refusal("max quantity")


def _check_notional(venue: Venue, rules: Rules, order: Order) -> None:
    price: Decimal = order.price or order.stop_price or venue.mark(order.symbol)
    if not order.reduce_only and order.quantity * price < rules.min_notional:
        raise refusal("min notional", value=rules.min_notional)


def _check_client_id(venue: Venue, order: Order) -> None:
    if any(one.client_id == order.client_id for one in venue.books.open_orders(order.venue)):
        raise refusal("duplicate futures")
