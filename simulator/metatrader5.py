"""The simulated MetaTrader5 module: the real package's functions, structures and constants over a simulated world.

It behaves as the package does: a function that fails returns None (data) or False (commands) and leaves the reason in
``last_error()``; before ``initialize()`` every one fails with -10004. All times are the server's wall clock as seconds
since 1970, and so are the moments given to functions. Beyond the package, :func:`mount` chooses the world and
:func:`advance` lets its account catch up with its clock.
"""

from simulator.api_connection import account_info, initialize, last_error, login, shutdown, terminal_info, version
from simulator.api_prices import (
    copy_rates_from,
    copy_rates_from_pos,
    copy_rates_range,
    copy_ticks_from,
    copy_ticks_range,
    market_book_add,
    market_book_get,
    market_book_release,
    symbol_info,
    symbol_info_tick,
    symbol_select,
    symbols_get,
    symbols_total,
)
from simulator.api_shortcuts import Buy, Close, Sell
from simulator.api_trades import (
    history_deals_get,
    history_deals_total,
    history_orders_get,
    history_orders_total,
    order_calc_margin,
    order_calc_profit,
    order_check,
    order_send,
    orders_get,
    orders_total,
    positions_get,
    positions_total,
)
from simulator.constants import *  # noqa: F403 - the package's own way to have its 223 constants
from simulator.mounting import advance, mount, mounted, mounted_account, unmount
from simulator.structs import (
    AccountInfo,
    BookInfo,
    OrderCheckResult,
    OrderSendResult,
    SymbolInfo,
    TerminalInfo,
    Tick,
    TradeDeal,
    TradeOrder,
    TradePosition,
    TradeRequest,
)

__author__ = "SimDesk Ltd"
__version__ = "5.0.6231"  # of the package whose surface this is

__all__ = [
    "AccountInfo",
    "BookInfo",
    "Buy",
    "Close",
    "OrderCheckResult",
    "OrderSendResult",
    "Sell",
    "SymbolInfo",
    "TerminalInfo",
    "Tick",
    "TradeDeal",
    "TradeOrder",
    "TradePosition",
    "TradeRequest",
    "account_info",
    "advance",
    "copy_rates_from",
    "copy_rates_from_pos",
    "copy_rates_range",
    "copy_ticks_from",
    "copy_ticks_range",
    "history_deals_get",
    "history_deals_total",
    "history_orders_get",
    "history_orders_total",
    "initialize",
    "last_error",
    "login",
    "market_book_add",
    "market_book_get",
    "market_book_release",
    "mount",
    "mounted",
    "mounted_account",
    "order_calc_margin",
    "order_calc_profit",
    "order_check",
    "order_send",
    "orders_get",
    "orders_total",
    "positions_get",
    "positions_total",
    "shutdown",
    "symbol_info",
    "symbol_info_tick",
    "symbol_select",
    "symbols_get",
    "symbols_total",
    "terminal_info",
    "unmount",
    "version",
]
