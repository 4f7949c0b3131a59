"""The crypto fear & greed index of alternative.me: one number a day for the whole market, 0 (fear) to 100 (greed)."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Self

from market.feeds.addresses import address, open_client
from market.feeds.base import FeedConfig
from market.feeds.outside import SentimentReading, Timing
from market.feeds.outside_replies import parse_fear_greed
from market.feeds.rest import RestClient
from market.intervals import DAY_MS, HOUR_MS

PUBLIC_BASE = "https://api.alternative.me"


class FearGreedFeed:
    """The index's days; see ``BinanceFeed`` for the parameters."""

    name: ClassVar[str] = "fear_greed"
    column: ClassVar[str] = "fear_greed"
    model: ClassVar[str] = "Sentiment"
    is_per_symbol: ClassVar[bool] = False
    # A day's value is stamped with its midnight, UTC, and comes out about then: its replies count down to it, and
    # nobody says how late it may be. It counts for its day, and an hour for the next one to come out and be brought.
    timing: ClassVar[Timing] = Timing(
        delay_ms=HOUR_MS, max_age_ms=DAY_MS + 2 * HOUR_MS, every_ms=DAY_MS, stale_ms=3 * DAY_MS
    )

    def __init__(self, client: RestClient, now_ms: Callable[[], int]) -> None:
        self.client = client
        self.now_ms = now_ms

    @classmethod
    def open(cls, config: FeedConfig) -> Self:
        base = config.fear_greed_base or address(config, PUBLIC_BASE)
        return cls(open_client(base, config.run_dir, "fear-greed"), config.now_ms)

    def readings(self, symbol: str, *, since_ms: int) -> list[SentimentReading]:
        """Return the days of ``[since_ms, now]``, oldest first."""
        now_ms = self.now_ms()
        n_days = max(0, now_ms - since_ms) // DAY_MS + 2  # a hole only makes the reply reach further back
        days = parse_fear_greed(self.client.get("/fng/", {"limit": n_days}))
        return [day for day in days if since_ms <= day.at_ms <= now_ms]

    def close(self) -> None:
        self.client.close()
