"""Magic numbers: the only mark of ours that a MetaTrader server keeps, so each intent has its own.

From the high end: our prefix (12 bits), the family (5), the intent's counter (36); 53 bits in all, so that no float
on the way can change one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

COUNTER_BITS, FAMILY_BITS, PREFIX_BITS = 36, 5, 12
PREFIX = 0xB7D  # its top bit is set, so every magic of ours has all 53 bits
MAX_COUNTER = 2**COUNTER_BITS - 1
EMERGENCY_COUNTER = 2 ** (COUNTER_BITS - 1)  # counters above are given out without the database
MAGICS = range(PREFIX << (FAMILY_BITS + COUNTER_BITS), (PREFIX + 1) << (FAMILY_BITS + COUNTER_BITS))  # with our prefix


class Family(StrEnum):
    """Who owns a position."""

    REBALANCE = "rebalance"  # the hourly session
    SETUP = "setup"  # the 15-minute bot


# Written into orders at the venue: a number once given to a family is never given to another.
FAMILY_NUMBERS = {Family.REBALANCE: 1, Family.SETUP: 2}
_FAMILIES = {number: family for family, number in FAMILY_NUMBERS.items()}


@dataclass(frozen=True, slots=True)
class Magic:
    """What a magic number says."""

    family: Family
    counter: int


def encode_magic(family: str, counter: int) -> int:
    """Return the magic number of a family's intent.

    Raises
    ------
    ValueError
        For an unknown family, or a counter outside ``1 .. 2**36 - 1``.
    """
    try:
        number = FAMILY_NUMBERS[Family(family)]
    except ValueError as error:
        raise ValueError(f"no family {family!r}; known: {', '.join(Family)}") from error
    if not 1 <= counter <= MAX_COUNTER:
        raise ValueError(f"a counter must lie from 1 to {MAX_COUNTER}, was {counter}")
    return (PREFIX << FAMILY_BITS | number) << COUNTER_BITS | counter


def decode_magic(magic: int) -> Magic | None:
    """Return what a magic number says, None when it is not one of ours."""
    head, counter = divmod(magic, 2**COUNTER_BITS)
    prefix, number = divmod(head, 2**FAMILY_BITS)
    if prefix != PREFIX or number not in _FAMILIES or counter == 0:
        return None
    return Magic(_FAMILIES[number], counter)


def is_ours(magic: int) -> bool:
    """Tell whether a number bears our prefix, even if nothing else of it can be read."""
    return magic in MAGICS
