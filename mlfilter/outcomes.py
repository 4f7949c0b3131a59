"""What became of setups: as the venue says where they were traded, computed from the bars where they were not."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db import transaction
from loguru import logger

from market.errors import MarketError
from market.models import Symbol
from mlfilter.configuration import terms_of
from mlfilter.errors import FilterDataError, FilterError
from mlfilter.history import bar_length, klines_symbol, read_bars
from mlfilter.models import BotSettings, Outcome, Setup, current_settings
from ops.errors import ExitCode
from ops.live import announce

if TYPE_CHECKING:
    import pandas as pd

    from mlfilter.proposals import FoundSetups, Terms
    from mlfilter.setups import TradeOutcome

MONEY = ("entry_price", "exit_price", "quantity", "pnl", "fees", "slippage")
TIMES = ("entry_at", "exit_at")
LEARNED_FROM = ("stop", "target", "timeout")  # a person's exit, or the kill switch's, says nothing about a setup


class OutcomeConflictError(FilterError):
    """Another outcome is recorded for the setup already."""

    exit_code = ExitCode.FAILED


@transaction.atomic
def record_outcome(setup: Setup, outcome: TradeOutcome, *, known_at: datetime | None = None) -> Outcome:
    """Keep how a trade ended; recorded twice it is kept once, and a computed outcome gives way to the real one.

    Parameters
    ----------
    known_at : datetime, optional
        When it could be learned from; at its exit by default.

    Raises
    ------
    OutcomeConflictError
        If the outcome is another setup's, or the setup was traded and ended otherwise.
    """
    if (outcome.bar_at, str(outcome.direction)) != (setup.bar_at, setup.direction):
        raise OutcomeConflictError(
            f"{setup}: an outcome of {outcome.direction} {outcome.bar_at.isoformat()} is not its own"
        )
    values: dict[str, Any] = {name: float(getattr(outcome, name)) for name in MONEY}
    values |= {name: getattr(outcome, name) for name in TIMES}
    values |= {"exit_reason": str(outcome.exit_reason), "r": outcome.r, "known_at": known_at or outcome.exit_at}
    kept = Outcome.objects.select_for_update().filter(setup=setup).first()
    if kept is None:
        kept = Outcome.objects.create(setup=setup, is_real=True, **values)
    elif kept.is_real:
        _require_same(kept, values)
        return kept
    else:
        Outcome.objects.filter(pk=kept.pk).update(is_real=True, **values)
        kept.refresh_from_db()
    announce("setups", {"id": setup.pk, "outcome": kept.exit_reason})
    return kept


def compute_outcomes(*, now: datetime, settings: BotSettings | None = None) -> int:
    """Compute what became of the setups that were not traded and are over by ``now``; return how many were new.

    An approved setup without a reason for being missed may be traded at this moment: it waits for its real outcome.
    """
    settings = settings or current_settings()
    waiting = Setup.objects.without_outcome().exclude(approved=True, missed_reason="").filter(bar_at__lt=now)
    # A symbol has one setup a bar: signals that contradict each other propose nothing.
    groups: dict[tuple[str, str, str, str], list[Setup]] = {}
    for setup in waiting.order_by("bar_at"):
        key = (setup.data_symbol, setup.interval, setup.broker, setup.symbol)
        groups.setdefault(key, []).append(setup)
    n_new = 0
    for (name, interval, *_), setups in groups.items():
        try:
            n_new += _compute(klines_symbol(name), terms_of(settings, interval), setups, now)
        except (FilterDataError, MarketError) as error:  # a symbol without bars does not keep the others waiting
            logger.bind(symbol=name, interval=interval).warning("outcomes were not computed: {}", error)
    return n_new


def _compute(symbol: Symbol, terms: Terms, setups: list[Setup], now: datetime) -> int:
    import numpy as np
    import pandas as pd

    from mlfilter.labels import triple_barrier

    bars = read_bars(symbol, terms.interval, since=setups[0].bar_at, until=now)
    places = pd.DatetimeIndex(bars.index).get_indexer(pd.DatetimeIndex([setup.bar_at for setup in setups]))
    found = [(int(place), setup) for place, setup in zip(places, setups, strict=True) if place >= 0]
    sign, stop, target = np.zeros(len(bars), np.int8), np.full(len(bars), np.nan), np.full(len(bars), np.nan)
    for place, setup in found:
        sign[place] = 1 if setup.direction == Setup.Direction.LONG else -1
        stop[place], target[place] = abs(setup.stop / setup.entry - 1.0), abs(setup.target / setup.entry - 1.0)
    table = triple_barrier(bars, sign, barriers=terms.barriers, costs=terms.costs, stop_pct=stop, target_pct=target)
    over = [(place, setup) for place, setup in found if table["exit_index"].iloc[place] >= 0]
    rows = [_computed(setup, place, bars, table.iloc[place].to_dict(), terms) for place, setup in over]
    Outcome.objects.bulk_create(rows, ignore_conflicts=True)
    return len(rows)


def _computed(setup: Setup, place: int, bars: pd.DataFrame, ended: dict[Hashable, Any], terms: Terms) -> Outcome:
    """Return the outcome of one unit, entered at the open after the setup's bar."""
    entry, leave = float(bars["open"].iloc[place + 1]), float(ended["exit_price"])
    traded, length = entry + leave, bar_length(setup.interval)
    last = bars.index[int(ended["exit_index"])].to_pydatetime()
    ends_at_open = ended["exit_reason"] == Outcome.ExitReason.TIMEOUT
    return Outcome(
        setup=setup,
        is_real=False,
        entry_at=bars.index[place + 1].to_pydatetime(),
        exit_at=last if ends_at_open else last + length,
        entry_price=entry,
        exit_price=leave,
        quantity=1.0,
        exit_reason=ended["exit_reason"],
        pnl=float(ended["return"]) * entry,
        r=float(ended["r"]),
        fees=traded * terms.costs.fee,
        slippage=traded * (terms.costs.half_spread + terms.costs.slippage),
        known_at=last + length,
    )


