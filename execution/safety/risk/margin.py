"""How much of the equity may be tied up as margin."""

from __future__ import annotations

from execution.planning.invariants import require_positive
from execution.planning.orders import Side
from execution.planning.sizing import contract_value
from execution.safety.risk.context import OrderRequest, RiskContext
from execution.safety.risk.verdict import Answer, judge, refused, unknown


def margin_cap(request: OrderRequest, context: RiskContext) -> Answer:
    """Bound the margin: what is used, and what attempts and the request need at the account's leverage.

    A symbol may have less leverage than its account; the venue refuses then, and this rule is only the first bound.
    """
    account, exposure = context.account, context.exposure
    if account is None or exposure is None or context.spec is None:
        return unknown("the margin")
    if account.leverage < 1:
        return refused("no_leverage", f"the account's leverage must be at least 1, was {account.leverage}")
    require_positive(equity=account.equity)
    lots = exposure.pending(Side.BUY) + exposure.pending(Side.SELL) + request.volume
    needed = lots * contract_value(context.spec, request.plan_price, context.rate) / account.leverage
    margin, most = account.margin + needed, context.limits.max_margin * account.equity
    return judge(margin <= most, "margin_cap", f"the margin may reach {margin:.2f}, allowed is {most:.2f}")
