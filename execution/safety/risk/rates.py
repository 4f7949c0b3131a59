"""How often: orders per minute and day, and every trade request of the day."""

from __future__ import annotations

from decimal import Decimal

from execution.safety.risk.context import OrderRequest, RiskContext
from execution.safety.risk.verdict import Answer, judge


def orders_per_minute(_: OrderRequest, context: RiskContext) -> Answer:
    """Bound the orders of the last minute."""
    return _count("orders in a minute", context.counts.orders_last_minute, context.limits.max_orders_per_minute)


def orders_per_day(_: OrderRequest, context: RiskContext) -> Answer:
    """Bound the orders of the day."""
    return _count("orders today", context.counts.orders_today, context.limits.max_orders_per_day)


def requests_per_day(_: OrderRequest, context: RiskContext) -> Answer:
    """Bound all trade requests of the day."""
    return _count("requests today", context.counts.requests_today, context.limits.max_requests_per_day)


def entry_requests_per_day(_: OrderRequest, context: RiskContext) -> Answer:
    """Stop entries while requests are left to get out with."""
    most = context.limits.max_entry_requests_per_day
    return _count("requests today before entries stop", context.counts.requests_today, most)


def _count(what: str, before: int, most: Decimal) -> Answer:
    return judge(before + 1 <= most, "too_many", f"this would be number {before + 1} of {what}, allowed are {most}")
