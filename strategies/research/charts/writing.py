"""How numbers and times are written in charts, their tables and tear sheets: as the pages of the site write them.

What is unknown (None, NaN, infinite) is always ``—``. Digits are grouped with a narrow no-break space, minus is the
true minus, and what rounds to zero has no sign.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

Number = Decimal | float | int | None

UNKNOWN = "—"
MINUS = "\u2212"
NARROW_SPACE = "\u202f"
NO_BREAK = "\u00a0"


def written(value: Number, places: int, *, plus: bool = False) -> str:
    """Return ``value`` rounded to ``places`` decimals, with a sign where it has one.

    >>> written(-1234.567, 2), written(0.001, 2, plus=True), written(float("nan"), 2)
    ('−1\u202f234.57', '0.00', '—')
    """
    if value is None or not math.isfinite(value):
        return UNKNOWN
    digits = f"{abs(value):,.{places}f}".replace(",", NARROW_SPACE)
    if not any(digit in "123456789" for digit in digits):
        return digits
    return (MINUS if value < 0 else "+" if plus else "") + digits


def money(value: Number) -> str:
    """Write a level of money."""
    return written(value, 2)


def change(value: Number) -> str:
    """Write an amount of money that was earned or lost, with its sign."""
    return written(value, 2, plus=True)


def percent(value: Number, places: int = 2, *, plus: bool = False) -> str:
    """Write a fraction in per cent, with the unit where it is known."""
    text = written(None if value is None else value * 100, places, plus=plus)
    return text if text == UNKNOWN else f"{text}{NO_BREAK}%"


def gain(value: Number) -> str:
    """Write a return: a fraction in per cent with its sign."""
    return percent(value, plus=True)


def ratio(value: Number) -> str:
    """Write a ratio."""
    return written(value, 2)


def fine(value: Number) -> str:
    """Write a factor or a position that small changes matter of."""
    return written(value, 4)


def count(value: Number) -> str:
    """Write a whole number."""
    return written(value, 0)


def moment(value: datetime | None) -> str:
    """Write a moment in UTC, to the minute."""
    return UNKNOWN if value is None else value.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def tone(value: Number, places: int = 2) -> str:
    """Return ``gain`` or ``loss`` for a number that reads as more or less than zero, else nothing."""
    text = written(value, places, plus=True)
    return {"+": "gain", MINUS: "loss"}.get(text[0], "")


WRITERS: dict[str, Callable[[Any], str]] = {
    "money": money,
    "change": change,
    "percent": percent,
    "gain": gain,
    "ratio": ratio,
    "fine": fine,
    "count": count,
    "moment": moment,
    "text": str,
}
