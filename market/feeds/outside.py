"""What every source of outside readings is to the services: a number now and then that is not a bar.

A reading is a fact of a moment, its stamp. Who may use it when is its source's timing: nobody before ``delay_ms``
after the stamp, because it was not out yet, and nobody after ``max_age_ms``, because by then it says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, Self

from market.feeds.base import FeedConfig
from market.intervals import DAY_MS

FIRST_HISTORY_MS = 1_100 * DAY_MS  # three years, where a source has a history


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """When a reading may be used, and when the next one is worth asking for; ms after its stamp.

    Attributes
    ----------
    delay_ms : int
        Until it is known.
    max_age_ms : int
        The last moment at which it counts.
    every_ms : int
        Before this the source has nothing newer.
    stale_ms : int
        When a person should know that none came since.
    """

    delay_ms: int
    max_age_ms: int
    every_ms: int
    stale_ms: int

    def __post_init__(self) -> None:
        if not 0 <= self.delay_ms < self.max_age_ms <= self.stale_ms:
            raise ValueError(f"a timing needs 0 <= delay_ms < max_age_ms <= stale_ms, was {self}")


class Reading(Protocol):
    """A named tuple whose fields are those of its table."""

    _fields: ClassVar[tuple[str, ...]]

    @property
    def at_ms(self) -> int:
        """Return the stamp, UTC in ms."""

    def _asdict(self) -> dict[str, Any]:
        """Return the fields by name."""


class FundingReading(NamedTuple):
    """What longs of a perpetual future paid to shorts at a settlement, as a fraction of the position's worth."""

    at_ms: int
    rate: float
    mark_price: float | None  # quote currency; old settlements have none


class BookReading(NamedTuple):
    """The best levels of an order book: best prices in quote currency, summed quantities in base currency."""

    at_ms: int
    bid: float
    ask: float
    bid_quantity: float
    ask_quantity: float
    n_levels: int  # at most so many a side


class SentimentReading(NamedTuple):
    """An index of the market's mood, 0 (fear) to 100 (greed)."""

    at_ms: int
    value: int
    label: str


class OutsideFeed(Protocol):
    """A connected source of readings.

    ``column`` is the feature's name, ``model`` the table of ``market`` whose fields are those of its readings.
    """

    name: ClassVar[str]
    column: ClassVar[str]
    model: ClassVar[str]
    is_per_symbol: ClassVar[bool]  # otherwise of the whole market, and asked for with an empty symbol
    timing: ClassVar[Timing]

    @classmethod
    def open(cls, config: FeedConfig) -> Self:
        """Connect; FeedError when nobody answers."""

    def readings(self, symbol: str, *, since_ms: int) -> Sequence[Reading]:
        """Return the readings stamped at ``since_ms`` or later and by now, oldest first; FeedError otherwise."""

    def close(self) -> None:
        """Let go of the connection."""
