"""One request on its own, under an intent of its own: the closes of a kill, and the taking back of what rests."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from loguru import logger

from execution.brokers.base import SendResult
from execution.errors import ExecutionError
from execution.models import Account, Attempt, Intent, LegRecord
from execution.planning.orders import Leg, Scene, WorkingOrder
from execution.safety import journal
from execution.safety.journal import Cause
from execution.safety.outcomes import Outcome

DONE = (Outcome.OK, Outcome.NOOP)


def end_steps(account: Account, cause: Cause) -> int:
    """End the steps of a cause's ids that a crash left behind, with nothing in doubt; return how many."""
    begun = Intent.objects.open().filter(account=account, cause=cause.kind, cause_id__startswith=cause.id)
    left = begun.exclude(status=Intent.Status.AMBIGUOUS).exclude(legs__attempts__in=Attempt.objects.unresolved())
    return sum(journal.set_status(one, Intent.Status.FAILED, reason="its process died before the end") for one in left)


def record_step(account: Account, cause: Cause, leg: Leg, *, current: Decimal = Decimal(0)) -> LegRecord | None:
    """Journal what is about to be done; None when this very step was begun before."""
    intent, is_new = journal.open_intent(account, leg.symbol, cause, target=Decimal(0), current=current)
    return journal.record_legs(intent, [leg])[0] if is_new else None


def cancel_leg(order: WorkingOrder) -> Leg:
    """Return the leg that takes a resting order back; its ticket is the order's number."""
    return Leg(
        scene=Scene.CLOSE,
        symbol=order.symbol,
        side=order.side.opposite,
        volume=order.volume_left,
        ticket=order.order_id,
        reduces=True,
        sequence=0,
    )


def carry_out(leg: LegRecord | None, send: Callable[[LegRecord], SendResult]) -> bool:
    """Send a step and book how it ended; True when it is done, and a failure leaves it to whoever tries again."""
    if leg is None:
        return False
    try:
        result = send(leg)
    except ExecutionError as error:
        logger.bind(symbol=leg.intent.symbol).error("a step failed: {}", error)
        journal.set_status(leg.intent, Intent.Status.FAILED, reason=str(error))
        return False
    is_done = result.outcome in DONE
    if result.outcome is not Outcome.AMBIGUOUS:
        status = Intent.Status.DONE if is_done else Intent.Status.FAILED
        journal.set_status(leg.intent, status, reason=result.message)
    return is_done
