"""When each panel of an open page is sent: not too often, at once where it matters, and again before it grows old."""

from __future__ import annotations

from collections.abc import Iterable

from tradingsite.wiring import PANELS

AT_ONCE = frozenset({"alerts", "state", "kill"})  # topics that never wait
RETRY_S = 1.0


class Pace:
    """The panels of one page and when each is due, in seconds of the caller's clock."""

    def __init__(self, names: Iterable[str], *, now: float) -> None:
        self._sent = dict.fromkeys((name for name in names if name in PANELS), float("-inf"))
        self._due = dict.fromkeys(self._sent, now)  # every panel once: it repairs whatever was missed

    @property
    def next_due(self) -> float | None:
        """Return when something has to be sent, None while everything is."""
        return min(self._due.values(), default=None)

    def note(self, topic: str, *, now: float) -> None:
        """Let the panels of a topic be sent again: as soon as their gap allows, or at once."""
        for name in self._sent:
            if topic in PANELS[name].topics:
                self._want(name, now if topic in AT_ONCE else max(now, self._sent[name] + PANELS[name].gap_s))

    def take(self, *, now: float) -> list[str]:
        """Return what is due and count it as sent."""
        names = sorted(name for name, due in self._due.items() if due <= now)
        for name in names:
            self._sent[name] = now
            del self._due[name]
            every_s = PANELS[name].every_s
            if every_s is not None:
                self._due[name] = now + every_s
        return names

    def give_back(self, names: Iterable[str], *, now: float) -> None:
        """Try again in a second what could not be rendered."""
        for name in names:
            self._want(name, now + RETRY_S)

    def _want(self, name: str, due: float) -> None:
        self._due[name] = min(self._due.get(name, due), due)
