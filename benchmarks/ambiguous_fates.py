"""What becomes of a request, and how its sender learns of it: drawn by chance, within what a venue promises."""

from __future__ import annotations

import random
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

EXECUTED_WITHIN_S = 15.0  # of the sending: the promise of a venue that the horizon stands for
GIVEN_UP_AFTER_S = 17.0  # of the line in the journal: the sending may come 2 s after it, and here comes at once
SHOWN_WITHIN_S = 18.9  # of the sending, in history and positions: one read after the horizon may miss it, not two


class Ending(StrEnum):
    """How the sender learns of what was done."""

    CLEAR = "clear"  # a true answer
    LOST = "lost"  # an answer that proves nothing, or none
    CRASH = "crash"  # the sender dies before the answer is written down
    REBOOT = "reboot"  # so does its machine
    STALLED = "stalled"  # the sender stands still for a while, then gets the answer

    @property
    def is_in_doubt(self) -> bool:
        """Whether the sender, or who reconciles meanwhile, does not know what was done."""
        return self is not Ending.CLEAR


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One deal that comes of a request; seconds are counted from its sending."""

    share: Decimal  # of the volume
    after_s: float
    in_history_s: float
    in_positions_s: float
    is_twice: bool  # whether each read of the history shows it twice


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What becomes of a request."""

    parts: tuple[Part, ...]
    ending: Ending
    stalled_s: float = 0.0


def draw_fate(rng: random.Random) -> Fate:
    """Return what becomes of a request: mostly in doubt, three times in five executed, in one or two deals."""

    ending = rng.choices(list(Ending), weights=(20, 66, 6, 1, 7))[0]
    share = rng.choice((Decimal(1), Decimal(1), Decimal("0.5")))
    shares = rng.choices(((), (share,), (share / 2, share / 2)), weights=(4, 5, 1))[0]
    parts = tuple(_draw_part(rng, one, at_once=ending is Ending.CLEAR) for one in shares)
    return Fate(parts=parts, ending=ending, stalled_s=rng.uniform(5, 90))


def _draw_part(rng: random.Random, share: Decimal, *, at_once: bool) -> Part:

    after_s = 0.0 if at_once or rng.random() < 0.5 else rng.uniform(0.0, EXECUTED_WITHIN_S)
    shown_s = after_s
    if not at_once and rng.random() < 0.4:
        shown_s = rng.uniform(rng.choice((after_s, GIVEN_UP_AFTER_S)), SHOWN_WITHIN_S)
    return Part(
        share=share,
        after_s=after_s,
        in_history_s=shown_s,
        in_positions_s=rng.choice((after_s, shown_s)),
        is_twice=rng.random() < 0.1,
    )
