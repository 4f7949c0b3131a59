"""What can go wrong with data, sorted by what the caller must do.

::

    MarketError
    ├── UnknownSymbolError       usage: the name is not in the list that the message gives
    ├── BarsError                the bars break the contract that the message names
    ├── DataMissingError         history is missing: bring it in
    ├── DataStaleError           history ends too early: wait or update
    └── FeedError
        ├── FeedUnavailableError the source did not answer: safe to try again
        ├── FeedLimitedError     the source asks for a pause of ``retry_after_s``
        └── FeedReplyError       the source answered something that we do not understand
"""

from __future__ import annotations

from ops.errors import DeskError, ExitCode


class MarketError(DeskError):
    """The base of all errors of market data."""


class UnknownSymbolError(MarketError):
    """A symbol that nobody registered."""

    exit_code = ExitCode.USAGE


class BarsError(MarketError, ValueError):
    """Bars that are not what ``as_bars`` promises."""

    exit_code = ExitCode.DATA


class DataMissingError(MarketError):
    """History that is needed and is not there."""

    exit_code = ExitCode.DATA


class DataStaleError(MarketError):
    """History whose last bar is older than it has to be."""

    exit_code = ExitCode.DATA


class FeedError(MarketError):
    """A data source that did not deliver."""

    exit_code = ExitCode.UNREACHABLE


class FeedUnavailableError(FeedError):
    """A source that could not be reached, or failed on its side."""


class FeedLimitedError(FeedError):
    """A source that asks us to wait."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class FeedReplyError(FeedError):
    """A reply whose shape or types are not the documented ones."""
