"""Connect the feeds that the settings describe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.conf import settings

from market.errors import MarketError
from market.feeds import FEEDS, BarFeed, FeedConfig, open_feed
from ops.clock import market_now

Feeds = Mapping[str, BarFeed | MarketError]  # by name; a source that is not there is its error


@contextmanager
def opened_feeds() -> Iterator[Feeds]:
    """Connect all feeds for the block; one that is not there does not stop the others."""
    feeds: dict[str, BarFeed | MarketError] = {}
    config = feed_config()
    try:
        for name in FEEDS:
            try:
                feeds[name] = open_feed(name, config)
            except MarketError as error:
                feeds[name] = error
        yield feeds
    finally:
        for feed in feeds.values():
            if not isinstance(feed, MarketError):
                feed.close()


def feed_config() -> FeedConfig:
    """Return what feeds need to know, from the settings."""
    return FeedConfig(
        now_ms=market_now_ms,
        run_dir=settings.RUN_DIR,
        state_dir=settings.STATE_DIR,
        mt5_bridge=settings.MT5_BRIDGE,
        mt5_tz=settings.MT5_TZ,
        mt5_path=settings.MT5_PATH,
        mt5_login=_mt5_login(),
        binance_base=settings.BINANCE_BASE,
        binance_futures_base=settings.BINANCE_FUTURES_BASE,
        fear_greed_base=settings.FEAR_GREED_BASE,
        is_demo=settings.TRADING_MODE == "demo",
    )


def market_now_ms() -> int:
    """Return market time in UTC ms."""
    return int(market_now().timestamp() * 1000)


def _mt5_login() -> dict[str, Any]:
    """Return the account's fields that are set; without any, the terminal's own account is used."""
    fields = {"login": settings.MT5_LOGIN, "password": settings.MT5_PASSWORD, "server": settings.MT5_SERVER}
    return {name: value for name, value in fields.items() if value}
