"""Processes killed without warning: each is back at work within 90 seconds, and nothing was traded twice."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import psutil
import pytest
import requests

from ops.queues import DEAD_AFTER_S, RESEARCH
from tests.processes.running_desk import ALIVE_S, RunningDesk
from tests.processes.sessions import (
    attempt_now,
    deals_of,
    n_doubtful,
    off_target,
    order_in_the_air,
    reach_next_slot,
    traded_beyond_intent,
)
from tests.processes.visitor import Visitor
from tests.processes.waiting import is_gone, until
from tradingsite.supervisor import GRACE_S, WATCH_EVERY_S

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("processes: demo desk")]
BACK_WITHIN_S = 90.0
WORK_S = 65.0
SHARES = ("0.2", "0.3")  # of the capital for each symbol; changing between them changes every target


@dataclass(frozen=True, slots=True)
class Working:
    """A minute's work that a queue was given, and who does it."""

    run_id: int
    leader: psutil.Process
    worker: psutil.Process


@pytest.fixture(scope="module", autouse=True)
def minutes_work(demo_desk) -> Working:
    """Give the research queue's one worker a minute of work; the first tests disturb others in the meantime."""
    worker = demo_desk.idle_worker(RESEARCH)
    run_id = demo_desk.inside("enqueue_work", WORK_S, RESEARCH)
    until(lambda: _run(demo_desk, run_id)["status"] == "running", "the work to begin")
    return Working(run_id, demo_desk.leader(RESEARCH), worker)


@pytest.fixture
def desk(demo_desk) -> Iterator[RunningDesk]:
    """Return the desk with room for many orders, and require afterwards that nothing was traded twice."""
    demo_desk.inside("give_room")
    yield demo_desk
    assert traded_beyond_intent(demo_desk) == []


@pytest.fixture
def moved_targets(desk) -> None:
    """Let the next session have something to send for each symbol."""
    given = desk.rows("SELECT weight FROM execution_portfolioweight")
    is_first = not given or Decimal(str(given[0]["weight"])) != Decimal(SHARES[0])
    desk.inside("set_weights", SHARES[0] if is_first else SHARES[1])


def _run(desk: RunningDesk, run_id: int) -> sqlite3.Row:
    (row,) = desk.rows("SELECT * FROM ops_run WHERE id = ?", run_id)
    return row


def require_back_at_work(desk: RunningDesk, killed_mono: float) -> None:
    """Require a session that is done, every symbol at its target, and no order in doubt, all in time."""
    while (run := reach_next_slot(desk))["status"] != "done" or off_target(desk) or n_doubtful(desk):
        still = f"{run['status']} {run['error']}, {off_target(desk)} off target, {n_doubtful(desk)} in doubt"
        assert time.monotonic() - killed_mono <= BACK_WITHIN_S, still
    assert time.monotonic() - killed_mono <= BACK_WITHIN_S


def last_beat(desk: RunningDesk, name: str) -> sqlite3.Row:
    (beat,) = desk.rows("SELECT pid FROM ops_heartbeat WHERE name = ?", name)
    return beat


def kill(process: psutil.Process) -> float:
    """Kill a process without warning and return when that was."""
    process.kill()
    until(lambda: is_gone(process), f"the end of {process}")
    return time.monotonic()


@pytest.mark.deep  # a queue is dead after 45 s without a sign of life, and those are real
def test_slots_go_on_after_the_traders_worker_was_killed_while_idle(desk):
    reach_next_slot(desk)
    victim = desk.idle_worker("trader")
    killed_mono = kill(victim)

    # The cluster says nothing: django-q starts another worker, which never gets a task.
    until(lambda: last_beat(desk, "queue:trading")["pid"] != victim.pid, "a sign of life through the queue")
    require_back_at_work(desk, killed_mono)


@pytest.mark.deep
def test_an_order_that_outlives_the_trader_is_executed_once_and_found(desk, moved_targets):
    with order_in_the_air(desk) as attempt:
        os.killpg(desk.leader("trader").pid, signal.SIGKILL)
        killed_mono = time.monotonic()
    until(lambda: deals_of(desk, attempt["magic"]), "the venue to execute the dead trader's order")
    require_back_at_work(desk, killed_mono)

    assert len(deals_of(desk, attempt["magic"])) == 1
    settled = attempt_now(desk, attempt)
    assert (settled["outcome"], settled["message"]) == ("ok", "found in the venue's history")


def test_an_order_that_dies_with_the_terminals_module_is_proven_absent_and_its_target_reached(desk, moved_targets):
    with order_in_the_air(desk) as attempt:
        killed_mono = kill(desk.module_process())
    require_back_at_work(desk, killed_mono)

    assert deals_of(desk, attempt["magic"]) == []
    settled = attempt_now(desk, attempt)
    assert (settled["outcome"], settled["message"]) == ("reject", "the venue's history has no such deal")


def test_slots_go_on_after_the_sentinel_was_killed(desk):
    victim = desk.leader("sentinel")
    killed_mono = kill(victim)
    until(lambda: last_beat(desk, "sentinel")["pid"] != victim.pid, "another sentinel's beat")

    assert sentinel_age_s(desk) < ALIVE_S
    require_back_at_work(desk, killed_mono)


def sentinel_age_s(desk: RunningDesk) -> float:
    return float(requests.get(f"{desk.address}/healthz", timeout=5).json()["sentinel_age_s"])


def test_the_site_comes_back_after_its_process_was_killed(desk):
    visitor, victim = Visitor(desk), desk.leader("web")
    killed_mono = kill(victim)
    until(lambda: _answers(visitor), "the site")

    assert desk.leader("web") != victim
    assert time.monotonic() - killed_mono <= BACK_WITHIN_S
    assert sentinel_age_s(desk) < ALIVE_S
    require_back_at_work(desk, killed_mono)


def _answers(visitor: Visitor) -> bool:
    try:
        return visitor.get("").status_code == 200
    except requests.RequestException:
        return False


@pytest.mark.deep
def test_a_minute_of_work_is_not_taken_for_a_hang(demo_desk, minutes_work):
    run = until(lambda: (run := _run(demo_desk, minutes_work.run_id)) and run["finished_at"] and run, "the work's end")

    assert (run["status"], run["attempts"], run["pid"]) == ("done", 1, minutes_work.worker.pid)
    # Its worker may be another by now, as after every twentieth task; the watchdog would have replaced the leader.
    assert demo_desk.leader(RESEARCH) == minutes_work.leader
    # By then the watchdog had looked, and had nothing but the run's own signs of life to go by.
    age_s = datetime.fromisoformat(f"{run['finished_at']}+00:00").timestamp() - minutes_work.leader.create_time()
    assert age_s > GRACE_S + WATCH_EVERY_S
    assert json.loads(run["result"])["queue_silent_s"] > DEAD_AFTER_S + WATCH_EVERY_S
