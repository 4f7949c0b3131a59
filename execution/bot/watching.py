"""What is done for the bot's trades at every bar: finding out what was filled, timeouts, and leftovers of orders."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db.models import QuerySet

from execution.bot.naked import closing_leg
from execution.bot.standing import is_the_bots
from execution.bot.writing import EXIT, cause_of, write_missed, write_open
from execution.brokers.magic import Family, decode_magic
from execution.models import Account, BotTrade, FillRecord, Intent
from execution.planning.orders import FillEntry, Position
from execution.safety.control import Needed
from execution.safety.gate import Gate, Terms
from execution.safety.journal import Cause
from execution.safety.steps import cancel_leg, carry_out, record_step
from execution.sessions.bot_slots import BotSlot
from mlfilter.models import BotSymbol, Setup


def settle_trades(account: Account, positions: Iterable[Position]) -> None:
    """Find out what became of entries whose process died or whose answer was lost, after a reconcile.

    A position proves its entry whatever the journal made of it; so does a deal. What has neither was missed as soon as
    its intent has ended.
    """
    held = {position.magic for position in positions if is_the_bots(position)}
    trades = BotTrade.objects.filter(account=account).select_related("intent", "setup")
    for trade in trades.filter(status=BotTrade.Status.MISSED, intent__magic__in=held):
        write_open(trade)
    for trade in trades.filter(status=BotTrade.Status.PLANNED):
        if trade.intent.magic in held or entry_fills(trade).exists():
            write_open(trade)
        elif trade.intent.status in Intent.Status.terminal():
            write_missed(trade.setup, trade.intent.reason or "nothing was filled")


def entry_fills(trade: BotTrade) -> QuerySet[FillRecord]:
    """Return the deals that opened a trade's positions."""
    return FillRecord.objects.filter(account=trade.account, intent=trade.intent, entry=FillEntry.IN)


def miss_late(account: Account, symbols: Iterable[BotSymbol], slot: BotSlot) -> int:
    """Note approved setups of earlier bars that nobody tried, as when a process died in between; return how many."""
    names = [symbol.name for symbol in symbols]
    here = Setup.objects.approved().filter(broker=account.broker, symbol__in=names)
    earlier = here.filter(interval=slot.interval, bar_at__lt=slot.bar_at)
    late = list(earlier.filter(missed_reason="", trade=None, outcome=None))
    for setup in late:
        write_missed(setup, f"entry:too_late: nobody tried to enter it before the bar of {slot.bar_at:%H:%M} closed")
    return len(late)


def close_overdue(gate: Gate, positions: Iterable[Position], now: datetime) -> int:
    """Close, by their tickets, the positions of trades that have lived as long as they may; return how many."""
    overdue = BotTrade.objects.filter(account=gate.account, status=BotTrade.Status.OPEN, deadline_at__lte=now)
    by_magic = {trade.intent.magic: trade for trade in overdue.select_related("intent", "setup")}
    late = [(position, by_magic[position.magic]) for position in positions if position.magic in by_magic]
    return sum(_close(gate, position, trade) for position, trade in late)


def _close(gate: Gate, position: Position, trade: BotTrade) -> bool:
    step = f"{EXIT}:{position.ticket}"
    before = Intent.objects.filter(account=gate.account, cause_id__startswith=f"{trade.setup_id}:{step}:").count()
    cause = cause_of(trade.setup, f"{step}:{before + 1}")
    record = record_step(gate.account, cause, closing_leg(position), current=position.signed_volume)
    terms = Terms(needed=Needed.REDUCE, plan_price=position.price_open)
    return carry_out(record, lambda leg: gate.send(leg, terms))


def take_back_leftovers(gate: Gate) -> int:
    """Cancel what still rests of an entry that was filled in part, and stops and targets that outlived their position.

    Where those are orders of their own, the one that has not ended the position would end the next one.
    """
    orders = gate.broker.working_orders()
    held = {position.ticket for position in gate.broker.positions()} if any(o.protects for o in orders) else set()
    resting = [o for o in orders if o.position_ticket is None or (o.protects and o.position_ticket not in held)]
    cancelled = 0
    for order in resting:
        magic = decode_magic(order.magic)
        if magic is None or magic.family is not Family.SETUP:
            continue
        before = Intent.objects.filter(account=gate.account, cause_id__startswith=f"{order.order_id}:setup:").count()
        cause = Cause(family=Family.SETUP, kind="cancel", id=f"{order.order_id}:setup:{before + 1}")
        record = record_step(gate.account, cause, cancel_leg(order))
        cancelled += carry_out(record, lambda leg: gate.cancel(leg, needed=Needed.REDUCE))
    return cancelled
