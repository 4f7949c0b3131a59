"""Every rounding of money, prices and volumes, with its rule in the function's name.

Floats come from numerics and from brokers' structures. They enter ``Decimal`` here and nowhere else, through their
shortest decimal text, so that 0.1 becomes 0.1 and not 0.1000000000000000055.
"""

from __future__ import annotations

import math
from decimal import ROUND_HALF_EVEN, Decimal

VOLUME_DIGITS = 8  # finer than any venue's volume step
MONEY_DIGITS = 2


def decimal_from_float(value: float) -> Decimal:
    """Return the shortest decimal that reads back as the same float.

    Raises
    ------
    ValueError
        If ``value`` is not finite.
    """
    # float() first: the repr of a NumPy scalar is 'np.float64(0.1)'.
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"a money amount, price or volume must be finite, was {number}")
    return Decimal(repr(number))


def round_half_even(value: Decimal, digits: int) -> Decimal:
    """Round to ``digits`` places after the point, halves to the even neighbour.

    This is the rule of Python's own ``round``, applied to the decimal number instead of to its binary neighbour.

    >>> round_half_even(Decimal("0.00873"), 2), round_half_even(Decimal("0.025"), 2)
    (Decimal('0.01'), Decimal('0.02'))
    """
    return value.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_EVEN)


def round_down_to_step(volume: Decimal, step: Decimal) -> Decimal:
    """Return the multiple of ``step`` next to ``volume`` on the side of zero.

    >>> round_down_to_step(Decimal("0.059"), Decimal("0.02")), round_down_to_step(Decimal("-0.059"), Decimal("0.02"))
    (Decimal('0.04'), Decimal('-0.04'))
    """
    if not (step.is_finite() and step > 0):
        raise ValueError(f"a volume step must be finite and above 0, was {step}")
    # Decimal's // truncates towards zero and is exact; dividing first could round up at the 28th digit.
    return volume // step * step


def is_on_step(volume: Decimal, step: Decimal) -> bool:
    """Tell whether ``volume`` is a whole number of ``step``; False for NaN and infinities."""
    return volume.is_finite() and volume % step == 0


def split_by_max(
    volume: Decimal, volume_max: Decimal, step: Decimal, *, volume_min: Decimal | None = None
) -> tuple[Decimal, ...]:
    """Cut ``volume`` into as few orders as ``volume_max`` allows, none below ``volume_min`` where that is possible.

    ``volume`` is positive and on the grid. What is left over and too small for an order of its own is topped up from
    the piece before it.

    >>> split_by_max(Decimal("2.5"), Decimal("1"), Decimal("0.1"))
    (Decimal('1.0'), Decimal('1.0'), Decimal('0.5'))
    """
    if not (volume > 0 and is_on_step(volume, step)):
        raise ValueError(f"a volume to split must be above 0 and a multiple of {step}, was {volume}")
    largest = round_down_to_step(volume_max, step)
    if largest <= 0:
        raise ValueError(f"the largest volume must be at least one step of {step}, was {volume_max}")
    count, rest = divmod(volume, largest)
    pieces = [largest] * int(count) + ([rest] if rest else [])
    missing = (volume_min or step) - pieces[-1]
    if missing > 0 and len(pieces) > 1:
        pieces[-2:] = [pieces[-2] - missing, pieces[-1] + missing]
    return tuple(pieces)


def money_from_float_half_even(value: float, digits: int = MONEY_DIGITS) -> Decimal:
    """Return an amount of money with ``digits`` places, halves to even."""
    return round_half_even(decimal_from_float(value), digits)


def volume_from_float_half_even(value: float) -> Decimal:
    """Return a volume freed from float noise: ``0.30000000000000004`` lots are 0.3 lots.

    >>> volume_from_float_half_even(0.1 + 0.2)
    Decimal('0.3')
    """
    volume = round_half_even(decimal_from_float(value), VOLUME_DIGITS)
    # normalize() alone would write 100 lots as 1E+2.
    return volume.quantize(Decimal(1)) if volume == volume.to_integral_value() else volume.normalize()
