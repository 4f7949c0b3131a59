"""Stored outside readings beside bars, and how fresh they are."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from django.apps import apps
from django.db.models import Count, F, Max, Min, Q
from django.db.models.functions import Coalesce

from market.errors import UnknownSymbolError
from market.feeds import OUTSIDE_FEEDS, OutsideFeed, outside_feed
from market.intervals import HOUR_MS
from market.models import OutsideReading, Symbol, from_ms
from market.raw import Floats, Ints
from market.symbols import chosen_symbols, get_binance_symbol
from market.watching import watched_symbols

if TYPE_CHECKING:
    import pandas as pd

    from market.outside import Readings

WHOLE_MARKET = ""  # in place of a symbol


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideStatus:
    """What is stored of one source for one symbol."""

    source: str
    column: str
    symbol: str  # at the exchange; empty for the whole market
    n_readings: int
    first_at: datetime | None
    last_at: datetime | None
    age_hours: float | None  # of the newest one; None when there is none, or no market time to tell
    is_stale: bool

    @property
    def state(self) -> str:
        if not self.n_readings:
            return f"none stored: models go without {self.column}"
        return f"stale, {self.age_hours:.1f} h old: models go without {self.column}" if self.is_stale else "ok"


def outside_features(
    symbol: str, index: pd.DatetimeIndex, *, interval: str, columns: Collection[str] | None = None
) -> pd.DataFrame:
    """Return what was known of each outside source at each bar's close; see ``market.outside.join_outside``.

    It reads what is stored and asks nobody: ``update_outside`` brings what is due.

    Parameters
    ----------
    symbol : str
        The name at the broker or at Binance.
    index : DatetimeIndex
        UTC open times of the bars.
    interval : str
        How long they are, like ``"15m"``.
    columns : collection of str, optional
        Those that are wanted, all by default; others are not read.
    """
    from market.outside import closes_ms, join_outside

    close_ms = closes_ms(index, interval)
    name = _exchange_name(symbol)
    feeds = [outside_feed(source) for source in OUTSIDE_FEEDS]
    sources = [_readings(feed, name, close_ms) for feed in feeds if columns is None or feed.column in columns]
    return join_outside(index, sources, interval=interval)


def outside_status(names: Sequence[str] | None = None, *, now_ms: int | None) -> list[OutsideStatus]:
    """Return what is stored of each source, for traded and watched symbols or those named, at a market time."""
    symbols = exchange_names(names)
    return [
        _status(outside_feed(source), symbol, now_ms)
        for source in OUTSIDE_FEEDS
        for symbol in asked_for(source, symbols)
    ]


def exchange_names(names: Sequence[str] | None = None) -> list[str]:
    """Return the exchange's names of the traded and the watched symbols, or of those named, each once.

    Raises
    ------
    UnknownSymbolError
        If a name is not registered, or nothing is traded or watched.
    """
    symbols = [] if names else [*Symbol.objects.traded(), *watched_symbols()]
    chosen = symbols or chosen_symbols(list(names or []))
    return list(dict.fromkeys(symbol.binance_symbol for symbol in chosen if symbol.binance_symbol))


def asked_for(source: str, symbols: Sequence[str]) -> Sequence[str]:
    """Return the symbols that a source is asked for, of these."""
    return symbols if outside_feed(source).is_per_symbol else [WHOLE_MARKET]


def model_of(feed: type[OutsideFeed] | OutsideFeed) -> type[OutsideReading]:
    """Return the table of a feed's readings."""
    return cast("type[OutsideReading]", apps.get_model("market", feed.model))


def newest_ms(feed: type[OutsideFeed] | OutsideFeed, symbol: str) -> int | None:
    """Return the newest stamp that is stored; None when there is none."""
    stored = model_of(feed)._default_manager.filter(symbol=symbol)
    newest: int | None = stored.aggregate(newest=Max("at_ms"))["newest"]
    return newest


def _exchange_name(symbol: str) -> str:
    """Return the symbol's name at the exchange; one that nobody registered is taken for that."""
    try:
        return get_binance_symbol(symbol)
    except UnknownSymbolError:
        return symbol


def _readings(feed: type[OutsideFeed], name: str, close_ms: Ints) -> Readings:
    from market.outside import Readings

    symbol = name if feed.is_per_symbol else WHOLE_MARKET
    at_ms, values, received_ms = np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64)
    newest = None
    if len(close_ms) and (name or not feed.is_per_symbol):
        first, last = int(close_ms[0]) - feed.timing.max_age_ms, int(close_ms[-1])
        at_ms, values, received_ms = _stored(model_of(feed), symbol, first, last)
        newest = _newest_known(feed, symbol, last)
    of = symbol or ("the market" if not feed.is_per_symbol else "a symbol without a name at the exchange")
    return Readings(
        column=feed.column,
        of=of,
        timing=feed.timing,
        at_ms=at_ms,
        values=values,
        received_ms=received_ms,
        newest_ms=newest,
    )


def _stored(model: type[OutsideReading], symbol: str, first_ms: int, last_ms: int) -> tuple[Ints, Floats, Ints]:
    stored = model._default_manager.filter(symbol=symbol, at_ms__range=(first_ms, last_ms)).order_by("at_ms")
    received = Coalesce("received_ms", 0)
    numbers = stored.annotate(number=model.VALUE, received=received).values_list("at_ms", "number", "received")
    rows: list[tuple[Any, ...]] = list(numbers)
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)  # ms are exact below 2**53
    return table[:, 0].astype(np.int64), table[:, 1], table[:, 2].astype(np.int64)


def _newest_known(feed: type[OutsideFeed], symbol: str, until_ms: int) -> int | None:
    """Return the newest stamp of what was out and had come by a moment; None when nothing was."""
    came = Q(received_ms=None) | Q(received_ms__lte=until_ms)
    stored = model_of(feed)._default_manager.filter(came, symbol=symbol, at_ms__lte=until_ms - feed.timing.delay_ms)
    newest: int | None = stored.aggregate(newest=Max("at_ms"))["newest"]
    return newest


def _status(feed: type[OutsideFeed], symbol: str, now_ms: int | None) -> OutsideStatus:
    stored = model_of(feed)._default_manager.filter(symbol=symbol)
    found = stored.aggregate(n=Count("pk"), first=Min(F("at_ms")), last=Max(F("at_ms")))
    first, last = found["first"], found["last"]
    age_ms = None if last is None or now_ms is None else now_ms - last
    return OutsideStatus(
        source=feed.name,
        column=feed.column,
        symbol=symbol,
        n_readings=found["n"],
        first_at=None if first is None else from_ms(first),
        last_at=None if last is None else from_ms(last),
        age_hours=None if age_ms is None else age_ms / HOUR_MS,
        is_stale=age_ms is not None and age_ms > feed.timing.stale_ms,
    )
