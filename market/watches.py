"""What goes wrong with the data while nobody asks for it."""

from __future__ import annotations

from collections.abc import Iterator

from market.errors import MarketError
from market.feeds import OUTSIDE_FEEDS, outside_feed
from market.models import from_ms
from market.outside_reading import asked_for, exchange_names, newest_ms
from market.status import SeriesStatus, data_status, known_now_ms
from ops.alerts import Trouble


def stale_series() -> Iterator[Trouble]:
    """Yield the series of traded symbols that lack their newest bars, and the outside sources that fell silent."""
    for each in _traded_series():
        if each.is_stale:
            last = f"the last one opens at {each.last_at:%Y-%m-%d %H:%M} UTC" if each.last_at else ""
            title = f"Bars of {each.name} are stale: {each.bars_behind} behind"
            yield Trouble(f"stale:{each.table}:{each.name}", title, detail=last)
    yield from _silent_sources()


def _traded_series() -> list[SeriesStatus]:
    try:
        return data_status()
    except MarketError:
        return []  # no symbol is traded: there is nothing to be stale


def _silent_sources() -> Iterator[Trouble]:
    """Yield the sources that gave something once and nothing for long; one that never did is not missed."""
    now_ms = known_now_ms()
    if now_ms is None:
        return
    try:
        symbols = exchange_names()
    except MarketError:
        return  # nothing is traded or watched
    for source in OUTSIDE_FEEDS:
        feed = outside_feed(source)
        for symbol in asked_for(source, symbols):
            newest = newest_ms(feed, symbol)
            if newest is not None and now_ms - newest > feed.timing.stale_ms:
                of = f" of {symbol}" if symbol else ""
                last = f"the last one is of {from_ms(newest):%Y-%m-%d %H:%M} UTC; models go without {feed.column}"
                yield Trouble(f"stale:{source}:{symbol or 'market'}", f"No {source} reading{of} comes", detail=last)
