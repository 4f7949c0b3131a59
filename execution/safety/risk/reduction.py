"""Reductions that really reduce, and entries that do not turn a position round by the way."""

from __future__ import annotations

from execution.planning.orders import MarginMode
from execution.safety.risk.context import Exposure, OrderRequest, RiskContext
from execution.safety.risk.verdict import Answer, allowed, judge, refused, unknown


def reduction_is_real(request: OrderRequest, context: RiskContext) -> Answer:
    """Refuse an order that claims to reduce and would open, flip or close more than is held.

    On hedging accounts the ticket decides. On netting accounts what unresolved attempts may close is taken off first,
    so that two closes never add up to more than the position.
    """
    if not request.reduces:
        return allowed("not a reduction")
    if context.exposure is None or context.account is None:
        return unknown("the position")
    if context.account.margin_mode is MarginMode.HEDGING:
        return _closes_ticket(request, context.exposure)
    held = context.exposure.held(request.side.opposite)
    closable = held - context.exposure.pending(request.side)
    message = f"a {request.side} of {request.volume} closes a position of {held}, of which {closable} are free"
    return judge(request.volume <= closable, "not_a_reduction", message)


def _closes_ticket(request: OrderRequest, exposure: Exposure) -> Answer:
    if request.ticket is None:
        return refused("close_without_ticket", "a close on a hedging account needs its ticket, had none")
    if exposure.ticket_lots is None or exposure.ticket_side is None:
        return unknown(f"position {request.ticket}")
    message = (
        f"a {request.side} of {request.volume} closes position {request.ticket}, "
        f"a {exposure.ticket_side} of {exposure.ticket_lots}"
    )
    real = exposure.ticket_side is request.side.opposite and request.volume <= exposure.ticket_lots
    return judge(real, "not_a_reduction", message)


def no_crossing(request: OrderRequest, context: RiskContext) -> Answer:
    """Refuse an entry against the position of a netting account: it would close, or cross zero in one order."""
    if context.exposure is None or context.account is None:
        return unknown("the position")
    if context.account.margin_mode is MarginMode.HEDGING:
        return allowed("a hedging account keeps the sides apart")
    against = context.exposure.held(request.side.opposite)
    message = f"{against} lots are held against a {request.side} of {request.volume}, allowed are 0: close first"
    return judge(against == 0, "crosses_zero", message)
