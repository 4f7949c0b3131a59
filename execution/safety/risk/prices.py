"""A price near the plan's, and a spread worth paying."""

from __future__ import annotations

from execution.planning.invariants import require_positive
from execution.safety.risk.context import OrderRequest, RiskContext
from execution.safety.risk.verdict import Answer, judge, unknown


def price_collar(request: OrderRequest, context: RiskContext) -> Answer:
    """Refuse an entry whose price has left the plan's."""
    if context.quote is None:
        return unknown("the price")
    require_positive(plan_price=request.plan_price)
    price, collar = context.quote.price_for(request.side), context.limits.price_collar
    drift = abs(price / request.plan_price - 1)
    message = f"{price} is {drift:.4f} away from the plan's {request.plan_price}, allowed is {collar}"
    return judge(drift <= collar, "price_collar", message)


def spread_cap(_: OrderRequest, context: RiskContext) -> Answer:
    """Refuse an entry into a wide spread."""
    if context.quote is None:
        return unknown("the spread")
    spread, most = context.quote.spread_fraction, context.limits.max_spread
    return judge(spread <= most, "spread_cap", f"the spread is {spread:.5f} of the price, allowed is {most}")
