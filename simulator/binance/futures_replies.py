"""The futures market's JSON: orders, algo orders, trades, positions and the account, in the recorded shapes."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from simulator.binance.futures import BOTH, LONG, SHORT
from simulator.binance.rows import ALGO, BUY, FINISHED, FUTURES, TRIGGERED, ZERO, Movement, Order, Position, Trade, to_8
from simulator.binance.rules import MAINTENANCE, MAX_LEVERAGE, TAKER

if TYPE_CHECKING:
    from simulator.binance.venue import Venue

MAX_NOTIONAL = "100000000"
SHARED = {"priceProtect": False, "priceMatch": "NONE", "selfTradePreventionMode": "EXPIRE_MAKER", "goodTillDate": 0}


def plain(value: Decimal) -> str:
    """Return a number without trailing zeros or an exponent."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") or "0" if "." in text else text


def order(row: Order) -> dict[str, Any]:
    """Return an order."""
    return {
        "orderId": row.id,
        "symbol": row.symbol,
        "status": row.status,
        "clientOrderId": row.client_id,
        "price": plain(row.price),
        "avgPrice": f"{row.average:.5f}",
        "origQty": plain(row.quantity),
        "executedQty": plain(row.executed),
        "cumQty": plain(row.executed),
        "cumQuote": plain(row.quote_executed),
        "timeInForce": row.tif,
        "type": row.type,
        "reduceOnly": row.reduce_only and row.position_side == BOTH,
        "closePosition": row.close_position,
        "side": row.side,
        "positionSide": row.position_side,
        "stopPrice": "0",
        "workingType": row.working_type,
        "origType": row.type,
        **SHARED,
        "time": row.created_ms,
        "updateTime": row.updated_ms,
    }


def acknowledged(row: Order) -> dict[str, Any]:
    """Return an order as it was when it arrived: that is all an ACK tells."""
    nothing = {"status": "NEW", "avgPrice": "0.00", "executedQty": "0", "cumQty": "0", "cumQuote": "0"}
    return order(row) | nothing


def algo(venue: Venue, row: Order) -> dict[str, Any]:
    """Return an algo order, with what became of it once it was triggered."""
    told = {
        "algoId": row.id,
        "clientAlgoId": row.client_id,
        "algoType": "CONDITIONAL",
        "orderType": row.type,
        "symbol": row.symbol,
        "side": row.side,
        "positionSide": row.position_side,
        "timeInForce": row.tif,
        "quantity": plain(row.quantity),
        "algoStatus": row.status,
        "triggerPrice": plain(row.stop_price),
        "price": plain(row.price),
        "icebergQuantity": None,
        "workingType": row.working_type,
        "closePosition": row.close_position,
        "reduceOnly": row.reduce_only and row.position_side == BOTH,
        **SHARED,
        "createTime": row.created_ms,
        "updateTime": row.updated_ms,
        "triggerTime": row.trigger_ms,
        "actualOrderId": str(row.actual_id or ""),
        "actualPrice": "0.00000",
        "actualQty": "0",
    }
    if row.actual_id and row.status in (TRIGGERED, FINISHED):
        [became] = venue.books.select(Order, id=row.actual_id)
        told |= {"actualPrice": f"{became.average:.5f}", "actualQty": plain(became.executed)}
        told["actualType"] = became.type
    return told


def trade(row: Trade) -> dict[str, Any]:
    """Return a fill."""
    return {
        "symbol": row.symbol,
        "id": row.id,
        "orderId": row.order_id,
        "side": row.side,
        "price": plain(row.price),
        "qty": plain(row.quantity),
        "realizedPnl": f"{row.realized:.8f}",
        "quoteQty": plain(row.quote),
        "commission": f"{row.commission:.8f}",
        "commissionAsset": row.commission_asset,
        "time": row.time_ms,
        "positionSide": row.position_side,
        "buyer": row.side == BUY,
        "maker": row.maker,
    }


def income(row: Movement) -> dict[str, Any]:
    """Return a movement of the wallet."""
    kind = "TRANSFER" if row.kind == "DEPOSIT" else row.kind
    return {
        "symbol": row.symbol,
        "incomeType": kind,
        "income": f"{row.amount:.8f}",
        "asset": row.asset,
        "info": kind,
        "time": row.time_ms,
        "tranId": row.id,
        "tradeId": str(row.trade_id or ""),
    }


def sides(venue: Venue, symbol: str) -> list[Position]:
    """Return a symbol's positions as the mode has them, flat ones too."""
    names = (LONG, SHORT) if venue.futures.hedging else (BOTH,)
    return [venue.books.position(symbol, name) for name in names]


def position_risk(venue: Venue, position: Position) -> dict[str, Any]:
    """Return a position as version 2 tells it."""
    symbol, futures = position.symbol, venue.futures
    mark, isolated = venue.mark(symbol), futures.margin_type(symbol) == "ISOLATED"
    margin = futures.initial_margin(position) if isolated else ZERO
    break_even = position.entry * (1 + TAKER * (1 if position.amount > 0 else -1))
    return {
        "symbol": symbol,
        "positionAmt": plain(position.amount),
        "entryPrice": plain(position.entry),
        "breakEvenPrice": plain(to_8(break_even)),
        "markPrice": f"{mark:.8f}",
        "unRealizedProfit": f"{position.worth(mark):.8f}",
        "liquidationPrice": plain(futures.liquidation_price(position)),
        "leverage": str(futures.leverage(symbol)),
        "maxNotionalValue": MAX_NOTIONAL,
        "marginType": "isolated" if isolated else "cross",
        "isolatedMargin": f"{margin:.8f}",
        "isAutoAddMargin": "false",
        "positionSide": position.position_side,
        "notional": plain(futures.notional(position)),
        "isolatedWallet": plain(margin),
        "updateTime": position.updated_ms,
    }


