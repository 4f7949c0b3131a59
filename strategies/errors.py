"""What can go wrong with a strategy, sorted by what the caller must do.

::

    StrategyError
    ├── UnknownStrategyError         usage: the key is not in the list that the message gives
    ├── ParameterError               usage: the message names parameter, value and what is allowed
    ├── MissingColumnError           these bars cannot feed this strategy, however many there are
    └── HistoryError                 these bars cannot feed it yet
        ├── InsufficientHistoryError too few bars, or too few with a value: bring in more history
        └── MissingHoursError        recent klines are missing: fetch the hours that the message names

A strategy that was not fitted raises scikit-learn's ``NotFittedError``; bars that break the contract of bars raise
``market.errors.BarsError``.
"""

from __future__ import annotations

from ops.errors import DeskError, ExitCode


class StrategyError(DeskError):
    """The base of all errors of strategies."""

    exit_code = ExitCode.DATA


class UnknownStrategyError(StrategyError, LookupError):
    """A key that is not in ``STRATEGIES``."""

    exit_code = ExitCode.USAGE


class ParameterError(StrategyError, ValueError):
    """A parameter outside what is allowed, or one that the strategy does not have."""

    exit_code = ExitCode.USAGE


class MissingColumnError(StrategyError):
    """Bars without a column that the strategy requires."""

    def __init__(self, message: str, *, strategy: str = "", column: str = "") -> None:
        super().__init__(message)
        self.strategy = strategy
        self.column = column


class HistoryError(StrategyError):
    """Bars of the right kind that do not reach far enough, or have holes."""


class InsufficientHistoryError(HistoryError):
    """Too few bars: ``count`` where ``needed`` are."""

    def __init__(self, message: str, *, strategy: str = "", count: int = 0, needed: int = 0) -> None:
        super().__init__(message)
        self.strategy = strategy
        self.count = count
        self.needed = needed


class MissingHoursError(HistoryError):
    """More recent klines missing than a strategy that needs them accepts."""
