"""The spot market's JSON: orders, fills, lists and the account, in the shapes of the recorded replies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from simulator.binance.levels import is_waiting_stop
from simulator.binance.rows import NO_LIST, SPOT, ZERO, Order, Trade
from simulator.binance.rules import SPOT_COMMISSION

if TYPE_CHECKING:
    from simulator.binance.venue import Venue

PREVENTION = "EXPIRE_MAKER"


def stored(order: Order) -> dict[str, Any]:
    """Return an order as a query tells it."""
    return {
        **_head(order),
        "clientOrderId": order.client_id,
        **_amounts(order),
        "stopPrice": f"{order.stop_price:.8f}",
        "icebergQty": "0.00000000",
        "time": order.created_ms,
        "updateTime": order.updated_ms,
        "isWorking": not is_waiting_stop(order),
        "workingTime": _working_time(order),
        "origQuoteOrderQty": f"{order.quote_quantity:.8f}",
        "selfTradePreventionMode": PREVENTION,
    }


def placed(order: Order, trades: Sequence[Trade], kind: str) -> dict[str, Any]:
    """Return what a new order is answered: ACK, RESULT, or FULL with its fills."""
    told = {**_head(order), "clientOrderId": order.client_id, "transactTime": order.updated_ms}
    if kind == "ACK":
        return told
    told |= {**_amounts(order), **_stop(order), "workingTime": _working_time(order)}
    told |= {"origQuoteOrderQty": f"{order.quote_quantity:.8f}", "selfTradePreventionMode": PREVENTION}
    return told | {"fills": [_fill(trade) for trade in trades]} if kind == "FULL" else told


def cancelled(order: Order, client_id: str) -> dict[str, Any]:
    """Return what a cancellation is answered; it has an id of its own."""
    told = {**_head(order), "origClientOrderId": order.client_id, "clientOrderId": client_id}
    told |= {"transactTime": order.updated_ms, **_amounts(order), **_stop(order)}
    return told | {"selfTradePreventionMode": PREVENTION}


def order_list(orders: Sequence[Order]) -> dict[str, Any]:
    """Return a list of two orders."""
    first = orders[0]
    working = any(order.is_open for order in orders)
    return {
        "orderListId": first.list_id,
        "contingencyType": "OCO",
        "listStatusType": "EXEC_STARTED" if working else "ALL_DONE",
        "listOrderStatus": "EXECUTING" if working else "ALL_DONE",
        "listClientOrderId": first.list_client_id,
        "transactionTime": max(order.updated_ms for order in orders),
        "symbol": first.symbol,
        "orders": [{"symbol": order.symbol, "orderId": order.id, "clientOrderId": order.client_id} for order in orders],
    }


def own_trade(trade: Trade) -> dict[str, Any]:
    """Return a fill as ``myTrades`` tells it."""
    return {
        "symbol": trade.symbol,
        "id": trade.id,
        "orderId": trade.order_id,
        "orderListId": trade.list_id,
        "price": f"{trade.price:.8f}",
        "qty": f"{trade.quantity:.8f}",
        "quoteQty": f"{trade.quote:.8f}",
        "commission": f"{trade.commission:.8f}",
        "commissionAsset": trade.commission_asset,
        "time": trade.time_ms,
        "isBuyer": trade.side == "BUY",
        "isMaker": trade.maker,
        "isBestMatch": True,
    }


def account(venue: Venue) -> dict[str, Any]:
    """Return the account with every asset that it could hold."""
    locked, held = venue.spot.locked(), venue.books.balances(SPOT)
    assets = sorted(held.keys() | {rules.base for rules in venue.rules[SPOT].values()})
    rate = f"{SPOT_COMMISSION:.8f}"
    return {
        "makerCommission": 10,
        "takerCommission": 10,
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {"maker": rate, "taker": rate, "buyer": "0.00000000", "seller": "0.00000000"},
        "canTrade": True,
        "canWithdraw": True,
        "canDeposit": True,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": venue.now_ms,
        "accountType": "SPOT",
        "balances": [
            {
                "asset": asset,
                "free": f"{held.get(asset, ZERO) - locked.get(asset, ZERO):.8f}",
                "locked": f"{locked.get(asset, ZERO):.8f}",
            }
            for asset in assets
        ],
        "permissions": ["SPOT"],
        "uid": 100_001,
    }


def _head(order: Order) -> dict[str, Any]:
    return {"symbol": order.symbol, "orderId": order.id, "orderListId": order.list_id or NO_LIST}


def _amounts(order: Order) -> dict[str, Any]:
    return {
        "price": f"{order.price:.8f}",
        "origQty": f"{order.quantity:.8f}",
        "executedQty": f"{order.executed:.8f}",
        "cummulativeQuoteQty": f"{order.quote_executed:.8f}",
        "status": order.status,
        "timeInForce": order.tif,
        "type": order.type,
        "side": order.side,
    }


def _stop(order: Order) -> dict[str, Any]:
    return {"stopPrice": f"{order.stop_price:.8f}"} if order.stop_price else {}


def _working_time(order: Order) -> int:
    return -1 if is_waiting_stop(order) else (order.trigger_ms or order.created_ms)


def _fill(trade: Trade) -> dict[str, Any]:
    return {
        "price": f"{trade.price:.8f}",
        "qty": f"{trade.quantity:.8f}",
        "commission": f"{trade.commission:.8f}",
        "commissionAsset": trade.commission_asset,
        "tradeId": trade.id,
    }
