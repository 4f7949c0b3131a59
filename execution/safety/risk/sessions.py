"""When: no entries in hours that a person set aside."""

from __future__ import annotations

from execution.safety.risk.context import OrderRequest, RiskContext
from execution.safety.risk.verdict import Answer, judge, unknown


def session_hours(request: OrderRequest, context: RiskContext) -> Answer:
    """Refuse entries in quiet hours of the symbol."""
    if not context.quiet_hours:
        return judge(True, "quiet_hours", "there are no quiet hours")
    at = context.market_at
    if at is None:
        return unknown("the market's time")
    covering = [hours for hours in context.quiet_hours if hours.covers(request.symbol, at)]
    named = ", ".join(map(str, covering)) or "none"
    return judge(not covering, "quiet_hours", f"quiet hours of {request.symbol} at {at:%a %H:%M} UTC: {named}")
