"""The sentinel as the keeper of time: each slot's session is asked for once, in time, or not at all."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django_q.models import OrmQ

from execution.sentinel import ENQUEUE_AHEAD, Sentinel, enqueue_due_session
from execution.sessions.hourly import JOB, slot_rule
from execution.sessions.slots import slot_of
from ops.models import Run
from simulator import control as market
from tests.desk import START, open_desk

pytestmark = pytest.mark.django_db(transaction=True)
SECOND = timedelta(seconds=1)


@pytest.fixture
def desk(tmp_path):
    with open_desk(tmp_path) as opened:
        yield opened


def due(hour: int) -> datetime:
    return slot_of(START.replace(hour=hour), slot_rule()).at


def asked_for() -> list[str]:
    return list(Run.objects.filter(job=JOB).order_by("id").values_list("slot", flat=True))


@pytest.fixture
def kept_time(desk):
    """A desk whose slot of 08:00 was asked for in time."""
    market.step(due(8))
    assert enqueue_due_session()
    return desk


def test_a_session_is_asked_for_shortly_before_its_slot_and_once(kept_time):
    market.step(due(9) - ENQUEUE_AHEAD - SECOND)
    assert not enqueue_due_session()
    market.step(due(9) - ENQUEUE_AHEAD + SECOND)

    assert [enqueue_due_session() for _ in range(3)] == [True, False, False]
    assert asked_for() == ["2026-01-05T08", "2026-01-05T09"]
    assert [task.key for task in OrmQ.objects.all()] == ["trading", "trading"]


@pytest.mark.parametrize("late", [SECOND, 30 * SECOND, timedelta(minutes=30), timedelta(minutes=59)])
def test_a_slot_that_was_slept_through_is_asked_for_while_its_bar_is_the_newest(kept_time, late):
    market.step(due(9) + late)

    assert [enqueue_due_session() for _ in range(3)] == [True, False, False]
    assert asked_for() == ["2026-01-05T08", "2026-01-05T09"]


@pytest.mark.parametrize("late", [timedelta(minutes=59, seconds=15), timedelta(minutes=59, seconds=30)])
def test_a_slot_whose_bar_is_not_the_newest_any_more_is_not_asked_for(kept_time, late):
    """From 10:00:00 the bar of 09:00 is closed; the slot of 10:00 acts at 10:00:45."""
    market.step(due(9) + late)

    assert not enqueue_due_session()
    assert asked_for() == ["2026-01-05T08"]


def test_just_before_the_next_slot_only_that_one_is_asked_for(kept_time):
    market.step(due(10) - SECOND)

    assert enqueue_due_session()
    assert asked_for() == ["2026-01-05T08", "2026-01-05T10"]


def test_the_slot_before_the_daily_break_comes_early_and_not_again(desk):
    market.step(due(21))
    assert enqueue_due_session()
    market.step(START.replace(hour=21, minute=55, second=42))
    assert enqueue_due_session()
    market.step(START.replace(hour=22, second=42))

    assert not enqueue_due_session()
    assert asked_for() == ["2026-01-05T21", "2026-01-05T22"]


def test_a_slot_that_a_person_has_asked_for_already_is_left_to_that_run(desk):
    Run.objects.create(job=JOB, slot="2026-01-05T09", status=Run.Status.RUNNING)
    market.step(due(9))

    assert not enqueue_due_session()
    assert not OrmQ.objects.exists()


def test_a_round_without_a_terminal_still_keeps_time(desk, settings):
    settings.MT5_BRIDGE = "moon"
    market.step(due(9) - SECOND)
    Sentinel().round()

    assert asked_for() == ["2026-01-05T09"]
