"""What the bot writes down: a trade with its intent before the venue hears of it, and why a setup was missed."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from django.db import transaction

from execution.brokers.magic import Family
from execution.errors import RiskRefusedError
from execution.models import Account, BotTrade, LegRecord
from execution.planning.entries import EntryPlan
from execution.planning.orders import Leg, Scene
from execution.safety import journal
from execution.safety.journal import Cause
from mlfilter.models import Setup
from ops.live import announce

ENTER, EXIT = "enter", "exit"
CAUSE = "setup"


def cause_of(setup: Setup, step: str) -> Cause:
    """Return the cause of a setup's step; the same step never trades twice."""
    return Cause(family=Family.SETUP, kind=CAUSE, id=f"{setup.pk}:{step}")


@transaction.atomic
def write_entry(
    account: Account, setup: Setup, plan: EntryPlan, *, contract_size: Decimal, rate: Decimal, life: timedelta
) -> LegRecord:
    """Store trade, intent and leg of an entry, all of them or none.

    Raises
    ------
    RiskRefusedError
        With the code ``setup_symbol`` while an earlier trade of the symbol lives, ``entry:repeated`` when this very
        entry was written before.
    """
    if BotTrade.objects.live().filter(account=account, symbol=setup.symbol).exists():
        raise RiskRefusedError(f"an earlier trade of {setup.symbol} has not ended", codes=["setup_symbol"])
    signed = plan.lots * plan.side.sign
    intent, is_new = journal.open_intent(
        account, setup.symbol, cause_of(setup, ENTER), target=signed, current=Decimal(0)
    )
    if not is_new:
        raise RiskRefusedError(f"the entry of setup {setup.pk} was sent before", codes=["entry:repeated"])
    BotTrade.objects.create(
        account=account,
        setup=setup,
        intent=intent,
        symbol=setup.symbol,
        side=plan.side,
        lots=plan.lots,
        price=plan.price,
        stop=plan.stop,
        target=plan.target,
        risk=plan.risk,
        contract_size=contract_size,
        rate=rate,
        interval=setup.interval,
        deadline_at=setup.bar_at + life,
    )
    leg = Leg(scene=Scene.NEW, symbol=setup.symbol, side=plan.side, volume=plan.lots, reduces=False, sequence=0)
    [record] = journal.record_legs(intent, [leg])
    return record


@transaction.atomic
def write_missed(setup: Setup, reason: str) -> None:
    """Store why an approved setup was not traded, once; its trade, where there is one, has ended."""
    Setup.objects.filter(pk=setup.pk, missed_reason="").update(missed_reason=reason[:200])
    BotTrade.objects.filter(setup=setup, status=BotTrade.Status.PLANNED).update(
        status=BotTrade.Status.MISSED, reason=reason[:300]
    )
    setup.missed_reason = setup.missed_reason or reason[:200]
    announce("setups", {"setup": setup.pk, "missed": reason[:200]})


def write_open(trade: BotTrade) -> bool:
    """Note that a trade was filled; False when that was known."""
    closed = (BotTrade.Status.OPEN, BotTrade.Status.CLOSED)
    moved = BotTrade.objects.filter(pk=trade.pk).exclude(status__in=closed).update(status=BotTrade.Status.OPEN)
    if moved:
        trade.status = BotTrade.Status.OPEN
        Setup.objects.filter(pk=trade.setup_id).exclude(missed_reason="").update(missed_reason="")
        announce("setups", {"trade": trade.pk, "status": trade.status})
    return bool(moved)
