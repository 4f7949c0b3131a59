"""A period of the live account, from the rows that trading left: between two looks that its book explains."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import F, Max, Min

from execution.errors import ExecutionError
from execution.models import Account, BrokerState, EquityPoint, FillRecord
from execution.planning.orders import CashKind
from execution.trading_venues import MT5
from ops.errors import ExitCode

MINUTE = timedelta(minutes=1)
JUST_AFTER = timedelta(milliseconds=1)
NOTHING = Decimal("0.00")


class AccountPeriodError(ExecutionError):
    """A period of the account that its rows do not tell."""

    exit_code = ExitCode.DATA


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the account was at a moment.

    Attributes
    ----------
    at : datetime
        Market time. Deals before it are in the balance.
    prices, swaps : dict of str to float
        By symbol, where the look kept them: at which positions would close, and what waits on them.
    """

    at: datetime
    balance: Decimal
    equity: Decimal
    prices: dict[str, float] = field(default_factory=dict)
    swaps: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePeriod:
    """An account between two looks, and its whole book up to the second.

    Attributes
    ----------
    fills : tuple of FillRecord
        From the account's first one on, in their order, with their intents and decisions.
    cash : Decimal
        Paid in less paid out in the period.
    """

    account: Account
    first: Look
    last: Look
    fills: tuple[FillRecord, ...]
    cash: Decimal

    @property
    def net(self) -> Decimal:
        """What trading changed of the equity."""
        return self.last.equity - self.first.equity - self.cash

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols of all fills, sorted."""
        return tuple(sorted({fill.symbol for fill in self.fills}))


def current_live_account() -> Account:
    """Return MetaTrader 5's account that was looked at last.

    Raises
    ------
    AccountPeriodError
        None was seen yet.
    """
    newest_first = F("broker_state__read_at").desc(nulls_last=True)
    account = Account.objects.filter(broker=MT5).order_by(newest_first, "-pk").first()
    if account is None:
        raise AccountPeriodError("no account was seen yet: start the desk, or run `manage.py trade_status`")
    return account


def live_period(account: Account, begin: datetime | None = None, end: datetime | None = None) -> LivePeriod:
    """Return the account from the first look at or after ``begin`` to the last one at or before ``end``.

    A look is a point of its equity, taken at some instant of its minute, so one whose minute has a deal is passed over;
    or the newest read of the broker, which also knows what every position would close at.

    Raises
    ------
    AccountPeriodError
        There are no two such looks, or the deals in between are not what changed the balance: some are not stored.
    """
    first = _first_look(account, begin)
    later = [] if first is None else [last for last in _last_looks(account, end) if last.at >= first.at + MINUTE]
    if first is None or not later:
        raise AccountPeriodError(_no_looks(account, begin, end))
    for last in later:
        period = _between(account, first, last)
        if period is not None:
            return period
    raise AccountPeriodError(_unbooked(account, first, later[-1]))


def _between(account: Account, first: Look, last: Look) -> LivePeriod | None:
    """Return the period between two looks, None where the stored deals are not what changed the balance."""
    fills = FillRecord.objects.filter(account=account, at__lt=last.at).select_related("intent__decision")
    inside = [fill for fill in fills if fill.at >= first.at]
    if sum(map(booked_of, inside), NOTHING) != last.balance - first.balance:
        return None
    return LivePeriod(
        account=account,
        first=first,
        last=last,
        fills=tuple(fill for fill in fills if fill.symbol),
        cash=sum((booked_of(fill) for fill in inside if fill.entry == CashKind.CASH), NOTHING),
    )


def booked_of(fill: FillRecord) -> Decimal:
    """Return what a deal adds to the balance."""
    return fill.profit + fill.commission + fill.swap + fill.fee


def _first_look(account: Account, begin: datetime | None) -> Look | None:
    points = EquityPoint.objects.filter(account=account, **({"at__gte": begin} if begin else {})).order_by("at")
    return quiet_look(account, points)


def _last_looks(account: Account, end: datetime | None) -> Iterator[Look]:
    """Yield the newest read of the broker, if it is early enough, and the last point: a deal may be half booked."""
    state = BrokerState.objects.filter(account=account).first()
    if state is not None and state.market_at is not None and (end is None or state.market_at <= end):
        yield _look_of(state, state.market_at)
    points = EquityPoint.objects.filter(account=account, **({"at__lte": end} if end else {})).order_by("-at")
    quiet = quiet_look(account, points)
    if quiet is not None:
        yield quiet


def quiet_look(account: Account, points: Iterable[EquityPoint]) -> Look | None:
    """Return the first of some points in whose minute nothing was traded."""
    for point in points:
        if not FillRecord.objects.filter(account=account, at__gte=point.at, at__lt=point.at + MINUTE).exists():
            return Look(at=point.at, balance=point.balance, equity=point.equity)
    return None


def _look_of(state: BrokerState, at: datetime) -> Look:
    prices = {row["symbol"]: float(row["price_now"]) for row in state.positions}
    swaps = dict.fromkeys(prices, 0.0)
    for row in state.positions:
        swaps[row["symbol"]] += float(row["swap"])
    # A deal of the very moment was read with it.
    return Look(at=at + JUST_AFTER, balance=state.balance, equity=state.equity, prices=prices, swaps=swaps)


def _unbooked(account: Account, first: Look, last: Look) -> str:
    inside = FillRecord.objects.filter(account=account, at__gte=first.at, at__lt=last.at)
    return (
        f"the balance changed by {last.balance - first.balance} from {first.at:%Y-%m-%d %H:%M} to "
        f"{last.at:%Y-%m-%d %H:%M}, the stored deals by {sum(map(booked_of, inside), NOTHING)}: a running desk stores "
        f"the missing ones"
    )


def _no_looks(account: Account, begin: datetime | None, end: datetime | None) -> str:
    span = EquityPoint.objects.filter(account=account).aggregate(first=Min("at"), last=Max("at"))
    asked = f"from {begin:%Y-%m-%d %H:%M} " if begin else ""
    asked += f"to {end:%Y-%m-%d %H:%M} " if end else ""
    if span["first"] is None:
        return "the equity of the account was never written down: the sentinel does while the desk runs"
    return (
        f"the account's equity {asked}has no two points: it was written down from {span['first']:%Y-%m-%d %H:%M} to "
        f"{span['last']:%Y-%m-%d %H:%M}"
    )
