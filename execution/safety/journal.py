"""The journal: every intent, leg and attempt is durable before the venue hears of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Max

from execution.brokers.base import SendResult
from execution.brokers.magic import EMERGENCY_COUNTER, MAGICS, MAX_COUNTER, encode_magic
from execution.errors import BrokerUnavailableError
from execution.models import Account, Attempt, Decision, FillRecord, Intent, LegRecord
from execution.planning.orders import Leg
from execution.safety.outcomes import Outcome
from execution.safety.risk import Verdict
from ops import clock
from ops.boot import boot_id
from ops.live import announce

IN_DOUBT = "an earlier request's outcome is not known yet"
RESTORED_GAP = 1000  # orders that were under way when the newer database was lost have counters above its deals'


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What an intent is for: the same cause never trades twice."""

    family: str  # rebalance or setup
    kind: str  # session, manual, setup, naked, cancel, kill or person
    id: str  # slot, command's uuid, setup and step, or kill, ticket and round


def open_intent(
    account: Account, symbol: str, cause: Cause, *, target: Decimal, current: Decimal, decision: Decision | None = None
) -> tuple[Intent, bool]:
    """Return the intent of a cause and whether this call made it."""
    known = {"account": account, "symbol": symbol, "family": cause.family, "cause": cause.kind, "cause_id": cause.id}
    with transaction.atomic():
        found = Intent.objects.filter(**known).first()
        if found:
            return found, False
        counter = _next_counter()
        intent = Intent.objects.create(
            **known,
            counter=counter,
            magic=encode_magic(cause.family, counter),
            mode=settings.TRADING_MODE,
            decision=decision,
            target_lots=target,
            from_lots=current,
            market_at=clock.market_now(),
        )
    return intent, True


def _next_counter() -> int:
    """Return a counter that no intent has, nor any deal that an intent of a newer database left at the venue."""
    ordinary = Intent.objects.filter(counter__lt=EMERGENCY_COUNTER)
    newest: int = ordinary.aggregate(newest=Max("counter"))["newest"] or 0
    strangers = FillRecord.objects.filter(intent=None, magic__range=(MAGICS.start, MAGICS.stop - 1))
    counters = strangers.annotate(counter=F("magic").bitand(MAX_COUNTER)).filter(counter__lt=EMERGENCY_COUNTER)
    seen: int = counters.aggregate(seen=Max("counter"))["seen"] or 0
    return newest + 1 if newest >= seen else seen + RESTORED_GAP


def record_legs(intent: Intent, legs: Sequence[Leg]) -> list[LegRecord]:
    """Store the legs of a plan after those that the intent has already."""
    first = intent.legs.count()
    with transaction.atomic():
        return [
            LegRecord.objects.create(
                intent=intent,
                sequence=first + place,
                scene=leg.scene,
                side=leg.side,
                volume=leg.volume,
                ticket=leg.ticket,
                reduces=leg.reduces,
            )
            for place, leg in enumerate(legs)
        ]


def begin_attempt(leg: LegRecord, *, request: dict[str, Any], verdicts: Sequence[Verdict], fence: int) -> Attempt:
    """Write the attempt so that it survives the loss of power; only then may it be sent (invariant 3)."""
    with durable(), transaction.atomic():
        Intent.objects.filter(pk=leg.intent_id, status=Intent.Status.PLANNED).update(status=Intent.Status.WORKING)
        return Attempt.objects.create(
            leg=leg,
            number=leg.attempts.count() + 1,
            request=request,
            verdicts=as_rows(verdicts),
            fence=fence,
            boot=boot_id(),
            market_at=clock.market_now(),
        )


@contextmanager
def durable() -> Iterator[None]:
    """Make SQLite wait for the disk on commits inside the block; PostgreSQL does so by default."""
    if connection.vendor != "sqlite":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous=FULL")
        try:
            yield
        finally:
            cursor.execute("PRAGMA synchronous=NORMAL")


@transaction.atomic
def finish_attempt(attempt: Attempt, result: SendResult) -> None:
    """Store the raw reply and what it means for the leg and the intent.

    A reconcile may have been quicker, as when this process stood still: what it found in the history stays, and of a
    late answer only a deal is news.
    """
    if _is_settled(attempt, result):
        return
    is_settled = result.outcome is not Outcome.AMBIGUOUS
    Attempt.objects.filter(pk=attempt.pk).update(
        outcome=result.outcome,
        retcode=result.retcode,
        reply=dict(result.raw),
        message=f"{result.retcode_name} {result.message}".strip()[:300],
        price=result.price,
        volume=result.volume,
        replied_at=clock.wall_now(),
        resolved_at=clock.wall_now() if is_settled else None,
    )
    if is_settled:
        add_fill(attempt.leg, result.volume)
    else:
        set_status(attempt.leg.intent, Intent.Status.AMBIGUOUS, reason="the outcome of a request is not known")
    announce("orders", {"attempt": attempt.pk, "outcome": result.outcome})


def _is_settled(attempt: Attempt, result: SendResult) -> bool:
    executed = (Outcome.OK, Outcome.PARTIAL)
    settled = Attempt.objects.exclude(resolved_at=None).filter(pk=attempt.pk).values_list("outcome", flat=True).first()
    return settled in executed or (settled is not None and result.outcome not in executed)


def require_open(intent: Intent) -> None:
    """Refuse to send for an intent that has ended, as when a reconcile settled it while its process stood still.

    Raises
    ------
    BrokerUnavailableError
        The intent has ended; nothing was sent.
    """
    intent.refresh_from_db(fields=["status", "reason"])
    if intent.status in Intent.Status.terminal():
        raise BrokerUnavailableError(f"the intent has ended meanwhile: {intent.reason or intent.status}")


def is_in_doubt(account: Account, symbol: str) -> bool:
    """Return whether a request of the symbol may or may not have been executed."""
    doubtful = Attempt.objects.unresolved().filter(leg__intent__account=account, leg__intent__symbol=symbol)
    return doubtful.exists()


def add_fill(leg: LegRecord, volume: Decimal) -> None:
    """Count what was filled; never more than the leg asked for."""
    if volume > 0:
        LegRecord.objects.filter(pk=leg.pk).update(filled=F("filled") + min(volume, leg.volume - leg.filled))
        leg.refresh_from_db(fields=["filled"])


def set_status(intent: Intent, status: Intent.Status, *, reason: str = "") -> bool:
    """Move an intent that has not ended; False when it had."""
    moved = Intent.objects.open().filter(pk=intent.pk).update(status=status, reason=reason[:300])
    if moved:
        intent.status, intent.reason = status, reason[:300]
        announce("orders", {"intent": intent.pk, "status": status})
    return bool(moved)


def as_rows(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Return verdicts as JSON keeps them."""
    return [{"rule": v.rule, "ok": v.ok, "code": v.code, "message": v.message} for v in verdicts]
