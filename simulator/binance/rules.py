"""What an order has to keep to at the exchange: read from the same filters that ``exchangeInfo`` tells."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from simulator.exchange_rules import filters, quantity_step
from simulator.market import Market

FUTURES_WEIGHT_A_MINUTE = 2400
FUTURES_MIN_NOTIONAL = "5"
FUTURES_TYPES = ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"]
TAKER, MAKER = Decimal("0.0005"), Decimal("0.0002")  # the futures' commission
SPOT_COMMISSION = Decimal("0.001")
MAINTENANCE = Decimal("0.004")  # of the notional; one bracket for every size
MAX_LEVERAGE, USUAL_LEVERAGE = 125, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """One symbol's rules at one of the venues; prices and amounts as Binance's filters have them."""

    symbol: str
    name: str  # the market's
    base: str
    tick: Decimal
    min_price: Decimal
    max_price: Decimal
    step: Decimal
    min_quantity: Decimal
    max_quantity: Decimal
    min_notional: Decimal
    most_up: Decimal
    most_down: Decimal
    max_orders: int
    max_algo_orders: int
    spread: Decimal


def spot_rules(market: Market, name: str) -> Rules:
    """Return a symbol's rules at the spot market."""
    spec = market.symbols[name]
    return _rules(market, name, filters(spec.point, quantity_step(market, name)))


def futures_rules(market: Market, name: str) -> Rules:
    """Return a symbol's rules at the futures market."""
    return _rules(market, name, futures_filters(market, name))


def _rules(market: Market, name: str, rows: list[dict[str, Any]]) -> Rules:
    spec, by = market.symbols[name], {row["filterType"]: row for row in rows}
    percent = by.get("PERCENT_PRICE_BY_SIDE") or by["PERCENT_PRICE"]
    lots, notional = by["LOT_SIZE"], by.get("NOTIONAL") or by["MIN_NOTIONAL"]
    orders = by["MAX_NUM_ORDERS"]
    return Rules(
        symbol=spec.binance_symbol,
        name=name,
        base=spec.currency_base,
        tick=Decimal(by["PRICE_FILTER"]["tickSize"]),
        min_price=Decimal(by["PRICE_FILTER"]["minPrice"]),
        max_price=Decimal(by["PRICE_FILTER"]["maxPrice"]),
        step=Decimal(lots["stepSize"]),
        min_quantity=Decimal(lots["minQty"]),
        max_quantity=Decimal(lots["maxQty"]),
        min_notional=Decimal(notional.get("minNotional") or notional["notional"]),
        most_up=Decimal(percent.get("bidMultiplierUp") or percent["multiplierUp"]),
        most_down=Decimal(percent.get("bidMultiplierDown") or percent["multiplierDown"]),
        max_orders=int(orders.get("maxNumOrders") or orders["limit"]),
        max_algo_orders=int(by.get("MAX_NUM_ALGO_ORDERS", {}).get("maxNumAlgoOrders", 200)),
        spread=Decimal(spec.spread_points).scaleb(-spec.digits),
    )


def futures_step(market: Market, name: str) -> Decimal:
    """Return the step of a futures order: a power of ten, worth less than a hundred dollars, at most one."""
    exponent = round(-math.log10(quantity_step(market, name)))
    return Decimal(1).scaleb(-max(0, exponent - 2))


def futures_filters(market: Market, name: str) -> list[dict[str, Any]]:
    """Return the filters of a futures symbol, as the exchange tells them."""
    spec, step = market.symbols[name], futures_step(market, name)
    tick = Decimal(1).scaleb(-spec.digits)
    lots = {"stepSize": f"{step}", "minQty": f"{step}", "maxQty": f"{step * 10**7}"}
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": f"{tick}",
            "maxPrice": f"{tick * 10**8}",
            "tickSize": f"{tick}",
        },
        {"filterType": "LOT_SIZE", **lots},
        {"filterType": "MARKET_LOT_SIZE", **lots},
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MIN_NOTIONAL", "notional": FUTURES_MIN_NOTIONAL},
        {
            "filterType": "PERCENT_PRICE",
            "multiplierUp": "1.1500",
            "multiplierDown": "0.8500",
            "multiplierDecimal": "4",
        },
    ]


def futures_info(market: Market, now_ms: int) -> dict[str, Any]:
    """Return the futures' ``exchangeInfo``."""
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "futuresType": "U_MARGINED",
        "rateLimits": [
            {
                "rateLimitType": "REQUEST_WEIGHT",
                "interval": "MINUTE",
                "intervalNum": 1,
                "limit": FUTURES_WEIGHT_A_MINUTE,
            },
            {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
            {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300},
        ],
        "exchangeFilters": [],
        "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-100"}],
        "symbols": [_futures_symbol(market, name, now_ms) for name in market.symbols],
    }


def _futures_symbol(market: Market, name: str, now_ms: int) -> dict[str, Any]:
    spec = market.symbols[name]
    return {
        "symbol": spec.binance_symbol,
        "pair": spec.binance_symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": 4_133_404_800_000,
        "onboardDate": market.hour_bars(name).start_ms,
        "status": "TRADING" if market.is_open(name, now_ms) else "PENDING_TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": spec.currency_base,
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "pricePrecision": spec.digits,
        "quantityPrecision": max(0, -int(futures_step(market, name).as_tuple().exponent)),
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10_000,
        "filters": futures_filters(market, name),
        "orderTypes": FUTURES_TYPES,
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }
