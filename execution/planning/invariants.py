"""The checks that values share: each raises ``ValueError`` with the name and what it was."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal


def require_finite(**values: Decimal) -> None:
    """Refuse NaN and infinities, by name."""
    for name, value in values.items():
        if not value.is_finite():
            raise ValueError(f"{name} must be finite, was {value}")


def require_positive(**values: Decimal) -> None:
    """Refuse what is not a finite number above zero, by name."""
    require_finite(**values)
    for name, value in values.items():
        if value <= 0:
            raise ValueError(f"{name} must be above 0, was {value}")


def require_not_negative(**values: Decimal) -> None:
    """Refuse what is not a finite number of at least zero, by name."""
    require_finite(**values)
    for name, value in values.items():
        if value < 0:
            raise ValueError(f"{name} must be at least 0, was {value}")


def require_utc(**moments: datetime) -> None:
    """Refuse naive times and other zones, by name."""
    for name, moment in moments.items():
        if moment.utcoffset() != timedelta(0):
            raise ValueError(f"{name} must be an aware UTC time, was {moment.isoformat()}")
