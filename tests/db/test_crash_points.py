"""What a crash leaves behind in this process is what SIGKILL leaves behind in another."""

from __future__ import annotations

from contextlib import suppress
from pkgutil import resolve_name

import pytest
from django.db import transaction

from execution.chaos.crashes import POINTS, STEPS, Crash, crash_at, passages
from execution.models import Attempt, Intent
from execution.safety.gate import TRADER_LEASE
from ops import alerts, leases, runs
from ops.models import Alert, Lease, Run
from tests.executor_builders import our_deals, session, trading_desk

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk(tmp_path):
    with trading_desk(tmp_path, margin_mode="hedging") as opened:
        yield opened


def test_every_step_is_a_function_that_is_there():
    assert [path for path in STEPS.values() if not callable(resolve_name(path))] == []
    assert len(set(STEPS.values())) == len(STEPS)
    assert len(POINTS) == 2 * (len(STEPS) + 1)


@pytest.mark.parametrize("plan", [("no such point", 1), ("before opening the intent", 0)])
def test_a_point_that_is_none_is_refused(plan):
    with pytest.raises(ValueError, match="one of POINTS and a count from 1"), crash_at(plan):
        pass


def test_before_a_commit_nothing_was_written_and_after_it_everything():
    for point, n_rows in (("before a commit", 0), ("after a commit", 2)):
        with crash_at((point, 1)) as doom, doom.process(), transaction.atomic():
            runs.create_run("a job", point)
            runs.create_run("another job", point)
        assert doom.crashed == [point]
        assert Run.objects.filter(slot=point).count() == n_rows


def test_the_nth_passage_is_meant_and_a_second_crash_is_counted_from_the_first():
    with crash_at(("after making the run", 2), ("after making the run", 2)) as doom:
        for life in range(2):
            with doom.process():
                for number in range(5):
                    runs.create_run("a job", f"{life} {number}")
    assert doom.crashed == ["after making the run"] * 2
    assert sorted(Run.objects.values_list("slot", flat=True)) == ["0 0", "0 1", "1 0", "1 1"]


def test_a_dead_process_writes_nothing_while_its_blocks_end():
    with crash_at(("after making the run", 1)) as doom:
        with doom.process():
            try:
                runs.create_run("a job", "slot")
            finally:
                alerts.raise_alert("a key", "nobody lives to tell")
        assert not Alert.objects.exists()
        alerts.raise_alert("a key", "the next process can")
    assert Alert.objects.count() == 1


def test_a_crash_is_no_exception_that_anybody_handles():
    def careless() -> None:
        with suppress(Exception):
            runs.create_run("a job", "slot")

    with crash_at(("before making the run", 1)), pytest.raises(Crash, match="before making the run"):
        careless()


def test_afterwards_everything_is_as_it_was():
    before = {path: resolve_name(path) for path in STEPS.values()}
    with passages(), crash_at(("before making the run", 1)):
        assert resolve_name("ops.runs.create_run") is not before["ops.runs.create_run"]
    assert {path: resolve_name(path) for path in STEPS.values()} == before
    assert runs.create_run("a job", "slot")[1]


def test_a_session_that_dies_keeps_its_lease_and_its_row_begun(desk):
    with crash_at(("after the venue's write", 1)) as doom, doom.process():
        session(9, 0.5)

    assert doom.crashed == ["after the venue's write"]
    assert len(our_deals()) == 1
    assert Run.objects.get().status == Run.Status.RUNNING
    assert Lease.objects.get(name=TRADER_LEASE).holder != ""
    assert (Attempt.objects.get().outcome, Intent.objects.get().status) == ("", Intent.Status.WORKING)
    with pytest.raises(leases.LeaseTakenError):
        leases.acquire(TRADER_LEASE, holder="the next one", ttl_s=1)
