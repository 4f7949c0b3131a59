"""A crash at every step of a session, singly and in pairs, judged by the venue's ledger.

``CRASH_PAIRS=all`` walks through all ordered pairs of points and every single commit, which takes hours; without it a
part of them is, which ``CRASH_SEED`` draws.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest

from execution.chaos.crashes import POINTS, Doom, crash_at, passages
from tests.desk import Desk
from tests.executor_builders import (
    MARGIN_MODES,
    assert_at_target,
    assert_nothing_is_left_open,
    judged,
    mostly_deep,
    on_accounts,
    session,
    settle,
    trading_desk,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

N_PAIRS, N_COMMITS = 36, 16
MOST_COMMITS = 60  # more than a session has

# What the kill switch, arming, or an hour of doubt passes, and a session does not.
ELSEWHERE = ("kill", "latch", "armed", "arming", "emergency", "flat", "the book", "pausing", "resuming")
ELSEWHERE += ("settling an attempt",)
OF_A_SESSION = [name for name, point in POINTS.items() if not any(word in point.step for word in ELSEWHERE)]
PAIRS = list(product(OF_A_SESSION, OF_A_SESSION))
COMMITS = [(f"{moment} a commit", nth) for nth in range(1, MOST_COMMITS) for moment in ("before", "after")]


@pytest.fixture
def desk(request, tmp_path) -> Iterator[Desk]:
    with trading_desk(tmp_path, margin_mode=request.param) as opened:
        session(9, 0.5)
        assert_at_target()
        yield opened


def turn_round(doom: Doom) -> None:
    """Reverse a position in one slot and trade the next; each block is a process, and its end may be a crash."""
    with doom.process():
        session(10, -0.5)
    with doom.process():
        session(10, -0.5)  # the queue delivers again at once
    for _ in range(1 + len(doom.plan)):  # who dies while recovering is started again
        with doom.process():
            settle()
    with doom.process():
        session(10, -0.5)
    with doom.process():
        session(11, -0.3)


def assert_the_next_slot_is_as_if_nothing_had_been(desk: Desk) -> None:
    """Trade a slot with all crashes behind it: at its target, nothing twice, nothing left half-done."""
    settle()
    session(12, 0.3)
    assert judged(desk) == []
    assert_at_target()
    assert_nothing_is_left_open()


@pytest.mark.parametrize("desk", MARGIN_MODES, indirect=True)
def test_a_session_passes_every_point_that_is_said_to_be_one_of_it(desk):
    with passages() as passed:
        turn_round(Doom(plan=[]))
    assert set(OF_A_SESSION) <= set(passed)


@pytest.mark.parametrize(("desk", "point"), mostly_deep(on_accounts(OF_A_SESSION)), indirect=["desk"])
def test_a_session_that_dies_at_any_step_trades_nothing_twice_and_the_next_one_is_at_its_target(desk, point):
    with crash_at((point, 1)) as doom:
        turn_round(doom)
    assert doom.crashed == [point]
    assert_the_next_slot_is_as_if_nothing_had_been(desk)


@pytest.mark.deep
@pytest.mark.parametrize(("desk", "crash"), on_accounts(COMMITS, N_COMMITS), indirect=["desk"])
def test_a_session_may_die_at_any_commit(desk, crash):
    with crash_at(crash) as doom:
        turn_round(doom)
    assert_the_next_slot_is_as_if_nothing_had_been(desk)


@pytest.mark.deep
@pytest.mark.parametrize(("desk", "points"), on_accounts(PAIRS, N_PAIRS), indirect=["desk"])
def test_a_desk_that_dies_twice_trades_nothing_twice(desk, points):
    with crash_at(*((point, 1) for point in points)) as doom:
        turn_round(doom)
    assert_the_next_slot_is_as_if_nothing_had_been(desk)