def position_risk_3(venue: Venue, position: Position) -> dict[str, Any]:
    """Return a position as version 3 tells it: without leverage and margin type."""
    futures = venue.futures
    told = position_risk(venue, position)
    for name in ("leverage", "maxNotionalValue", "marginType", "isAutoAddMargin"):
        del told[name]
    margin = f"{futures.initial_margin(position):.8f}"
    orders = futures.orders_margin(position.symbol)
    return told | {
        "marginAsset": "USDT",
        "initialMargin": margin,
        "maintMargin": f"{_maintenance(venue, position):.8f}",
        "positionInitialMargin": margin,
        "openOrderInitialMargin": f"{orders:.8f}",
        "adl": 1 if position.amount else 0,
        "bidNotional": "0",
        "askNotional": "0",
    }


def balance(venue: Venue) -> dict[str, Any]:
    """Return the wallet."""
    wallet, floating = venue.futures.wallet(), venue.futures.floating()
    free = f"{max(ZERO, venue.futures.available()):.8f}"
    return {
        "accountAlias": "SgsR",
        "asset": "USDT",
        "balance": f"{wallet:.8f}",
        "crossWalletBalance": f"{wallet:.8f}",
        "crossUnPnl": f"{floating:.8f}",
        "availableBalance": free,
        "maxWithdrawAmount": free,
        "marginAvailable": True,
        "updateTime": venue.now_ms,
    }


def account(venue: Venue, *, version: int) -> dict[str, Any]:
    """Return wallet, margins and positions; version 2 lists flat positions too, version 3 does not."""
    asset = _asset(venue)
    totals = {f"total{name[0].upper()}{name[1:]}": asset[name] for name in _SUMS}
    totals["totalUnrealizedProfit"] = asset["unrealizedProfit"]
    totals |= {"availableBalance": asset["availableBalance"], "maxWithdrawAmount": asset["maxWithdrawAmount"]}
    positions = [position for symbol in venue.listed() for position in sides(venue, symbol)]
    if version == 3:
        rows = [_account_position(venue, one) for one in positions if one.amount or _has_orders(venue, one.symbol)]
        return {**totals, "assets": [asset], "positions": rows}
    head = {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "updateTime": 0,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
    }
    return {**head, **totals, "assets": [asset], "positions": [_account_position_2(venue, one) for one in positions]}


_SUMS = (
    "initialMargin",
    "maintMargin",
    "walletBalance",
    "marginBalance",
    "positionInitialMargin",
    "openOrderInitialMargin",
    "crossWalletBalance",
    "crossUnPnl",
)


def _asset(venue: Venue) -> dict[str, Any]:
    futures = venue.futures
    held = sum((futures.initial_margin(position) for position in futures.open_positions()), ZERO)
    orders, wallet, floating = futures.orders_margin(), futures.wallet(), futures.floating()
    amounts = {
        "walletBalance": wallet,
        "unrealizedProfit": floating,
        "marginBalance": wallet + floating,
        "maintMargin": futures.maintenance(),
        "initialMargin": held + orders,
        "positionInitialMargin": held,
        "openOrderInitialMargin": orders,
        "crossWalletBalance": wallet,
        "crossUnPnl": floating,
        "availableBalance": max(ZERO, futures.available()),
        "maxWithdrawAmount": max(ZERO, futures.available()),
    }
    told: dict[str, Any] = {name: f"{amount:.8f}" for name, amount in amounts.items()}
    return {"asset": "USDT", **told, "marginAvailable": True, "updateTime": venue.now_ms}


def _account_position(venue: Venue, position: Position) -> dict[str, Any]:
    margin = f"{venue.futures.initial_margin(position):.8f}"
    return {
        "symbol": position.symbol,
        "positionSide": position.position_side,
        "positionAmt": plain(position.amount),
        "unrealizedProfit": f"{position.worth(venue.mark(position.symbol)):.8f}",
        "isolatedMargin": "0.00000000",
        "notional": plain(venue.futures.notional(position)),
        "isolatedWallet": "0",
        "initialMargin": margin,
        "maintMargin": f"{_maintenance(venue, position):.8f}",
        "updateTime": position.updated_ms,
    }


def _account_position_2(venue: Venue, position: Position) -> dict[str, Any]:
    symbol = position.symbol
    told = _account_position(venue, position)
    return told | {
        "positionInitialMargin": told["initialMargin"],
        "openOrderInitialMargin": f"{venue.futures.orders_margin(symbol):.8f}",
        "leverage": str(venue.futures.leverage(symbol)),
        "isolated": venue.futures.margin_type(symbol) == "ISOLATED",
        "entryPrice": plain(position.entry),
        "breakEvenPrice": plain(position.entry),
        "maxNotional": MAX_NOTIONAL,
        "bidNotional": "0",
        "askNotional": "0",
    }


def _maintenance(venue: Venue, position: Position) -> Decimal:
    return to_8(abs(venue.futures.notional(position)) * MAINTENANCE)


def _has_orders(venue: Venue, symbol: str) -> bool:
    return any(one.venue in (FUTURES, ALGO) for one in venue.books.open_orders(symbol=symbol))


def leverage_brackets(symbol: str) -> dict[str, Any]:
    """Return the one bracket that every size is in."""
    bracket = {
        "bracket": 1,
        "initialLeverage": MAX_LEVERAGE,
        "notionalCap": int(MAX_NOTIONAL),
        "notionalFloor": 0,
        "maintMarginRatio": float(MAINTENANCE),
        "cum": 0.0,
    }
    return {"symbol": symbol, "notionalCoef": 1.0, "brackets": [bracket]}
