"""Bring our book in line with the venue's: fills, doubtful attempts, foreign positions. Idempotent, in one pass."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db import transaction
from django.db.models import F
from loguru import logger

from execution.brokers.base import Broker
from execution.models import Account, Attempt, FillRecord, Intent
from execution.planning.orders import AccountSnapshot, CashMovement, Fill, WorkingOrder
from execution.safety import journal
from execution.safety.gate import NOT_AFTER_S
from execution.safety.ownership import Ownership, read_ownership
from execution.safety.unwritten import import_unwritten
from execution.trading_venues import venue_key
from ops import alerts, clock, heartbeats
from ops.boot import boot_id
from ops.live import announce
from ops.models import Alert

PROOFS_OF_ABSENCE, PROOFS_APART_S = 2, 2.0
EXECUTED_WITHIN_S = 15.0  # of its sending: until then a MetaTrader request may still be executed
HORIZON_S = EXECUTED_WITHIN_S + NOT_AFTER_S  # of its line in the journal: the fence lets it be sent so much later
OVERLAP = timedelta(hours=1)  # fills are asked for again this far back: reports may come late and out of order
FIRST_LOOK_BACK = timedelta(days=30)
HEARTBEAT = "reconcile"
DOUBTFUL = "positions:doubtful"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What a pass found."""

    snapshot: AccountSnapshot
    ownership: Ownership
    orders: tuple[WorkingOrder, ...]
    new_fills: int
    settled: int  # doubtful attempts that are not doubtful any more
    doubtful: int  # attempts that still are


def current_account(snapshot: AccountSnapshot) -> Account:
    """Return the row of an account, made when it is seen for the first time."""
    account, _ = Account.objects.get_or_create(
        login=snapshot.login,
        server=snapshot.server,
        defaults={
            "broker": snapshot.broker,
            "mode": settings.TRADING_MODE,
            "currency": snapshot.currency,
            "margin_mode": snapshot.margin_mode,
            "initial_balance": snapshot.balance,
            "initial_at": clock.market_now(),
        },
    )
    return account


def reconcile(broker: Broker) -> Reconciled:
    """Read the venue and settle what it settles.

    All reads come first: one that fails raises and changes nothing.
    """
    began = clock.mono()
    snapshot = broker.account()
    account = current_account(snapshot)
    since = _since(account)
    fills, cash = broker.fills_since(since), broker.cash_since(since)
    positions, orders = broker.positions(), broker.working_orders()
    import_unwritten(account)
    new_fills = store_fills(account, fills)
    store_cash(account, cash)
    working = {order.magic for order in orders if not order.protects}  # a stop rests though its entry has ended
    settled = _settle_attempts(account, working=working, began=began)
    ownership = read_ownership(account, positions, mode=snapshot.margin_mode, family=None)
    _tell_of_strangers(account, ownership)
    heartbeats.beat(venue_key(account.broker, HEARTBEAT))
    doubtful = Attempt.objects.unresolved().filter(leg__intent__account=account).count()
    if new_fills:
        announce("fills", {"new": new_fills})
    return Reconciled(
        snapshot=snapshot,
        ownership=ownership,
        orders=orders,
        new_fills=new_fills,
        settled=settled,
        doubtful=doubtful,
    )


def _since(account: Account) -> datetime:
    newest = FillRecord.objects.filter(account=account).order_by("-at").values_list("at", flat=True).first()
    mine = Attempt.objects.unresolved().filter(leg__intent__account=account).exclude(market_at=None)
    doubtful = mine.order_by("market_at").values_list("market_at", flat=True).first()
    known = [moment for moment in (newest, doubtful) if moment]
    return min(known) - OVERLAP if known else clock.market_now() - FIRST_LOOK_BACK


def book_fills(broker: Broker, account: Account) -> int:
    """Store the newest deals right after a send: on a netting account they are how we know what is ours."""
    return store_fills(account, broker.fills_since(_since(account)))


def book_movements(broker: Broker, account: Account) -> None:
    """Store everything that moved the balance lately: deals, and what was paid in, paid out or charged."""
    since = _since(account)
    fills, cash = broker.fills_since(since), broker.cash_since(since)
    store_fills(account, fills)
    store_cash(account, cash)


@transaction.atomic
def store_fills(account: Account, fills: tuple[Fill, ...]) -> int:
    """Store deals that are not there yet, under the intent whose magic they bear, and return how many."""
    oldest = min((fill.deal_id for fill in fills), default=0)
    known = set(FillRecord.objects.filter(account=account, deal_id__gte=oldest).values_list("deal_id", flat=True))
    fresh = list({fill.deal_id: fill for fill in fills if fill.deal_id not in known}.values())  # a venue may repeat one
    intents = {i.magic: i for i in Intent.objects.filter(magic__in={fill.magic for fill in fresh})}
    FillRecord.objects.bulk_create([_record(account, fill, intents.get(fill.magic)) for fill in fresh])
    return len(fresh)


