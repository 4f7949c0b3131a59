"""What pages read of the bot's trades: of every account, each in its own currency, without asking a broker."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Avg, Count, Q, Sum

from execution.bot.standing import day_result
from execution.day_starts import day_start
from execution.looks import newest_looks
from execution.models import Account, BotTrade, BrokerState, FillRecord
from execution.planning.orders import FillEntry
from market.intervals import INTERVAL_MS
from mlfilter.models import BotSettings, current_settings

JOB = "bot"  # of its runs, as in ``services``, which a page does not import: it brings the brokers along
ZERO = Decimal(0)
LONGEST_BAR = timedelta(milliseconds=max(INTERVAL_MS.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTrade:
    """A live trade beside what the newest look at its account shows of it."""

    trade: BotTrade
    seen: BrokerState | None  # None: its account was never looked at
    positions: tuple[dict[str, Any], ...] = ()  # of that look; none: not filled yet, or closed since

    @property
    def result(self) -> Decimal | None:
        """Return what it floats at, swap included, in account currency; None when no position is seen."""
        return floating(self.positions) if self.positions else None


@dataclass(frozen=True, slots=True, kw_only=True)
class BotDay:
    """The bot's day on one account, in that account's currency."""

    seen: BrokerState
    n_open: int
    result: Decimal | None  # since the last reset, what floats included; None without a market time
    limit: Decimal | None  # the loss at which its entries stop

    @property
    def left(self) -> Decimal | None:
        """Return how much more it may lose today; below 0 when it lost more."""
        return None if self.result is None or self.limit is None else self.limit + min(self.result, ZERO)


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What the closed trades of one account came to, costs included."""

    account: Account
    n_trades: int
    n_won: int
    mean_r: float | None
    won: Decimal  # account currency
    lost: Decimal  # account currency, 0 or negative

    @property
    def result(self) -> Decimal:
        return self.won + self.lost

    @property
    def win_rate(self) -> float:
        return self.n_won / self.n_trades

    @property
    def profit_factor(self) -> float | None:
        """Return what was won over what was lost, None without a loss."""
        return float(self.won / -self.lost) if self.lost else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cooldown:
    """A symbol that waits after a loss."""

    account: Account
    symbol: str
    until: datetime


def open_trades() -> tuple[OpenTrade, ...]:
    """Return what is open or may come to be, newest first, each with its own positions."""
    trades = list(BotTrade.objects.live().select_related("account__broker_state", "setup"))
    tickets = _tickets(trades)
    return tuple(_open(trade, tickets[trade.intent_id]) for trade in trades)


def _tickets(trades: Iterable[BotTrade]) -> Mapping[int, set[int]]:
    """Return the positions that each trade's deals opened, by intent."""
    tickets: defaultdict[int, set[int]] = defaultdict(set)
    intents = [trade.intent_id for trade in trades]
    opened = FillRecord.objects.filter(intent__in=intents, entry=FillEntry.IN)
    for intent, position in opened.values_list("intent_id", "position_id"):
        tickets[intent].add(position)
    return tickets


def _open(trade: BotTrade, tickets: Collection[int]) -> OpenTrade:
    seen: BrokerState | None = getattr(trade.account, "broker_state", None)
    rows = seen.positions if seen else []
    return OpenTrade(trade=trade, seen=seen, positions=tuple(row for row in rows if _is_its_own(row, trade, tickets)))


def _is_its_own(row: Mapping[str, Any], trade: BotTrade, tickets: Collection[int]) -> bool:
    """Tell by the ticket; before the deal is booked by what is ours in a symbol that nobody else trades."""
    if tickets:
        return row["ticket"] in tickets
    return bool(row["ours"]) and (row["symbol"], row["side"]) == (trade.symbol, trade.side)


def floating(positions: Iterable[Mapping[str, Any]]) -> Decimal:
    """Return what positions of a look float at, swap included."""
    return sum((Decimal(row["profit"]) + Decimal(row["swap"]) for row in positions), ZERO)


def bot_days(trades: Iterable[OpenTrade], settings: BotSettings | None = None) -> tuple[BotDay, ...]:
    """Return the day of the account at every venue that was looked at."""
    settings = settings or current_settings()
    by_account: defaultdict[int, list[OpenTrade]] = defaultdict(list)
    for one in trades:
        by_account[one.trade.account_id].append(one)
    return tuple(_day(seen, by_account[seen.account_id], settings) for seen in newest_looks())


def _day(seen: BrokerState, trades: Collection[OpenTrade], settings: BotSettings) -> BotDay:
    if seen.market_at is None:
        return BotDay(seen=seen, n_open=len(trades), result=None, limit=None)
    booked = day_result(seen.account, (), seen.market_at)
    start = day_start(seen.account, seen.balance, seen.market_at).balance
    return BotDay(
        seen=seen,
        n_open=len(trades),
        result=booked + sum((one.result or ZERO for one in trades), ZERO),
        limit=Decimal(str(settings.daily_loss)) * start,
    )


def running_cooldowns(now: datetime, settings: BotSettings | None = None) -> tuple[Cooldown, ...]:
    """Return the symbols whose newest trade was a loss so few bars ago that they wait."""
    bars = (settings or current_settings()).cooldown_bars
    recent = BotTrade.objects.filter(status=BotTrade.Status.CLOSED, closed_at__gt=now - bars * LONGEST_BAR)
    newest = {(row.account_id, row.symbol): row for row in recent.select_related("account").order_by("closed_at")}
    waits = (_wait(trade, bars) for trade in newest.values())
    return tuple(wait for wait in waits if wait is not None and wait.until > now)


def _wait(trade: BotTrade, bars: int) -> Cooldown | None:
    """Return how long a closed trade keeps its symbol waiting, None when it was no loss."""
    if trade.closed_at is None or trade.result is None or trade.result >= 0:
        return None
    until = trade.closed_at + bars * trade.bar_length
    return Cooldown(account=trade.account, symbol=trade.symbol, until=until)


def trade_totals() -> tuple[Totals, ...]:
    """Return what all closed trades came to, one row an account that has any."""
    closed = BotTrade.objects.filter(status=BotTrade.Status.CLOSED, result__isnull=False).order_by()
    is_win = Q(result__gt=0)
    sums = closed.values("account").annotate(
        n_trades=Count("pk"),
        n_won=Count("pk", filter=is_win),
        mean_r=Avg("setup__outcome__r"),
        won=Sum("result", filter=is_win, default=ZERO),
        lost=Sum("result", filter=~is_win, default=ZERO),
    )
    rows = list(sums.order_by("account"))
    accounts = Account.objects.in_bulk([row["account"] for row in rows])
    return tuple(Totals(**(row | {"account": accounts[row["account"]]})) for row in rows)


def exit_counts() -> dict[str, int]:
    """Return how many closed trades ended for each reason, the most frequent first."""
    closed = BotTrade.objects.filter(status=BotTrade.Status.CLOSED).exclude(setup__outcome=None).order_by()
    counts = closed.values_list("setup__outcome__exit_reason").annotate(n=Count("pk")).order_by("-n")
    return dict(counts)


def newest_closed(n: int) -> tuple[BotTrade, ...]:
    """Return the last ``n`` closed trades with their outcomes, the oldest of them first."""
    closed = BotTrade.objects.filter(status=BotTrade.Status.CLOSED).exclude(setup__outcome=None)
    rows = closed.select_related("setup__outcome", "account").defer("setup__features", "setup__similar")
    return tuple(reversed(rows.order_by("-closed_at", "-pk")[:n]))
