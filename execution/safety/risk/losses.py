"""How much may still be lost. Budgets fall from a start to a floor, and equity is what counts, floating included."""

from __future__ import annotations

from execution.planning.invariants import require_not_negative
from execution.safety.risk.context import LossKind, OrderRequest, RiskContext
from execution.safety.risk.verdict import Answer, allowed, judge, unknown


def daily_loss(request: OrderRequest, context: RiskContext) -> Answer:
    """Refuse entries once the day's loss has passed its soft line, or would at the order's stop."""
    return _headroom(LossKind.DAILY, request, context)


def total_loss(request: OrderRequest, context: RiskContext) -> Answer:
    """The same for the loss since the start."""
    return _headroom(LossKind.TOTAL, request, context)


def drawdown(request: OrderRequest, context: RiskContext) -> Answer:
    """The same for the fall from the highest equity."""
    return _headroom(LossKind.DRAWDOWN, request, context)


def after_reset(request: OrderRequest, context: RiskContext) -> Answer:
    """The same for what the next midnight leaves, where it is near: a loss that floats over it starts the new day."""
    if not any(budget.kind is LossKind.AFTER_RESET for budget in context.budgets):
        return allowed("the next reset is not near")
    return _headroom(LossKind.AFTER_RESET, request, context)


def _headroom(kind: LossKind, request: OrderRequest, context: RiskContext) -> Answer:
    """Judge by the strictest budget of a kind: the one whose floor for entries is highest."""
    floors = [budget.entry_floor for budget in context.budgets if budget.kind is kind]
    if context.account is None or not floors:
        return unknown(f"the {kind} loss budget")
    require_not_negative(worst_loss=request.worst_loss)
    equity, floor = context.account.equity - request.worst_loss, max(floors)
    message = f"equity is or may become {equity:.2f}, entries need more than {floor:.2f}"
    return judge(equity > floor, f"{kind}_loss", message)
