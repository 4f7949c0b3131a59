"""Runs, leases, alerts and announcements: each promise of the ground floor."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from ops import alerts, clock, heartbeats, leases, live, queues, runs
from ops.audit import Actor
from ops.clock import SystemClock
from ops.models import Alert, Announcement, AuditEntry, Heartbeat, Lease, Run

pytestmark = pytest.mark.django_db
ANN = Actor(name="ann", source=AuditEntry.Source.PAGE)


class StoppedClock(SystemClock):
    """A clock that a test moves by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def mono(self) -> float:
        return self.seconds

    def wall_now(self) -> datetime:
        return datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)


@pytest.fixture
def hands(request):
    with clock.use(StoppedClock()) as stopped:
        yield stopped


def test_asking_twice_for_a_slot_makes_one_run(hands):
    first, made = runs.create_run("session", "2025-01-01T10")
    again, made_again = runs.create_run("session", "2025-01-01T10")

    assert (made, made_again) == (True, False)
    assert first.pk == again.pk


def test_a_run_delivered_twice_begins_once(hands):
    run, _ = runs.create_run("session", "2025-01-01T10")

    assert runs.begin(run.pk) is not None
    assert runs.begin(run.pk) is None
    assert Run.objects.get().attempts == 1


def test_a_finished_run_cannot_end_again(hands):
    run, _ = runs.create_run("session", "2025-01-01T10")
    runs.begin(run.pk)

    assert runs.finish(run, Run.Status.DONE, result={"n": 1})
    assert not runs.finish(run, Run.Status.FAILED, error="late")
    assert Run.objects.get().status == Run.Status.DONE


def test_a_run_whose_process_died_is_closed_as_crashed(hands):
    run, _ = runs.create_run("session", "2025-01-01T10")
    runs.begin(run.pk)
    Run.objects.update(pid=2**22 + 1)  # above the largest pid of the system: nobody has it

    assert [closed.pk for closed in runs.close_dead_runs()] == [run.pk]
    assert Run.objects.get().status == Run.Status.CRASHED


def test_a_living_run_is_left_alone(hands):
    run, _ = runs.create_run("session", "2025-01-01T10")
    runs.begin(run.pk)
    hands.seconds += runs.DEAD_AFTER_S - 1

    assert runs.close_dead_runs() == []


def test_a_lease_has_one_holder_and_a_growing_token(hands):
    first = leases.acquire("trader", holder="a", ttl_s=30)
    with pytest.raises(leases.LeaseTakenError, match="held by a for another 30 s"):
        leases.acquire("trader", holder="b", ttl_s=30)
    hands.seconds += 31
    second = leases.acquire("trader", holder="b", ttl_s=30)

    assert second.token > first.token
    assert not leases.is_held(first)
    assert leases.is_held(second)
    assert not leases.renew(first, ttl_s=30)


def test_a_lease_of_another_boot_is_free(hands):
    leases.acquire("trader", holder="a", ttl_s=1e9)
    Lease.objects.update(boot="before the restart")

    assert leases.acquire("trader", holder="b", ttl_s=30).holder == "b"


def test_an_alert_is_raised_once_and_counted(hands):
    alerts.raise_alert("stale:BTCUSD", "BTCUSD is stale")
    alerts.raise_alert("stale:BTCUSD", "BTCUSD is stale")

    assert Alert.objects.get().count == 2
    assert Announcement.objects.filter(topic="alerts").count() == 1


def test_an_alert_that_gets_worse_is_told_anew_and_wants_somebody_again(hands):
    alert = alerts.raise_alert("loss", "near the limit")
    alerts.acknowledge_alert(alert.pk, ANN)
    told = Announcement.objects.filter(topic="alerts").count()
    worse = alerts.raise_alert("loss", "past the limit", level=Alert.Level.CRITICAL)

    assert (worse.pk, worse.level, worse.title, worse.count) == (alert.pk, "critical", "past the limit", 2)
    assert list(Alert.objects.needing_action()) == [worse]
    assert Announcement.objects.filter(topic="alerts").count() == told + 1
    assert alerts.raise_alert("loss", "near again", level=Alert.Level.INFO).level == "critical"
    assert Announcement.objects.filter(topic="alerts").count() == told + 1


def test_a_resolved_alert_can_be_raised_anew(hands):
    alerts.raise_alert("stale:BTCUSD", "BTCUSD is stale")
    assert alerts.resolve_alert("stale:BTCUSD")
    alerts.raise_alert("stale:BTCUSD", "BTCUSD is stale")

    assert Alert.objects.count() == 2
    assert Alert.objects.open().count() == 1


def test_old_announcements_are_pruned_and_new_ones_stay(hands):
    live.announce("positions")
    hands.seconds += live.KEPT_FOR.total_seconds() + 1
    live.announce("positions")

    assert live.prune_announcements() == 1
    assert Announcement.objects.count() == 1


def test_a_heartbeat_of_another_boot_is_infinitely_old(hands):
    heartbeats.beat("sentinel")
    Heartbeat.objects.update(boot="before the restart")

    assert heartbeats.age_s("sentinel") == float("inf")


def test_a_queue_with_a_beating_run_is_alive_however_long_the_run_is(hands):
    heartbeats.beat(queues.beat_name(queues.TRADING))
    run, _ = runs.create_run("session", "2025-01-01T10", queue=queues.TRADING)
    runs.begin(run.pk)
    hands.seconds += 60
    Run.objects.update(beat_mono=hands.seconds - 5)

    assert not queues.is_dead(queues.TRADING)
    hands.seconds += 60
    assert queues.is_dead(queues.TRADING)


def test_one_heartbeat_at_most_waits_in_a_queue(hands):
    assert queues.send_beat(queues.TRADING)
    hands.seconds += 100
    assert not queues.send_beat(queues.TRADING)


def test_progress_of_a_run_is_written_at_most_twice_a_second(hands):
    from ops.progress import RowProgress

    run, _ = runs.create_run("fit", "1")
    progress = RowProgress(run)
    progress.start(100, "BTCUSD")
    for _ in range(99):
        progress.advance("BTCUSD")
    assert Announcement.objects.filter(topic="jobs", payload__has_key="done").count() == 1
    progress.advance("BTCUSD")

    assert json.loads(json.dumps(Run.objects.get().progress_done)) == 100
