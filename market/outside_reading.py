"""Stored outside readings beside bars, and how fresh they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from django.apps import apps
from django.db.models import Count, F, Max, Min

from market.errors import UnknownSymbolError
from market.feeds import OUTSIDE_FEEDS, OutsideFeed, outside_feed
from market.intervals import HOUR_MS
from market.models import OutsideReading, from_ms
from market.raw import Floats, Ints
from market.symbols import chosen_symbols, get_binance_symbol

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


def outside_features(symbol: str, index: pd.DatetimeIndex, *, interval: str) -> pd.DataFrame:
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
    """
    from market.outside import closes_ms, join_outside

    close_ms = closes_ms(index, interval)
    name = _exchange_name(symbol)
    sources = [_readings(outside_feed(source), name, close_ms) for source in OUTSIDE_FEEDS]
    return join_outside(index, sources, interval=interval)


def outside_status(names: Sequence[str] | None = None, *, now_ms: int | None) -> list[OutsideStatus]:
    """Return what is stored of each source, for the traded symbols or those named; ``now_ms`` is market time."""
    symbols = exchange_names(names)
    return [
        _status(outside_feed(source), symbol, now_ms)
        for source in OUTSIDE_FEEDS
        for symbol in asked_for(source, symbols)
    ]


def exchange_names(names: Sequence[str] | None = None) -> list[str]:
    """Return the exchange's names of the traded symbols, or of those named, each once."""
    symbols = (symbol.binance_symbol for symbol in chosen_symbols(list(names or [])))
    return list(dict.fromkeys(name for name in symbols if name))


def asked_for(source: str, symbols: Sequence[str]) -> Sequence[str]:
    """Return the symbols that a source is asked for, of these."""
    return symbols if outside_feed(source).is_per_symbol else [WHOLE_MARKET]


def model_of(feed: type[OutsideFeed] | OutsideFeed) -> type[OutsideReading]:
    """Return the table of a feed's readings."""
    return cast("type[OutsideReading]", apps.get_model("market", feed.model))


def newest_ms(feed: type[OutsideFeed] | OutsideFeed, symbol: str, *, until_ms: int | None = None) -> int | None:
    """Return the newest stamp that is stored, by a moment if given; None when there is none."""
    stored = model_of(feed)._default_manager.filter(symbol=symbol)
    if until_ms is not None:
        stored = stored.filter(at_ms__lte=until_ms)
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
    at_ms, values = np.empty(0, np.int64), np.empty(0)
    newest = None
    if len(close_ms) and (name or not feed.is_per_symbol):
        first, last = int(close_ms[0]) - feed.timing.max_age_ms, int(close_ms[-1])
        at_ms, values = _stored(model_of(feed), symbol, first, last)
        newest = int(at_ms[-1]) if len(at_ms) else newest_ms(feed, symbol, until_ms=last)
    of = symbol or ("the market" if not feed.is_per_symbol else "a symbol without a name at the exchange")
    return Readings(column=feed.column, of=of, timing=feed.timing, at_ms=at_ms, values=values, newest_ms=newest)


def _stored(model: type[OutsideReading], symbol: str, first_ms: int, last_ms: int) -> tuple[Ints, Floats]:
    stored = model._default_manager.filter(symbol=symbol, at_ms__range=(first_ms, last_ms)).order_by("at_ms")
    rows: list[tuple[Any, ...]] = list(stored.annotate(number=model.VALUE).values_list("at_ms", "number"))
    table = np.array(rows, dtype=np.float64).reshape(-1, 2)  # ms are exact below 2**53
    return table[:, 0].astype(np.int64), table[:, 1]


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