def as_outcome(row: Outcome) -> TradeOutcome:
    """Return a row as the value that pure code takes."""
    from mlfilter.setups import Direction, ExitReason, TradeOutcome

    money = {name: Decimal(repr(getattr(row, name))) for name in MONEY}
    return TradeOutcome(
        symbol=row.setup.symbol,
        bar_at=row.setup.bar_at,
        direction=Direction(row.setup.direction),
        entry_at=row.entry_at,
        exit_at=row.exit_at,
        exit_reason=ExitReason(row.exit_reason),
        r=row.r,
        **money,
    )


def with_real_outcomes(found: FoundSetups, symbol: Symbol, terms: Terms) -> tuple[FoundSetups, int]:
    """Return setups with what really became of those that were traded, and how many those are.

    A real fill is another price than the bar's open, and what is learned from is what was earned.
    """
    import pandas as pd

    labels, r = found.labels["label"].to_numpy(copy=True), found.r.copy()
    known, n_real = list(found.known_at), 0
    places = {found.index[row]: i for i, row in enumerate(found.rows)}
    for row in _real(symbol, terms.interval, known_to=found.index[-1].to_pydatetime()):
        place = places.get(row.setup.bar_at)
        if place is not None and _is_same_way(row.setup, found, place):
            labels[place], r[place] = float(_succeeded(row, terms)), row.r
            known[place] = pd.Timestamp(row.known_at)
            n_real += 1
    told = found.labels.assign(label=labels, r=r)
    return replace(found, labels=told, known_at=pd.DatetimeIndex(known)), n_real


def _is_same_way(setup: Setup, found: FoundSetups, place: int) -> bool:
    sign = 1 if setup.direction == Setup.Direction.LONG else -1
    return int(found.direction.iloc[int(found.rows[place])]) == sign


def _real(symbol: Symbol, interval: str, *, known_to: datetime) -> Iterable[Outcome]:
    return (
        Outcome.objects.real()
        .filter(
            setup__data_symbol__in=[symbol.name, symbol.binance_symbol],
            setup__interval=interval,
            known_at__lte=known_to,
            exit_reason__in=LEARNED_FROM,
        )
        .select_related("setup")
        .order_by("known_at", "pk")
    )


def _succeeded(row: Outcome, terms: Terms) -> bool:
    if terms.label == "triple_barrier":
        return row.exit_reason == Outcome.ExitReason.TARGET
    return row.r * terms.barriers.stop_pct > terms.success_threshold


def _require_same(kept: Outcome, values: dict[str, Any]) -> None:
    differing = [name for name, value in values.items() if name != "known_at" and getattr(kept, name) != value]
    if differing:
        raise OutcomeConflictError(f"{kept} is recorded, and another outcome came: {', '.join(differing)} differ")
