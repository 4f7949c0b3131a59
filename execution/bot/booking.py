"""From the venue's deals to a trade's outcome: prices, costs, why it ended, and what it made in units of its risk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from django.db import transaction

from execution.bot.naked import CAUSE as NAKED
from execution.bot.standing import result_of
from execution.bot.watching import entry_fills
from execution.bot.writing import CAUSE as SETUP
from execution.models import Account, BotTrade, FillRecord
from execution.planning.orders import FillEntry, Side
from mlfilter.outcomes import record_outcome
from mlfilter.setups import Direction, ExitReason, TradeOutcome
from ops.live import announce

LEAVING = (FillEntry.OUT, FillEntry.OUT_BY, FillEntry.IN_OUT)
BY_CAUSE = {"kill": ExitReason.KILL, NAKED: ExitReason.KILL, SETUP: ExitReason.TIMEOUT}
ZERO = Decimal(0)


def book_outcomes(account: Account) -> tuple[BotTrade, ...]:
    """Store the outcome of every open trade whose deals have closed all that they opened; return those trades."""
    trades = BotTrade.objects.filter(account=account, status=BotTrade.Status.OPEN)
    return tuple(trade for trade in trades.select_related("intent", "setup") if _book(trade))


def _book(trade: BotTrade) -> bool:
    entered = list(entry_fills(trade).order_by("at", "deal_id"))
    positions = {fill.position_id for fill in entered}
    rest = FillRecord.objects.filter(account=trade.account, position_id__in=positions, entry__in=LEAVING)
    left = list(rest.select_related("intent").order_by("at", "deal_id"))
    if not left or volume_of(left) < volume_of(entered):
        return False
    outcome = outcome_of(trade, entered, left)
    with transaction.atomic():
        record_outcome(trade.setup, outcome)
        BotTrade.objects.filter(pk=trade.pk, status=BotTrade.Status.OPEN).update(
            status=BotTrade.Status.CLOSED, closed_at=outcome.exit_at, result=outcome.pnl
        )
        announce("setups", {"trade": trade.pk, "status": BotTrade.Status.CLOSED})
    trade.refresh_from_db()
    return True


def outcome_of(trade: BotTrade, entered: Sequence[FillRecord], left: Sequence[FillRecord]) -> TradeOutcome:
    """Return what a trade came to.

    Parameters
    ----------
    entered, left : sequence of FillRecord
        The deals that opened and closed its positions, oldest first, at least one of each.
    """
    deals = [*entered, *left]
    pnl = sum((result_of(deal) for deal in deals), ZERO)
    paid = -sum((deal.commission + deal.fee for deal in deals), ZERO)
    entry_price, exit_price = average_price(entered), average_price(left)
    reason = exit_reason(trade, left[-1])
    quantity = volume_of(entered) * trade.contract_size
    return TradeOutcome(
        symbol=trade.symbol,
        bar_at=trade.setup.bar_at,
        direction=Direction(trade.setup.direction),
        entry_at=entered[0].at,
        exit_at=left[-1].at,
        entry_price=entry_price,
        exit_price=exit_price,
        quantity=quantity,
        exit_reason=reason,
        pnl=pnl,
        r=float(pnl / trade.risk),
        fees=max(paid, ZERO),
        slippage=_slipped(trade, entry_price, exit_price, reason) * quantity * trade.rate,
    )


def exit_reason(trade: BotTrade, last: FillRecord) -> ExitReason:
    """Return why the last deal closed the trade.

    A close of ours says it by its cause; a position that was closed because nothing protected it counts as killed.
    What the venue closed by itself bears the entry's magic, or lies at a level or past it, where no hand could have
    been quicker than the order that rests there.
    """
    if last.intent_id not in (None, trade.intent_id) and last.intent is not None:
        return BY_CAUSE.get(last.intent.cause, ExitReason.MANUAL)
    sign = Side(trade.side).sign
    if (last.price - trade.stop) * sign <= 0:
        return ExitReason.STOP
    if (last.price - trade.target) * sign >= 0:
        return ExitReason.TARGET
    if last.intent_id is None:
        return ExitReason.MANUAL
    nearer = abs(last.price - trade.stop) < abs(last.price - trade.target)
    return ExitReason.STOP if nearer else ExitReason.TARGET


def volume_of(deals: Iterable[FillRecord]) -> Decimal:
    """Return the lots of some deals."""
    return sum((deal.volume for deal in deals), ZERO)


def average_price(deals: Sequence[FillRecord]) -> Decimal:
    """Return the price of some deals together, weighted by volume."""
    return sum((deal.price * deal.volume for deal in deals), ZERO) / volume_of(deals)


def _slipped(trade: BotTrade, entry: Decimal, left: Decimal, reason: ExitReason) -> Decimal:
    """Return by how much the fills were worse than asked for, a unit, in price; an exit at market asks for none."""
    sign = Side(trade.side).sign
    asked = {ExitReason.STOP: trade.stop, ExitReason.TARGET: trade.target}.get(reason, left)
    return (entry - trade.price) * sign + (asked - left) * sign