def store_cash(account: Account, movements: tuple[CashMovement, ...]) -> None:
    """Store movements of cash that are not there yet, but for those that made the initial balance."""
    begin = account.initial_at
    rows = [_cash_record(account, movement) for movement in movements if begin is None or movement.at > begin]
    FillRecord.objects.bulk_create(rows, ignore_conflicts=True)


def _cash_record(account: Account, movement: CashMovement) -> FillRecord:
    nothing = dict.fromkeys(("volume", "price", "commission", "swap", "fee"), Decimal(0))
    return FillRecord(
        account=account,
        deal_id=movement.deal_id,
        order_id=0,
        position_id=0,
        entry=movement.kind,
        profit=movement.amount,
        at=movement.at,
        **nothing,
    )


def _record(account: Account, fill: Fill, intent: Intent | None) -> FillRecord:
    return FillRecord(
        account=account,
        deal_id=fill.deal_id,
        order_id=fill.order_id,
        position_id=fill.position_id,
        symbol=fill.symbol,
        side=fill.side,
        entry=fill.entry,
        volume=fill.volume,
        price=fill.price,
        profit=fill.profit,
        commission=fill.commission,
        swap=fill.swap,
        fee=fill.fee,
        magic=fill.magic,
        at=fill.at,
        intent=intent,
    )


def _settle_attempts(account: Account, *, working: Container[int], began: float) -> int:
    """Settle attempts without a clear answer whose horizon had passed before this pass began to read.

    Proofs of absence are some time apart: two passes at one moment prove no more than one. An attempt whose
    order is still working (``working`` holds the magics of such orders) has not come to its end.
    """
    settled = 0
    for attempt in Attempt.objects.unresolved().filter(leg__intent__account=account).select_related("leg__intent"):
        if attempt.boot == boot_id() and began - attempt.sent_mono < HORIZON_S + PROOFS_APART_S * attempt.absences:
            continue
        if attempt.leg.intent.magic in working:
            continue
        settled += _settle(attempt)
    return settled


@transaction.atomic
def _settle(attempt: Attempt) -> int:
    """Give an attempt the outcome that the venue's history proves: all its fills, or twice that there are no more."""
    leg, intent = attempt.leg, attempt.leg.intent
    filled = min(_filled_at_venue(intent) - _filled_in_journal(intent), leg.volume - leg.filled)
    found, is_whole = filled > 0, filled == leg.volume - leg.filled
    if not is_whole and attempt.absences + 1 < PROOFS_OF_ABSENCE:
        Attempt.objects.filter(pk=attempt.pk).update(absences=F("absences") + 1)
        return 0
    updated = (
        Attempt.objects.unresolved()
        .filter(pk=attempt.pk)
        .update(
            outcome="ok" if found else "reject",
            volume=max(filled, Decimal(0)),
            message="found in the venue's history" if found else "the venue's history has no such deal",
            resolved_at=clock.wall_now(),
        )
    )
    if not updated:
        return 0
    journal.add_fill(leg, filled)
    status = Intent.Status.DONE if found else Intent.Status.FAILED
    journal.set_status(intent, status, reason="settled by reconciliation")
    logger.bind(symbol=intent.symbol, found=found).info("a doubtful request was settled")
    return 1


def _filled_at_venue(intent: Intent) -> Decimal:
    return sum(intent.fills.values_list("volume", flat=True), Decimal(0))


def _filled_in_journal(intent: Intent) -> Decimal:
    return sum(intent.legs.values_list("filled", flat=True), Decimal(0))


def close_orphans(account: Account) -> int:
    """End intents that a crash left between two sends and that have nothing in doubt; return how many.

    Their positions are real and ours; the next slot plans from what is held.
    """
    begun = Intent.objects.filter(account=account, status__in=[Intent.Status.PLANNED, Intent.Status.WORKING])
    # A kill is worked on by whoever flattens, not by the holder of the trading lease.
    orphans = begun.exclude(cause="kill").exclude(legs__attempts__in=Attempt.objects.unresolved())
    return sum(journal.set_status(i, Intent.Status.FAILED, reason="its process died before the end") for i in orphans)


def _tell_of_strangers(account: Account, ownership: Ownership) -> None:
    key = venue_key(account.broker, DOUBTFUL)
    if ownership.doubtful:
        names = ", ".join(sorted(ownership.doubtful))
        alerts.raise_alert(key, f"Positions of {names} are not what our book says", level=Alert.Level.CRITICAL)
    else:
        alerts.resolve_alert(key)
