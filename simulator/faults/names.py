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
