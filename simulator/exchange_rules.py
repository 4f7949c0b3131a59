"""What the simulated Binance says about its symbols and limits: ``exchangeInfo``."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from simulator.market import Market
from simulator.ratelimit import WEIGHT_A_MINUTE

ORDER_TYPES = ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"]
RATE_LIMITS = [
    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": WEIGHT_A_MINUTE},
    {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100},
    {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 200_000},
    {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 61_000},
]
PRECISIONS = ["baseAssetPrecision", "quotePrecision", "quoteAssetPrecision"]
PRECISIONS += ["baseCommissionPrecision", "quoteCommissionPrecision"]
MIN_NOTIONAL = "5.00000000"


def exchange_info(market: Market, names: Iterable[str], now_ms: int) -> dict[str, Any]:
    """Return the reply for some of the market's symbols, named as the broker does."""
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "rateLimits": RATE_LIMITS,
        "exchangeFilters": [],
        "symbols": [_symbol_info(market, name, now_ms) for name in names],
    }


def quantity_step(market: Market, name: str) -> float:
    """Return the step of an order's quantity: a power of ten, worth less than a dollar at the market's first price."""
    bars = market.hour_bars(name)
    price = float(bars.close[0]) / 10.0**bars.digits
    return float(10.0 ** -min(8, max(0, math.ceil(math.log10(price)))))


def _symbol_info(market: Market, name: str, now_ms: int) -> dict[str, Any]:
    spec = market.symbols[name]
    quote = spec.binance_symbol.removeprefix(spec.currency_base)
    return {
        "symbol": spec.binance_symbol,
        "status": "TRADING" if market.is_open(name, now_ms) else "BREAK",
        "baseAsset": spec.currency_base,
        "quoteAsset": quote,
        **dict.fromkeys(PRECISIONS, 8),
        "orderTypes": ORDER_TYPES,
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": filters(spec.point, quantity_step(market, name)),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_MAKER"],
    }


def filters(tick: float, step: float) -> list[dict[str, Any]]:
    """Return the filters of a spot symbol, as the exchange tells them."""
    lots = {"minQty": f"{step:.8f}", "maxQty": f"{step * 10**9:.8f}", "stepSize": f"{step:.8f}"}
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": f"{tick:.8f}",
            "maxPrice": f"{tick * 10**8:.8f}",
            "tickSize": f"{tick:.8f}",
        },
        {"filterType": "LOT_SIZE", **lots},
        {"filterType": "ICEBERG_PARTS", "limit": 10},
        {"filterType": "MARKET_LOT_SIZE", **lots | {"minQty": "0.00000000", "stepSize": "0.00000000"}},
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": "5",
            "bidMultiplierDown": "0.2",
            "askMultiplierUp": "5",
            "askMultiplierDown": "0.2",
            "avgPriceMins": 5,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": MIN_NOTIONAL,
            "applyMinToMarket": True,
            "maxNotional": "9000000.00000000",
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
    ]
