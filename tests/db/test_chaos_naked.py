"""How long a position without a stop is counted: only while the sentinel could have done something about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from execution.chaos.clock import VirtualClock
from execution.chaos.course import Course, NakedWatch
from execution.venue_guard import UNREACHABLE
from ops import alerts, clock

pytestmark = pytest.mark.django_db
BEGIN = datetime(2026, 1, 5, 9, tzinfo=UTC)


@dataclass
class Venue:
    """What a watch asks of a desk."""

    tickets: list[int] = field(default_factory=lambda: [601])
    played: list[str] = field(default_factory=list)

    def naked(self) -> list[int]:
        return self.tickets

    def faults(self) -> list[str]:
        return self.played


@pytest.fixture
def seconds():
    with clock.use(VirtualClock(BEGIN, lambda moment: None)):
        yield clock.sleep


def looked(venue: Venue, seconds, *between) -> list[tuple[int, float]]:
    """Look once a second, with something done before each look; return what was noted, in seconds."""
    course = Course()
    watch = NakedWatch(venue, course)
    for happen in between:
        happen()
        watch.look()
        seconds(1.0)
    return [(naked.ticket, (naked.until_ms - naked.since_ms) / 1000) for naked in course.naked]


def nothing() -> None:
    """Let nothing happen."""


def test_time_counts_from_the_first_look_that_showed_it(seconds):
    assert looked(Venue(), seconds, nothing, nothing, nothing) == [(601, 1.0), (601, 2.0)]


def test_a_stop_that_is_there_at_the_next_look_was_never_late(seconds):
    venue = Venue()
    assert looked(venue, seconds, nothing, venue.tickets.clear, lambda: venue.tickets.append(601)) == []


def test_a_fault_that_begins_starts_the_count_again(seconds):
    venue = Venue()
    assert looked(venue, seconds, nothing, lambda: venue.played.append("M04"), nothing) == [(601, 1.0)]


def test_nothing_counts_while_the_venue_cannot_be_reached(seconds):
    def cut_off() -> None:
        alerts.raise_alert(UNREACHABLE, "The broker does not answer")

    def back() -> None:
        alerts.resolve_alert(UNREACHABLE)

    assert looked(Venue(), seconds, nothing, cut_off, nothing, back, nothing) == [(601, 1.0), (601, 2.0)]
