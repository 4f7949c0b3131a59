"""Runs that people stop, and how a run ends whatever happens inside it."""

from __future__ import annotations

import pytest

from ops import clock, runs
from ops.errors import DeskError
from ops.models import AuditEntry, Run
from ops.progress import ROW_EVERY_S, RowProgress
from tests.db.test_ops import StoppedClock
from tests.fits_builders import run_command

pytestmark = pytest.mark.django_db(transaction=True)


def begun() -> Run:
    run, _ = runs.create_run("sweep", "1")
    found = runs.begin(run.pk)
    assert found is not None
    return found


@pytest.fixture(autouse=True)
def hands():
    with clock.use(StoppedClock()) as stopped:
        yield stopped


def test_a_waiting_run_is_cancelled_at_once_and_never_begins():
    run, _ = runs.create_run("sweep", "1")

    code, document, _ = run_command("job_cancel", str(run.pk))

    assert (code, document["data"]["status"]) == (0, "cancelled")
    assert runs.begin(run.pk) is None
    assert Run.objects.get().attempts == 0
    assert AuditEntry.objects.get().action == "job cancel"


def test_a_working_run_stops_at_its_next_written_step(hands):
    run, reached = begun(), []
    with runs.working(run):
        progress = RowProgress(run)
        progress.start(100, "one")
        assert runs.cancel(run.pk)
        for step in range(100):
            hands.seconds += ROW_EVERY_S
            progress.advance(str(step))
            reached.append(step)
        runs.finish(run, Run.Status.DONE)

    run.refresh_from_db()
    assert (run.status, run.error, reached) == ("cancelled", "cancelled at 1 of 100", [])


def test_a_run_whose_last_step_is_done_is_not_cancelled_any_more(hands):
    run = begun()
    with runs.working(run):
        progress = RowProgress(run)
        progress.start(1, "one")
        runs.cancel(run.pk)
        hands.seconds += ROW_EVERY_S
        progress.advance("one")
        runs.finish(run, Run.Status.DONE)

    run.refresh_from_db()
    assert run.status == "done"


def test_an_error_of_ours_ends_the_run_with_its_line():
    run = begun()
    with runs.working(run):
        raise DeskError("no bars of BTCUSD")

    run.refresh_from_db()
    assert (run.status, run.error) == ("failed", "no bars of BTCUSD")


def test_an_error_that_nobody_foresaw_ends_the_run_and_goes_on():
    run = begun()
    with pytest.raises(ZeroDivisionError), runs.working(run):
        raise ZeroDivisionError

    run.refresh_from_db()
    assert run.status == "failed"
    assert "unexpected" in run.error


@pytest.mark.parametrize(("number", "code", "words"), [(404, 2, "no run 404"), (None, 4, "has ended already: done")])
def test_what_cannot_be_cancelled_is_named(number, code, words):
    run = begun()
    runs.finish(run, Run.Status.DONE)

    found, _, errors = run_command("job_cancel", str(number or run.pk))

    assert found == code
    assert errors == "" or words in errors
