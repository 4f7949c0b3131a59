"""What a fault is: an id of the catalogue, the calls it touches, and the function that plays it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulator.faults.call import Call

Play = Callable[["Call"], Any]
Applies = Callable[["Call"], bool]


def always(call: Call) -> bool:
    """Fit every call that the fault touches."""
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault that the simulated venue can play.

    Parameters
    ----------
    id : str
        The catalogue's.
    does : str
        What it does at the venue's surface, in one line.
    calls : tuple of str
        The functions, or ``"GET /path"`` of the exchange, that it touches.
    play : callable
        Answers a touched call, as the fault would have it.
    parameters : mapping
        Names and defaults; a rule may give others.
    lasts_s : float
        Market seconds that it goes on after it has begun; 0 is one call. A rule may say otherwise.
    per_symbol : bool
        Whether, once begun, it stays with the symbol of the call that it began with.
    applies : callable
        Which touched calls it has a meaning for; others pass and are not counted.
    begins_at : tuple of str
        The touched calls that it can begin at, all where none is named; others only meet it while it goes on.
    """

    id: str
    does: str
    calls: tuple[str, ...]
    play: Play
    parameters: Mapping[str, Any] = field(default_factory=dict)
    lasts_s: float = 0.0
    per_symbol: bool = False
    applies: Applies = always
    begins_at: tuple[str, ...] = ()

    def can_begin(self, call: Call) -> bool:
        """Return whether it can begin at a call."""
        return call.name in (self.begins_at or self.calls) and self.applies(call)
