"""The functions of the module that may be called over the wire, and how long each may take."""

from __future__ import annotations

READS = (
    "account_info",
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
    "order_calc_margin",
    "order_calc_profit",
    "order_check",
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
    "version",
)
WRITES = ("order_send",)  # the only one that can move money: it goes through the fence

READ_DEADLINE_S = 5.0
WRITE_DEADLINE_S = 10.0
CONNECT_DEADLINE_S = 60.0  # these two may start MetaTrader itself
CONNECTS = ("initialize", "login")


def require_allowed(function: str) -> None:
    """Raise ValueError with the whole list unless the function may be called."""
    if function not in READS and function not in WRITES:
        raise ValueError(f"function {function!r} may not be called; allowed: {', '.join((*READS, *WRITES))}")


def deadline_s(function: str) -> float:
    """Return how many seconds the call may run in the module before its process is killed."""
    if function in WRITES:
        return WRITE_DEADLINE_S
    return CONNECT_DEADLINE_S if function in CONNECTS else READ_DEADLINE_S
