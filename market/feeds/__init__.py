"""Where market data comes from; a new source is a file here and one line."""

from __future__ import annotations

from importlib import import_module

from market.feeds.base import BarFeed, FeedConfig

__all__ = ["FEEDS", "BarFeed", "FeedConfig", "open_feed"]

FEEDS = {
    "mt5": "market.feeds.mt5.Mt5Feed",
    "binance": "market.feeds.binance.BinanceFeed",
}


def open_feed(name: str, config: FeedConfig) -> BarFeed:
    """Return the feed, connected; its module is imported only now."""
    if name not in FEEDS:
        raise ValueError(f"no feed {name!r}; known: {', '.join(FEEDS)}")
    module, _, attribute = FEEDS[name].rpartition(".")
    feed: BarFeed = getattr(import_module(module), attribute).open(config)
    return feed
