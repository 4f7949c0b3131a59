"""Where market data comes from; a new source is a file here and one line."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from market.feeds.base import BarFeed, FeedConfig
from market.feeds.outside import OutsideFeed

__all__ = ["FEEDS", "OUTSIDE_FEEDS", "BarFeed", "FeedConfig", "OutsideFeed", "open_feed", "outside_feed"]

FEEDS = {
    "mt5": "market.feeds.mt5.Mt5Feed",
    "binance": "market.feeds.binance.BinanceFeed",
}

# What brings no bars but a number now and then, known to a model as a column.
OUTSIDE_FEEDS = {
    "funding": "market.feeds.funding.FundingFeed",
    "depth": "market.feeds.depth.DepthFeed",
    "fear_greed": "market.feeds.fear_greed.FearGreedFeed",
}


def open_feed(name: str, config: FeedConfig) -> BarFeed:
    """Return the feed, connected; its module is imported only now."""
    if name not in FEEDS:
        raise ValueError(f"no feed {name!r}; known: {', '.join(FEEDS)}")
    feed: BarFeed = _imported(FEEDS[name]).open(config)
    return feed


def outside_feed(name: str) -> type[OutsideFeed]:
    """Return the class of an outside feed, whose ``open`` connects it; its module is imported only now."""
    if name not in OUTSIDE_FEEDS:
        raise ValueError(f"no outside feed {name!r}; known: {', '.join(OUTSIDE_FEEDS)}")
    feed: type[OutsideFeed] = _imported(OUTSIDE_FEEDS[name])
    return feed


def _imported(path: str) -> Any:
    module, _, attribute = path.rpartition(".")
    return getattr(import_module(module), attribute)
