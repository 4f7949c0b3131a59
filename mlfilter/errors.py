"""What can go wrong with a filter of setups, sorted by what the caller must do.

::

    FilterError
    ├── FilterDataError         bars or setups are missing, or too few: bring in more history
    ├── FeatureMismatchError    these features are not those that it was trained with: train again
    └── NoFilterError           nothing is active that could judge a setup: train and promote a version
"""

from __future__ import annotations

from ops.errors import DeskError, ExitCode


class FilterError(DeskError):
    """The base of all errors of the filter."""


class FilterDataError(FilterError):
    """Too little to train on, to judge or to test."""

    exit_code = ExitCode.DATA


class FeatureMismatchError(FilterError, ValueError):
    """Features that are not, in their order, those that a recognizer was trained with."""

    exit_code = ExitCode.DATA


class NoFilterError(FilterError):
    """No version is active for the symbol and interval."""

    exit_code = ExitCode.DATA
