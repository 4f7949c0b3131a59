"""Ctrl+C ends everything and leaves nothing behind; the next `up` goes on where this one stopped."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
import pytest

from tests.processes.running_desk import STOP_WITHIN_S, RunningDesk, Stopped
from tests.processes.sessions import off_target, reach_next_slot, traded_beyond_intent
from tests.processes.venue import Holding

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("processes: replay desk")]
OFF_S = 3600.0
STARTED_BY_UP = ("web", "trader", "research", "sentinel", "notifier", "simulator")
OF_A_CLUSTER = ("leader", "guard", "worker", "monitor", "pusher")
BELIEVED_S = 3.0  # how long readers go on with a clock whose simulator is gone
STARTED_AT = re.compile(r"simulator │ .* market of .* at (\S+ \S+) UTC")
MODELS = "SELECT id, version, status, sha256, path, created_at FROM strategies_fittedmodel ORDER BY id"


@dataclass(frozen=True, kw_only=True)
class Course:
    """A desk as it was before it was stopped and while it was off, and what it said since it was started again."""

    desk: RunningDesk
    groups: dict[str, list[psutil.Process]]
    account: dict[str, Any]
    models: list[tuple[Any, ...]]
    stopped: Stopped
    said_when_stopped: str
    clock: dict[str, Any]
    holdings: list[Holding]
    said_since: str


@pytest.fixture(scope="module")
def course(replay_desk) -> Iterator[Course]:
    """Stop a desk that holds something, leave it off for an hour, and start it again."""
    reach_next_slot(replay_desk)
    with stopped_and_started(replay_desk) as course:
        yield course


@contextmanager
def stopped_and_started(desk: RunningDesk) -> Iterator[Course]:
    groups = {name: desk.group(name) for name in STARTED_BY_UP}
    account, models = desk.manage("trade_status").data["account"], _models(desk)
    running = desk.log()
    stopped = desk.ctrl_c()
    off = desk.log()
    holdings, clock = desk.venue.holdings(), _an_hour_later(desk)
    desk.start()
    with desk.market.slow():  # no slot comes while what it holds is looked at
        yield Course(
            desk=desk,
            groups=groups,
            account=account,
            models=models,
            stopped=stopped,
            said_when_stopped=off.removeprefix(running),
            clock=clock,
            holdings=holdings,
            said_since=desk.log().removeprefix(off),
        )


def _models(desk: RunningDesk) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in desk.rows(MODELS)]


def _an_hour_later(desk: RunningDesk) -> dict[str, Any]:
    """Let the clock's file look as it does when the desk has been off for an hour; return what was saved in it."""
    path = desk.state_dir / "sim" / "clock.json"
    saved = json.loads(path.read_text())
    path.write_text(json.dumps(saved | {"wall_anchor": saved["wall_anchor"] - OFF_S}))
    return dict(saved)


def test_one_ctrl_c_ends_every_process_down_to_the_last_grandchild(course):
    assert [len(course.groups[name]) for name in ("trader", "research")] == [len(OF_A_CLUSTER)] * 2
    assert len(course.groups["simulator"]) == len(("simulator", "terminal", "the module's process"))

    assert course.stopped.left == []
    assert course.stopped.seconds < STOP_WITHIN_S


def test_stopping_is_no_error(course):
    assert course.stopped.code == 0
    assert "Traceback" not in course.said_when_stopped


def test_market_time_goes_on_from_where_it_stopped(course):
    saved_at = datetime.fromtimestamp(course.clock["market_anchor"], UTC)
    (said,) = STARTED_AT.findall(course.said_since)  # to the minute
    went_on_at = datetime.strptime(f"{said} +0000", "%Y-%m-%d %H:%M %z")

    assert saved_at.replace(second=0, microsecond=0) <= went_on_at
    assert went_on_at <= saved_at + timedelta(seconds=BELIEVED_S * course.clock["speed"])


def test_it_is_the_same_account_with_the_same_positions(course):
    account = course.desk.manage("trade_status").data["account"]

    assert [account[name] for name in ("login", "server")] == [course.account[name] for name in ("login", "server")]
    assert len(course.desk.rows("SELECT id FROM execution_account")) == len(course.desk.venue.deposits()) == 1
    assert course.holdings
    assert course.desk.venue.holdings() == course.holdings


def test_the_models_are_the_same_and_nothing_is_loaded_again(course):
    assert course.models
    assert _models(course.desk) == course.models
    assert "demo │" not in course.said_since


def test_the_next_slot_is_traded(course):
    assert reach_next_slot(course.desk)["status"] == "done"
    assert off_target(course.desk) == {}
    assert traded_beyond_intent(course.desk) == []
