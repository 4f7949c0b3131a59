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


def test_a_session_is_asked_for_shortly_before_its_slot_and_once(desk):
    market.step(due(9) - ENQUEUE_AHEAD - SECOND)
    assert not enqueue_due_session()
    market.step(due(9) - ENQUEUE_AHEAD + SECOND)

    assert [enqueue_due_session() for _ in range(3)] == [True, False, False]
    assert asked_for() == ["2026-01-05T09"]
    assert [task.key for task in OrmQ.objects.all()] == ["trading"]


@pytest.mark.parametrize("late", [SECOND, 30 * SECOND, timedelta(minutes=30), timedelta(minutes=59)])
def test_a_slot_that_was_slept_through_is_not_asked_for_any_more(desk, late):
    market.step(due(9) + late)

    assert not enqueue_due_session()
    assert asked_for() == []
    assert not OrmQ.objects.exists()


def test_the_slot_before_the_daily_break_comes_early_and_not_again(desk):
    market.step(START.replace(hour=21, minute=55, second=42))
    assert enqueue_due_session()
    market.step(START.replace(hour=22, second=42))

    assert not enqueue_due_session()
    assert asked_for() == ["2026-01-05T22"]


def test_a_slot_that_a_person_has_asked_for_already_is_left_to_that_run(desk):
    Run.objects.create(job=JOB, slot="2026-01-05T09", status=Run.Status.RUNNING)
    market.step(due(9) - SECOND)

    assert not enqueue_due_session()
    assert not OrmQ.objects.exists()


def test_a_round_without_a_terminal_still_keeps_time(desk, settings):
    settings.MT5_BRIDGE = "moon"
    market.step(due(9) - SECOND)
    Sentinel().round()

    assert asked_for() == ["2026-01-05T09"]
