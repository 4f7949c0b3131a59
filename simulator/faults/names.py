"""The calls that faults touch, in groups."""

from __future__ import annotations

SEND = ("order_send",)
ORDERS = ("order_send", "order_check")
RATES = ("copy_rates_from_pos", "copy_rates_from", "copy_rates_range")
SYMBOLS = ("symbol_info", "symbols_get")
PAST = ("history_deals_get", "history_orders_get")
HELD = ("positions_get", "orders_get")
READS = ("account_info", "terminal_info", *SYMBOLS, "symbol_info_tick", *RATES, *HELD, *PAST)
CALLS = (*READS, "symbol_select", *ORDERS)
KLINES, TIME, RULES = "GET /api/v3/klines", "GET /api/v3/time", "GET /api/v3/exchangeInfo"
PUBLIC = (KLINES, TIME, RULES, "GET /api/v3/trades", "GET /api/v3/aggTrades", "GET /api/v3/ticker/price")
SPOT_ORDER, FUTURES_ORDER, ALGO_ORDER = "POST /api/v3/order", "POST /fapi/v1/order", "POST /fapi/v1/algoOrder"
OCO_ORDERS = ("POST /api/v3/orderList/oco", "POST /api/v3/order/oco")
PLACED = (SPOT_ORDER, FUTURES_ORDER, "POST /fapi/v1/batchOrders", ALGO_ORDER, *OCO_ORDERS)
STOPS_PLACED = (*OCO_ORDERS, ALGO_ORDER)
TAKEN_BACK = (
    "DELETE /api/v3/order",
    "DELETE /api/v3/orderList",
    "DELETE /api/v3/openOrders",
    "DELETE /fapi/v1/order",
    "DELETE /fapi/v1/allOpenOrders",
    "DELETE /fapi/v1/algoOrder",
    "DELETE /fapi/v1/algoOpenOrders",
)
LOOKED_UP = ("GET /api/v3/order", "GET /fapi/v1/order", "GET /fapi/v1/algoOrder", "GET /api/v3/orderList")
LISTED = (
    "GET /api/v3/openOrders",
    "GET /api/v3/allOrders",
    "GET /api/v3/myTrades",
    "GET /fapi/v1/openOrders",
    "GET /fapi/v1/allOrders",
    "GET /fapi/v1/openAlgoOrders",
    "GET /fapi/v1/userTrades",
)
FUTURES_READS = (
    "GET /fapi/v1/openOrders",
    "GET /fapi/v1/openAlgoOrders",
    "GET /fapi/v1/userTrades",
    "GET /fapi/v1/positionSide/dual",
    "GET /fapi/v1/symbolConfig",
    "GET /fapi/v2/account",
    "GET /fapi/v3/account",
    "GET /fapi/v2/balance",
    "GET /fapi/v3/balance",
    "GET /fapi/v2/positionRisk",
    "GET /fapi/v3/positionRisk",
    "GET /fapi/v1/income",
    "GET /fapi/v1/allAlgoOrders",
)
SPOT_READS = (
    "GET /sapi/v1/account/apiRestrictions",
    "GET /api/v3/account",
    "GET /api/v3/openOrders",
    "GET /api/v3/openOrderList",
    "GET /api/v3/allOrders",
    "GET /api/v3/myTrades",
)
REPLACE, COUNTDOWN = "POST /api/v3/order/cancelReplace", "POST /fapi/v1/countdownCancelAll"
SETTINGS = (COUNTDOWN, "POST /fapi/v1/leverage", "POST /fapi/v1/marginType", "POST /fapi/v1/positionSide/dual")
SIGNED = tuple(
    dict.fromkeys((*PLACED, REPLACE, *TAKEN_BACK, *LOOKED_UP, *SPOT_READS, *FUTURES_READS, *SETTINGS, *LISTED))
)
FUTURES_SIGNED = tuple(name for name in SIGNED if "/fapi/" in name)
FUTURES_RULES, FUTURES_TIME = "GET /fapi/v1/exchangeInfo", "GET /fapi/v1/time"
OF_EXCHANGE = (*PUBLIC, FUTURES_RULES, FUTURES_TIME, *SIGNED)
