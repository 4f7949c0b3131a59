"""Order books of Binance's spot market: a look at the best levels now; the exchange keeps no history of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Self

from market.feeds.addresses import address, open_client
from market.feeds.base import FeedConfig
from market.feeds.binance import PUBLIC_BASE
from market.feeds.outside import BookReading, Timing
from market.feeds.outside_replies import parse_book
from market.feeds.rest import RestClient
from market.intervals import HOUR_MS, MINUTE_MS

LEVELS = 10  # a side


class DepthFeed:
    """The exchange's books; see ``BinanceFeed`` for the parameters."""

    name: ClassVar[str] = "depth"
    column: ClassVar[str] = "book_imbalance"
    model: ClassVar[str] = "BookSnapshot"
    is_per_symbol: ClassVar[bool] = True
    # A book is known when it has been read, and forgotten soon: it counts for one bar of a quarter of an hour, which
    # may be read a little late.
    timing: ClassVar[Timing] = Timing(
        delay_ms=0, max_age_ms=20 * MINUTE_MS, every_ms=4 * MINUTE_MS, stale_ms=12 * HOUR_MS
    )

    def __init__(self, client: RestClient, now_ms: Callable[[], int]) -> None:
        self.client = client
        self.now_ms = now_ms

    @classmethod
    def open(cls, config: FeedConfig) -> Self:
        base = config.binance_base or address(config, PUBLIC_BASE)
        return cls(open_client(base, config.run_dir, "binance"), config.now_ms)

    def readings(self, symbol: str, *, since_ms: int) -> list[BookReading]:
        """Return the book as it is now, stamped with the time after it was read: the spot market's has none."""
        reply = self.client.get("/api/v3/depth", {"symbol": symbol, "limit": LEVELS})
        book = parse_book(reply, n_levels=LEVELS, at_ms=self.now_ms())
        return [book] if book.at_ms >= since_ms else []

    def close(self) -> None:
        self.client.close()
