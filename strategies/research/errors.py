"""What can go wrong in research, sorted by what the caller must do.

::

    StrategyError
    └── ResearchError
        ├── SplitError    usage: so many bars cannot be cut like that; the message says what would do
        ├── RowsError     these are not row numbers of the bars
        └── ReturnsError  these are not returns that can be measured

A parameter outside what is allowed is ``strategies.errors.ParameterError``, as it is for strategies.
"""

from __future__ import annotations

from ops.errors import ExitCode
from strategies.errors import StrategyError


class ResearchError(StrategyError, ValueError):
    """The base of all errors of research."""


class SplitError(ResearchError):
    """A split that so many bars do not allow, or that would show a model what it is tested on."""

    exit_code = ExitCode.USAGE


class RowsError(ResearchError):
    """Something else where row numbers of bars are wanted."""


class ReturnsError(ResearchError):
    """Returns or positions with holes, of unequal length, or without times."""
