"""Funding rates of Binance's perpetual futures: what was settled, every eight hours as a rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Self

from market.errors import FeedReplyError
from market.feeds.addresses import address, open_client
from market.feeds.base import FeedConfig
from market.feeds.outside import FundingReading, Timing
from market.feeds.outside_replies import parse_funding
from market.feeds.rest import RestClient
from market.intervals import HOUR_MS, MINUTE_MS

PUBLIC_BASE = "https://fapi.binance.com"
WEIGHT_A_MINUTE = 2_400  # the futures' own limit
ROWS_A_PAGE = 1_000


class FundingFeed:
    """The exchange's settlements; see ``BinanceFeed`` for the parameters."""

    name: ClassVar[str] = "funding"
    column: ClassVar[str] = "funding_rate"
    model: ClassVar[str] = "FundingRate"
    is_per_symbol: ClassVar[bool] = True
    # A settlement is stamped up to 47 ms after the hour and takes up to a minute. It counts until the next one is
    # due, and an hour for that to be brought. Some symbols settle every four hours, or every hour.
    timing: ClassVar[Timing] = Timing(
        delay_ms=MINUTE_MS, max_age_ms=9 * HOUR_MS, every_ms=HOUR_MS, stale_ms=24 * HOUR_MS
    )

    def __init__(self, client: RestClient, now_ms: Callable[[], int]) -> None:
        self.client = client
        self.client.weight_limit = WEIGHT_A_MINUTE
        self.now_ms = now_ms

    @classmethod
    def open(cls, config: FeedConfig) -> Self:
        base = config.binance_futures_base or address(config, PUBLIC_BASE)
        return cls(open_client(base, config.run_dir, "binance-futures"), config.now_ms)

    def readings(self, symbol: str, *, since_ms: int) -> list[FundingReading]:
        """Return the settlements of ``[since_ms, now]``, oldest first."""
        found: list[FundingReading] = []
        now_ms = self.now_ms()
        while since_ms <= now_ms:
            page = self._page(symbol, since_ms, now_ms)
            found += page
            if len(page) < ROWS_A_PAGE:
                break
            since_ms = page[-1].at_ms + 1
        return found

    def close(self) -> None:
        self.client.close()

    def _page(self, symbol: str, since_ms: int, until_ms: int) -> list[FundingReading]:
        query = {"symbol": symbol, "startTime": since_ms, "endTime": until_ms, "limit": ROWS_A_PAGE}
        page = parse_funding(self.client.get("/fapi/v1/fundingRate", query), symbol)
        if page and not since_ms <= page[0].at_ms <= page[-1].at_ms <= until_ms:
            raise FeedReplyError(f"funding of {symbol} was asked for in {since_ms}..{until_ms}, others came")
        return page
