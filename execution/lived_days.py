"""A day as the stored rows have it: its sessions, what they traded, and what the account began with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from execution.models import Account, Decision, EquityPoint, FillRecord, LimitRow, PortfolioWeight, RebalanceSettings
from execution.sessions.slots import HOUR
from market.models import Symbol
from market.reading import HISTORY_BARS, read_mtbars
from strategies.backtesting.requests import SPREAD
from strategies.models import FittedModel

SIGNS = {"buy": 1, "sell": -1}
HOURS_A_DAY = 24
CHANGED = "~"  # of a history's rows: neither made nor deleted


@dataclass(frozen=True, slots=True, kw_only=True)
class LivedDay:
    """The sessions of one account on a day (UTC), at least one.

    Attributes
    ----------
    decided : tuple of str
        The slots of its sessions, as ``Slot.key``, the earliest first.
    symbols : tuple of Symbol
        Those that were decided on.
    balance : Decimal
        Before the first session, account currency.
    held : dict of str to Decimal
        Signed lots of ours before the first session; only what is not 0.
    spread : float
        The broker's usual spread, as a factor of the one that a replay assumes, mean of the symbols.
    """

    day: date
    account: Account
    decided: tuple[str, ...]
    symbols: tuple[Symbol, ...]
    balance: Decimal
    held: dict[str, Decimal]
    spread: float
    warnings: tuple[str, ...]

    @property
    def margin_mode(self) -> str:
        return self.account.margin_mode

    @property
    def first_slot(self) -> str:
        return self.decided[0]

    @property
    def first(self) -> datetime:
        """The hour of the first session's slot."""
        return _hour_of(self.decided[0])

    @property
    def last(self) -> datetime:
        """The hour of the last session's slot."""
        return _hour_of(self.decided[-1])

    def slots_until(self, end: datetime) -> list[str]:
        """Return the names of all slots from the first session's to before an hour, also those that nobody ran."""
        n_slots = int((min(end, self.last + HOUR) - self.first) / HOUR)
        return [_key_of(self.first + HOUR * n) for n in range(n_slots)]

    def fills(self, slots: Collection[str]) -> Iterator[dict[str, Any]]:
        """Yield the deals that the sessions of these slots made."""
        rows = FillRecord.objects.filter(
            account=self.account, intent__family="rebalance", intent__cause="session", intent__cause_id__in=slots
        )
        for slot, symbol, side, volume, price in rows.values_list(
            "intent__cause_id", "symbol", "side", "volume", "price"
        ):
            yield {"slot": slot, "symbol": symbol, "side": side, "volume": volume, "price": price}


def lived_day(day: date) -> LivedDay | None:
    """Return a day's sessions at their slots, of the account that was decided on last; None if there were none."""
    midnight = datetime.combine(day, time(), tzinfo=UTC)
    keys = [_key_of(midnight + HOUR * n) for n in range(HOURS_A_DAY)]
    decisions = Decision.objects.filter(slot__in=keys, account__isnull=False)
    newest = decisions.select_related("account").first()
    if newest is None or newest.account is None:
        return None
    account = newest.account
    own = decisions.filter(account=account).order_by("market_at", "id").select_related("run")
    began = own[0].market_at
    symbols = tuple(Symbol.objects.filter(name__in={decision.symbol for decision in own}))
    return LivedDay(
        day=day,
        account=account,
        decided=tuple(sorted({decision.slot for decision in own})),
        symbols=symbols,
        balance=_balance(account, began),
        held=_held(account, began),
        spread=_spread_factor(symbols, midnight),
        warnings=(*_other_models(list(own)), *_other_settings(own[0]), *_by_hand(account, midnight, keys)),
    )


def _key_of(hour: datetime) -> str:
    return f"{hour:%Y-%m-%dT%H}"


def _hour_of(slot: str) -> datetime:
    return datetime.fromisoformat(f"{slot}:00:00+00:00")


def _balance(account: Account, before: datetime) -> Decimal:
    points = EquityPoint.objects.filter(account=account, at__lte=before).order_by("-at")
    balance = points.values_list("balance", flat=True).first()
    return account.initial_balance if balance is None else balance


def _spread_factor(symbols: Sequence[Symbol], until: datetime) -> float:
    """Return how wide the stored spreads are beside the assumed one; 1 where none is stored."""
    factors = []
    for symbol in symbols:
        bars = read_mtbars(symbol.name, limit=HISTORY_BARS, until=until)
        grids = Decision.objects.filter(symbol=symbol.name).exclude(sizing={}).values_list("sizing__digits", flat=True)
        digits, points = grids.first(), bars["spread"].median()
        if digits is not None and points > 0:
            factors.append(float(points) / 10**digits / (SPREAD * float(bars["close"].median())))
    return sum(factors) / len(factors) if factors else 1.0


def _held(account: Account, before: datetime) -> dict[str, Decimal]:
    """Return the signed lots that fills of ours before a moment add up to."""
    held: defaultdict[str, Decimal] = defaultdict(Decimal)
    fills = FillRecord.objects.filter(account=account, at__lt=before, intent__family="rebalance")
    for symbol, side, volume in fills.values_list("symbol", "side", "volume"):
        held[symbol] += SIGNS[side] * volume
    return {symbol: lots for symbol, lots in held.items() if lots}


def _other_models(decisions: list[Decision]) -> Iterator[str]:
    """Say which models decided then and do not trade now."""
    rows = FittedModel.objects.active().values_list("symbol__name", "strategy", "variant", "version")
    now = {(symbol, strategy, variant, str(version)) for symbol, strategy, variant, version in rows}
    then = {
        (decision.symbol, model["strategy"], model["variant"], str(model["version"]))
        for decision in decisions
        for model in decision.positions
    }
    gone = sorted(then - now)
    if gone:
        symbol, strategy, variant, version = gone[0]
        first = f"{symbol} {strategy} {variant} v{version}"
        yield f"{len(gone)} models that decided then do not trade now, first {first}: the replay asks those of now"


def _other_settings(first: Decision) -> Iterator[str]:
    """Say which rows that decisions are made with were changed since the day began."""
    if first.run is None or first.run.started_at is None:
        return
    for model in (RebalanceSettings, PortfolioWeight, LimitRow):
        if model.history.filter(history_date__gt=first.run.started_at, history_type=CHANGED).exists():
            name = model._meta.verbose_name_plural
            yield f"{name} were changed since: the replay decides with those of now"


def _by_hand(account: Account, midnight: datetime, slots: list[str]) -> Iterator[str]:
    """Say how much was traded on the day by nobody's session: no replay knows of it."""
    of_day = FillRecord.objects.filter(account=account, at__gte=midnight, at__lt=midnight + HOUR * HOURS_A_DAY)
    by_hand = of_day.exclude(symbol="").exclude(intent__cause="session", intent__cause_id__in=slots).count()
    if by_hand:
        yield f"{by_hand} deals of the day were made by no session (by hand, by a kill, by somebody else): not compared"
