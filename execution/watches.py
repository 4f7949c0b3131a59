"""What goes wrong with trading while nobody is there to notice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.db.models import Max

from execution.models import Decision
from execution.safety.killswitch import running_kill
from execution.sessions.hourly import JOB, slot_rule
from execution.sessions.slots import Slot, is_too_late, previous_slot
from market.models import Symbol
from ops import clock
from ops.alerts import Trouble
from ops.models import Alert, Run

# Rules whose refusal means that a limit is reached; those about losses have alerts of their own (``loss_alerts``).
CAPS = frozenset(
    {
        *("position_cap", "gross_cap", "net_cap", "margin_cap", "order_cap", "positions_cap"),
        *("orders_per_minute", "orders_per_day", "requests_per_day", "entry_requests_per_day"),
    }
)
SLOW_KILL = timedelta(seconds=60)
NOT_RUN = (Run.Status.QUEUED, Run.Status.SKIPPED)


def missed_sessions() -> Iterator[Trouble]:
    """Yield the newest slot that is past its time when no session ran for it.

    A desk that has never run one misses none.
    """
    slot = _newest_past_slot()
    run = Run.objects.filter(job=JOB, slot=slot.key).first()
    is_missed = run is None or run.status in NOT_RUN
    # The keys of slots sort as their times; those of sessions by hand come after all of them.
    if is_missed and Run.objects.filter(job=JOB, slot__lt=slot.key).exists():
        why = f"its run is {run.status}: {run.error}" if run else "nobody asked for one"
        yield Trouble("missed:session", f"No session ran for the slot of {slot.hour:%Y-%m-%d %H:00}", detail=why)


def _newest_past_slot() -> Slot:
    """Return the newest slot whose bar is not the newest closed one any more."""
    now, rule = clock.market_now(), slot_rule()
    slot = previous_slot(now, rule)
    return slot if is_too_late(slot, now) else previous_slot(slot.at, rule)


def limits_reached() -> Iterator[Trouble]:
    """Yield the traded symbols whose newest decision was refused by a limit."""
    traded = Symbol.objects.traded().values("name")
    newest = Decision.objects.filter(symbol__in=traded).order_by().values("symbol").annotate(newest=Max("pk"))
    refused = Decision.objects.filter(pk__in=newest.values("newest"), verdict="blocked")
    for decision in refused:
        rule = decision.blocker.partition(":")[0]
        if rule in CAPS:
            yield Trouble(
                f"limit:{rule}:{decision.symbol}", f"{decision.symbol} was not traded: {decision.blocker}"[:200]
            )


def slow_kills() -> Iterator[Trouble]:
    """Yield a kill that has not ended within a minute, whoever works on it and whether or not the broker answers."""
    event = running_kill()
    if event is not None and clock.wall_now() - event.latched_at > SLOW_KILL:
        yield Trouble("kill:slow", "Killed, and still not flat", detail=event.cause, level=Alert.Level.CRITICAL)
