"""What a family of signals is: two questions about a row of features, and the thresholds that a person may move."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd

from market.errors import BarsError


class Thresholds(Protocol):
    """A frozen dataclass of numbers, each with a default and checked on the way in."""

    __dataclass_fields__: Any


Identify = Callable[[pd.DataFrame, Any], pd.Series]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalFamily:
    """How setups are found.

    Parameters
    ----------
    long, short : callable
        Features and thresholds in, a Series of bool on their index out. NaN never makes a setup.
    thresholds : type
        What ``long`` and ``short`` are given; without arguments it has the defaults.
    needs : tuple of str
        The features that are looked at: a setup keeps them.
    """

    long: Identify
    short: Identify
    thresholds: Callable[..., Any]
    needs: tuple[str, ...]

    def directions(self, features: pd.DataFrame, thresholds: Any = None) -> pd.Series:
        """Return 1 where a long setup is, -1 where a short one is, and 0 where none or, in contradiction, both are."""
        chosen = self.thresholds() if thresholds is None else thresholds
        found = self.long(features, chosen).astype(np.int8) - self.short(features, chosen).astype(np.int8)
        return found.rename("direction")


def require_features(features: pd.DataFrame, needs: Sequence[str]) -> None:
    """Raise ``BarsError`` for features that lack what a signal looks at."""
    missing = [name for name in needs if name not in features.columns]
    if missing:
        raise BarsError(f"features lack {', '.join(missing)}; columns were {', '.join(map(str, features.columns))}")
