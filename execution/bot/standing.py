"""How the bot stands: what it has open, what its day has brought, and after which loss it waits."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import QuerySet

from execution.brokers.magic import Family, decode_magic
from execution.day_starts import day_start
from execution.models import Account, BotTrade, FillRecord, Intent
from execution.planning.orders import AccountSnapshot, Position
from execution.safety.risk import SetupStanding
from execution.safety.risk.days import last_reset
from mlfilter.models import current_settings

CAUSE = "setup"  # of the intents that open and close the bot's trades


def read_standing(
    intent: Intent, *, snapshot: AccountSnapshot, positions: Iterable[Position], now: datetime
) -> SetupStanding:
    """Return the bot's standing for an entry that is about to be sent, whose own trade does not count."""
    account, settings = intent.account, current_settings()
    others = BotTrade.objects.live().filter(account=account).exclude(intent=intent)
    return SetupStanding(
        n_open=others.count(),
        holds_symbol=others.filter(symbol=intent.symbol).exists(),
        day_result=day_result(account, positions, now),
        day_start=day_start(account, snapshot.balance, now).balance,
        cooldown_until=cooldown_until(account, intent.symbol, settings.cooldown_bars),
        max_positions=settings.max_positions,
        daily_loss=Decimal(str(settings.daily_loss)),
    )


def day_result(account: Account, positions: Iterable[Position], now: datetime) -> Decimal:
    """Return what the bot's deals since the last reset brought, and what its open positions float at."""
    booked = sum((result_of(fill) for fill in _fills(account).filter(at__gte=last_reset(now))), Decimal(0))
    return booked + sum((p.profit + p.swap for p in positions if is_the_bots(p)), Decimal(0))


def result_of(fill: FillRecord) -> Decimal:
    """Return what one deal did to the balance."""
    return fill.profit + fill.commission + fill.swap + fill.fee


def is_the_bots(position: Position) -> bool:
    """Tell whether a position bears a magic of the bot's family."""
    magic = decode_magic(position.magic)
    return magic is not None and magic.family is Family.SETUP


def cooldown_until(account: Account, symbol: str, bars: int) -> datetime | None:
    """Return until when a symbol waits after its newest trade, None when that was no loss."""
    closed = BotTrade.objects.filter(account=account, symbol=symbol, status=BotTrade.Status.CLOSED)
    newest = closed.exclude(closed_at=None).order_by("-closed_at").first()
    if newest is None or newest.closed_at is None or newest.result is None or newest.result >= 0:
        return None
    wait: timedelta = bars * newest.bar_length
    return newest.closed_at + wait


def _fills(account: Account) -> QuerySet[FillRecord]:
    """Return every deal of positions that the bot opened, whoever closed them."""
    mine = FillRecord.objects.filter(account=account, intent__family=Family.SETUP, intent__cause=CAUSE)
    return FillRecord.objects.filter(account=account, position_id__in=mine.values("position_id"))
