"""The checks that values share: each raises ``ValueError`` with the name, what it was and what is allowed."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from decimal import Decimal


def require_fractions(allowed: tuple[float, float], /, **values: float | Decimal) -> None:
    """Refuse what is not a finite number within ``allowed``, both ends included, by name."""
    low, high = allowed
    for name, value in values.items():
        if isinstance(value, bool) or not (math.isfinite(value) and _is_within(allowed, value)):
            raise ValueError(f"{name} must be within {low:g}..{high:g}, was {value}")


def require_whole(allowed: tuple[int, int], /, **values: int) -> None:
    """Refuse what is not a whole number within ``allowed``, by name."""
    low, high = allowed
    for name, value in values.items():
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"{name} must be a whole number within {low}..{high}, was {value!r}")


def require_positive(**values: float | Decimal) -> None:
    """Refuse what is not a finite number above 0, by name."""
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be finite and above 0, was {value}")


def require_utc(**moments: datetime) -> None:
    """Refuse naive times and other zones, by name."""
    for name, moment in moments.items():
        if moment.utcoffset() != timedelta(0):
            raise ValueError(f"{name} must be an aware UTC time, was {moment.isoformat()}")


def _is_within(allowed: tuple[float, float], value: float | Decimal) -> bool:
    """Compare as decimals what is one: the float 0.001 is a little more than the decimal 0.001."""
    if isinstance(value, Decimal):
        return Decimal(repr(allowed[0])) <= value <= Decimal(repr(allowed[1]))
    return allowed[0] <= value <= allowed[1]
