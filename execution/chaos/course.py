"""What has happened so far in the hours of a run, and how long the bot's positions stayed without a stop in them."""

from __future__ import annotations

from dataclasses import dataclass, field

from execution.chaos.desk import VirtualDesk
from execution.chaos.facts import Naked, Repeat
from execution.venue_guard import UNREACHABLE
from ops import clock
from ops.models import Alert

DURING = "during a send"


@dataclass(kw_only=True)
class Course:
    """What has happened so far.

    Attributes
    ----------
    bot_runs : int
        Runs of the setup bot that the trader was given.
    naked : list of Naked
        Positions of the bot that were still without a stop at a later look of the sentinel.
    """

    sessions: int = 0
    bot_runs: int = 0
    crashes: list[dict[str, str]] = field(default_factory=list)
    acts: list[dict[str, str]] = field(default_factory=list)
    repeats: list[Repeat] = field(default_factory=list)
    naked: list[Naked] = field(default_factory=list)

    @property
    def is_disturbed(self) -> bool:
        """Whether a process died, or something happened in the middle of its work."""
        return bool(self.crashes) or any(DURING in act["act"] for act in self.acts)

    def note(self, what: str) -> None:
        """Write down what a person or chance did."""
        self.acts.append({"at": clock.market_now().isoformat(), "act": what})


class NakedWatch:
    """Looks at the venue's own books after each look of the sentinel at them.

    Time counts only while the sentinel is connected and no fault has begun: of a terminal that does not answer nobody
    can expect a stop.
    """

    def __init__(self, desk: VirtualDesk, course: Course) -> None:
        self._desk = desk
        self._course = course
        self._since: dict[int, int] = {}  # ticket to the first look that found it so, in milliseconds
        self._n_faults = 0

    def look(self) -> bool:
        """Note what is naked now; return whether anything is."""
        naked = self._desk.naked()
        if not naked:
            self._since = {}
            return False
        now_ms, before = round(clock.market_now().timestamp() * 1000), self._since if self._is_undisturbed() else {}
        self._since = {ticket: before.get(ticket, now_ms) for ticket in naked}
        self._course.naked += [
            Naked(ticket=ticket, since_ms=since, until_ms=now_ms)
            for ticket, since in self._since.items()
            if since < now_ms
        ]
        return True

    def _is_undisturbed(self) -> bool:
        """Return whether the sentinel has the venue's ear, and no fault has begun since the look before."""
        before, self._n_faults = self._n_faults, len(self._desk.faults())
        is_cut_off = Alert.objects.open().filter(key__startswith=UNREACHABLE).exists()
        return before == self._n_faults and not is_cut_off
