"""The breaker: when requests fail one after the other, or the venue bars us, nothing new until a person has looked."""

from __future__ import annotations

from django.db import transaction

from execution.brokers.base import SendResult
from execution.limits import current_limits
from execution.models import Attempt, ControlRow
from execution.safety import control
from execution.safety.outcomes import Outcome
from ops import alerts
from ops.audit import SYSTEM
from ops.models import Alert

KEY = "breaker"
FAILED = (Outcome.REJECT, Outcome.HALT, Outcome.AMBIGUOUS)
ONE_SYMBOL = frozenset({10017, 10044})  # trading disabled, close only: they bar a symbol, not the account


def watch_requests(result: SendResult) -> None:
    """Pause new risk when this answer calls for it; a person resumes. Call it once the answer is journalled.

    While a kill closes there is nothing to pause: what it sends is never held up.
    """
    if result.outcome in (Outcome.OK, Outcome.NOOP):
        alerts.resolve_alert(KEY)
        return
    reason = _why(result)
    if not reason:
        return
    with transaction.atomic():  # never a pause that nobody is told of
        if control.pause(SYSTEM, reason=reason):
            alerts.raise_alert(KEY, f"Paused: {reason}", level=Alert.Level.CRITICAL)


def _why(result: SendResult) -> str:
    if result.outcome is Outcome.HALT and result.retcode not in ONE_SYMBOL:
        return f"the venue bars trading: {result.retcode_name}: {result.message}"
    most = int(current_limits().max_failures_in_a_row)
    if result.outcome in FAILED and _in_a_row(most):
        return f"{most} requests in a row failed, the last one with {result.retcode_name}: {result.message}"
    return ""


def _in_a_row(count: int) -> bool:
    """Return whether the newest requests since the last change of state all failed."""
    attempts = Attempt.objects.order_by("-id")
    changed_at = ControlRow.objects.filter(scope=ControlRow.SYSTEM).values_list("changed_at", flat=True).first()
    if changed_at is not None:
        attempts = attempts.filter(sent_at__gt=changed_at)
    outcomes = list(attempts.values_list("outcome", flat=True)[:count])
    return len(outcomes) == count and all(outcome in ("", *FAILED) for outcome in outcomes)
