"""Bring bars in from every feed: only what is missing, and no failure stops another symbol or source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import DatabaseError, transaction
from loguru import logger

from market.connections import Feeds, market_now_ms, opened_feeds
from market.errors import MarketError
from market.feeds import BarFeed
from market.intervals import INTERVAL_MS, bars_behind
from market.models import Symbol, from_ms
from market.raw import RawBars
from market.reading import last_open_ms
from market.store import Stored, store_rows
from market.symbols import chosen_symbols, get_symbol
from market.tables import TABLES
from ops.alerts import raise_alert, resolve_alert
from ops.errors import ExitCode
from ops.live import announce
from ops.models import Alert

if TYPE_CHECKING:
    from ops.progress import Progress

DESK_INTERVAL = "1h"
FIRST_HISTORY_BARS = 10_000  # the first time: more than a session reads (8,760), with room for holes
OVERLAP_BARS = 3  # asked for again, to catch revisions
# A bar is shown by its venue only when the next one begins, which a daily break of an hour delays by that hour.
STALE_AFTER_BARS = 2
ALERTS = "data-update:"  # what keys of alerts of an update begin with


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceUpdate:
    """What one source brought for one symbol, or why it did not."""

    symbol: str
    source: str
    stored: Stored | None = None
    newest_ms: int | None = None  # when the newest stored bar opened; None when there is none
    bars_behind: int | None = None  # closed bars that are missing at the end; None when there is no bar at all
    error: MarketError | DatabaseError | None = None

    @property
    def is_stale(self) -> bool:
        """Whether it was brought up to date, and the data is old or missing all the same."""
        return self.error is None and (self.bars_behind is None or self.bars_behind >= STALE_AFTER_BARS)


@dataclass(frozen=True, slots=True)
class UpdateReport:
    """What an update of several symbols brought."""

    updates: tuple[SourceUpdate, ...]

    @property
    def failures(self) -> list[SourceUpdate]:
        return [update for update in self.updates if update.error is not None]

    @property
    def unreachable(self) -> list[str]:
        """Sources that answered for no symbol at all."""
        answered = {update.source for update in self.updates if update.error is None}
        codes = {update.source: getattr(update.error, "exit_code", None) for update in self.failures}
        return [name for name, code in codes.items() if name not in answered and code == ExitCode.UNREACHABLE]

    @property
    def stale(self) -> list[SourceUpdate]:
        return [update for update in self.updates if update.is_stale]

    def summary(self) -> str:
        """Return one line for a person."""
        brought = [update.stored for update in self.updates if update.stored]
        inserted, changed = sum(stored.inserted for stored in brought), sum(stored.changed for stored in brought)
        failed = f", {len(self.failures)} of {len(self.updates)} sources failed" if self.failures else ""
        return f"{inserted} bars new, {changed} changed{failed}"

    @property
    def exit_code(self) -> ExitCode:
        if self.unreachable:
            return ExitCode.UNREACHABLE
        if self.failures:
            return ExitCode.PARTLY
        return ExitCode.DATA if self.stale else ExitCode.DONE


def update_all_data(
    names: Sequence[str] | None = None, *, feeds: Feeds | None = None, progress: Progress | None = None
) -> UpdateReport:
    """Bring the traded symbols, or those named, up to date from every feed.

    Raises
    ------
    UnknownSymbolError
        If a name is not registered; before anything is asked for.
    """
    symbols = chosen_symbols(list(names or []))
    alerts = _open_alerts()
    updates: list[SourceUpdate] = []
    if progress:
        progress.start(len(symbols), "connecting")
    with _given_or_opened(feeds) as opened:
        for symbol in symbols:
            updates += _update(symbol, opened, DESK_INTERVAL, alerts)
            if progress:
                progress.advance(symbol.name)
    return UpdateReport(tuple(updates))


def update_symbol(name: str, *, feeds: Feeds | None = None, interval: str = DESK_INTERVAL) -> list[SourceUpdate]:
    """Bring one symbol up to date from every feed that knows it; failures are in the result."""
    symbol = get_symbol(name)
    with _given_or_opened(feeds) as opened:
        return _update(symbol, opened, interval, _open_alerts())


def bring(feed: BarFeed, name: str, raw: RawBars, interval: str) -> Stored:
    """Store what a feed gave, tell open pages, and alert when the venue gave bars differently before."""
    with transaction.atomic():
        stored = store_rows(
            TABLES[feed.kind], name, raw, interval=interval, source=feed.name, now_ms=market_now_ms(), replace=True
        )
        if stored.inserted or stored.changed:
            announce("data", {"symbol": name, "source": feed.name, "interval": interval})
        if stored.differing:
            raise_alert(
                f"data-revised:{feed.name}:{name}:{interval}",
                f"{feed.name} revised {len(stored.differing)} bars of {name}",
                detail=f"first {from_ms(stored.differing[0]):%Y-%m-%d %H:%M}; the former ones are in quarantine",
            )
    return stored


def venue_symbol(feed: BarFeed, symbol: Symbol) -> str:
    """Return the symbol's name at the feed's venue; empty when it is not there."""
    return symbol.name if feed.kind == "rates" else symbol.binance_symbol


def _update(symbol: Symbol, feeds: Feeds, interval: str, alerts: set[str]) -> list[SourceUpdate]:
    return [
        _update_from(source, feed, symbol, interval, alerts=alerts)
        for source, feed in feeds.items()
        if isinstance(feed, MarketError) or venue_symbol(feed, symbol)
    ]


def _open_alerts() -> set[str]:
    """Return the keys of this module's open alerts: asked for once, they are few and usually none."""
    return set(Alert.objects.open().filter(key__startswith=ALERTS).values_list("key", flat=True))


def _update_from(
    source: str, feed: BarFeed | MarketError, symbol: Symbol, interval: str, *, alerts: set[str]
) -> SourceUpdate:
    key = f"data-update:{source}:{symbol.name}"
    if isinstance(feed, MarketError):
        return _failed(source, symbol, feed, key)
    name = venue_symbol(feed, symbol)
    try:
        newest = last_open_ms(TABLES[feed.kind], name, interval)
        raw = feed.closed_bars(name, interval, since_ms=_since_ms(newest, interval))
        stored = bring(feed, name, raw, interval)
        if key in alerts:
            resolve_alert(key)
    except (MarketError, DatabaseError) as error:
        return _failed(source, symbol, error, key)
    newest = max((ms for ms in (newest, stored.newest_ms) if ms is not None), default=None)
    behind = None if newest is None else bars_behind(interval, newest, market_now_ms())
    return SourceUpdate(symbol=symbol.name, source=source, stored=stored, newest_ms=newest, bars_behind=behind)


def _failed(source: str, symbol: Symbol, error: MarketError | DatabaseError, key: str) -> SourceUpdate:
    logger.bind(source=source, symbol=symbol.name, error=str(error)).debug("no data")  # the report says it to people
    raise_alert(key, f"no data of {symbol.name} from {source}", detail=str(error))
    return SourceUpdate(symbol=symbol.name, source=source, error=error)


def _since_ms(newest: int | None, interval: str) -> int:
    """Return where to begin: a little before the newest stored bar, or at the first history."""
    length = INTERVAL_MS[interval]
    if newest is None:
        return market_now_ms() // length * length - FIRST_HISTORY_BARS * length
    return newest - OVERLAP_BARS * length


@contextmanager
def _given_or_opened(feeds: Feeds | None) -> Iterator[Feeds]:
    if feeds is not None:
        yield feeds
    else:
        with opened_feeds() as opened:
            yield opened
