"""Bring outside readings in from every source that has something new; no failure stops another source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError, transaction
from loguru import logger

from market.connections import feed_config, market_now_ms
from market.errors import FeedLimitedError, FeedUnavailableError, MarketError
from market.feeds import OUTSIDE_FEEDS, OutsideFeed, outside_feed
from market.feeds.outside import FIRST_HISTORY_MS, Reading
from market.models import OutsideReading, from_ms
from market.outside_reading import asked_for, exchange_names, model_of, newest_ms
from market.store import quarantine
from ops.errors import ExitCode

DIFFERS = "differs from the stored reading"
OutsideFeeds = Mapping[str, OutsideFeed | MarketError]  # by name; a source that is not there is its error


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideUpdate:
    """What one source brought for one symbol, or why it did not."""

    source: str
    symbol: str  # at the exchange; empty for the whole market
    n_new: int = 0
    n_differing: int = 0  # stored with other values before, which stay; these are in quarantine
    newest_ms: int | None = None
    error: MarketError | DatabaseError | None = None


@dataclass(frozen=True, slots=True)
class OutsideReport:
    """What an update of all sources brought."""

    updates: tuple[OutsideUpdate, ...]

    @property
    def failures(self) -> list[OutsideUpdate]:
        return [update for update in self.updates if update.error is not None]

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.PARTLY if self.failures else ExitCode.DONE

    def as_data(self) -> list[dict[str, Any]]:
        """Return the updates as JSON has them."""
        return [
            {
                "source": update.source,
                "symbol": update.symbol,
                "new": update.n_new,
                "differing": update.n_differing,
                "last_at": None if update.newest_ms is None else from_ms(update.newest_ms),
                "error": str(update.error) if update.error else None,
            }
            for update in self.updates
        ]


def update_outside(names: Sequence[str] | None = None, *, feeds: OutsideFeeds | None = None) -> OutsideReport:
    """Bring the readings that are due, for traded and watched symbols or those named; failures are in the result.

    A source that has nothing newer yet is not asked, so this may be called at every bar.

    Raises
    ------
    UnknownSymbolError
        If a name is not registered, or nothing is traded or watched; before anything is asked for.
    """
    symbols, now_ms = exchange_names(names), market_now_ms()
    due = {source: _due(source, asked_for(source, symbols), now_ms) for source in OUTSIDE_FEEDS}
    updates: list[OutsideUpdate] = []
    for source, of_symbols in due.items():
        if not any(of_symbols.values()):
            updates += [_nothing_due(source, symbol) for symbol in of_symbols]
            continue
        with _given_or_opened(source, feeds) as feed:
            updates += _update(source, feed, of_symbols)
    return OutsideReport(tuple(updates))


def store_readings(
    model: type[OutsideReading],
    symbol: str,
    readings: Sequence[Reading],
    *,
    source: str,
    received_ms: int | None = None,
) -> tuple[int, int]:
    """Store the readings of moments that have none, and return how many were new and how many differ.

    The first value of a moment stands: it is what a model could see. Others go to quarantine. ``received_ms`` is market
    time, before which nobody can have seen the new ones; None for a history.
    """
    if not readings:
        return 0, 0
    moments = (readings[0].at_ms, readings[-1].at_ms)
    with transaction.atomic():
        rows = model._default_manager.filter(symbol=symbol, at_ms__range=moments)
        stored = {row["at_ms"]: row for row in rows.values(*type(readings[0])._fields)}
        new = [reading for reading in readings if reading.at_ms not in stored]
        model._default_manager.bulk_create(
            [model(symbol=symbol, received_ms=received_ms, **reading._asdict()) for reading in new],
            ignore_conflicts=True,
            batch_size=500,
        )
        differing = [each for each in readings if stored.get(each.at_ms, each._asdict()) != each._asdict()]
        quarantine(
            [({"open_ms": each.at_ms} | each._asdict(), DIFFERS) for each in differing],
            source=source,
            symbol=symbol,
            interval="",
        )
    return len(new), len(differing)


def _due(source: str, symbols: Sequence[str], now_ms: int) -> dict[str, bool]:
    """Return of which symbols the source may have something that is not stored."""
    feed = outside_feed(source)
    newest = {symbol: newest_ms(feed, symbol) for symbol in symbols}
    return {symbol: at is None or now_ms >= at + feed.timing.every_ms for symbol, at in newest.items()}


def _update(source: str, feed: OutsideFeed | MarketError, due: Mapping[str, bool]) -> Iterator[OutsideUpdate]:
    """Yield what each symbol got; a source that is not there is not asked again and again."""
    for symbol, is_due in due.items():
        if not is_due:
            yield _nothing_due(source, symbol)
        elif isinstance(feed, MarketError):
            yield _failed(source, symbol, feed)
        else:
            update = _update_one(source, feed, symbol)
            if isinstance(update.error, FeedUnavailableError | FeedLimitedError):
                feed = update.error
            yield update


def _update_one(source: str, feed: OutsideFeed, symbol: str) -> OutsideUpdate:
    try:
        newest = newest_ms(feed, symbol)
        since_ms = market_now_ms() - FIRST_HISTORY_MS if newest is None else newest
        readings = feed.readings(symbol, since_ms=since_ms)
        # What a source had before it was first asked is history; from then on each counts from when it came.
        received_ms = None if newest is None else market_now_ms()
        n_new, n_differing = store_readings(model_of(feed), symbol, readings, source=source, received_ms=received_ms)
    except (MarketError, DatabaseError) as error:
        return _failed(source, symbol, error)
    if n_differing:
        logger.bind(source=source, symbol=symbol, n=n_differing).warning("readings differ from the stored ones")
    newest = readings[-1].at_ms if readings else newest
    return OutsideUpdate(source=source, symbol=symbol, n_new=n_new, n_differing=n_differing, newest_ms=newest)


def _nothing_due(source: str, symbol: str) -> OutsideUpdate:
    return OutsideUpdate(source=source, symbol=symbol, newest_ms=newest_ms(outside_feed(source), symbol))


def _failed(source: str, symbol: str, error: MarketError | DatabaseError) -> OutsideUpdate:
    logger.bind(source=source, symbol=symbol, error=str(error)).debug("no reading")  # the report says it to people
    return OutsideUpdate(source=source, symbol=symbol, error=error)


@contextmanager
def _given_or_opened(source: str, feeds: OutsideFeeds | None) -> Iterator[OutsideFeed | MarketError]:
    if feeds is not None:
        yield feeds[source]
        return
    try:
        feed = outside_feed(source).open(feed_config())
    except MarketError as error:
        yield error
        return
    try:
        yield feed
    finally:
        feed.close()
