"""Kill, from wherever and whoever is gone: flat by the venue's own ledger, and confirmed, within five seconds."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import psutil
import pytest

from tests.processes.running_desk import RunningDesk
from tests.processes.sessions import ended, reach_next_slot, traded_beyond_intent, waiting_session
from tests.processes.venue import ENTRY_OUT
from tests.processes.visitor import Visitor
from tests.processes.waiting import is_gone, until

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("processes: replay desk")]
TEN = 10
FLAT_WITHIN_S = 5.0
REFUSED = 4  # exit code


@pytest.fixture(scope="module")
def quiet_desk(replay_desk) -> Iterator[RunningDesk]:
    """Return the desk with the next slot an hour away, so that no session opens anything beside the test's own."""
    reach_next_slot(replay_desk)
    with replay_desk.market.slow():
        yield replay_desk


@pytest.fixture
def desk(quiet_desk) -> Iterator[RunningDesk]:
    """Return the desk with ten positions; armed again afterwards."""
    assert quiet_desk.inside("hold_positions", TEN) == TEN
    assert len(quiet_desk.venue.ours()) == TEN
    yield quiet_desk
    assert quiet_desk.manage("trade_arm", "--phrase", "ARM DEMO", "--reason", "the next test").code == 0
    assert quiet_desk.manage("trade_resume").code == 0


@dataclass(frozen=True, slots=True)
class Before:
    """The venue and the moment before a kill was asked for."""

    desk: RunningDesk
    tickets: set[int]
    last_deal: int
    asked_at: datetime

    @classmethod
    def of(cls, desk: RunningDesk) -> Before:
        tickets = {holding.ticket for holding in desk.venue.ours()}
        return cls(desk, tickets, desk.venue.deals()[-1].ticket, datetime.now(UTC))

    def require_flat_in_time(self) -> None:
        """Require the confirmation in time, and that the venue closed each of the ten once and opened nothing."""
        until(lambda: _event(self.desk)["flat_at"], "the confirmation that all is flat")
        assert (self.desk.venue.ours(), self.desk.venue.n_working_orders()) == ([], 0)
        closed = [deal for deal in self.desk.venue.deals() if deal.ticket > self.last_deal]
        assert {deal.entry for deal in closed} == {ENTRY_OUT}
        assert sorted(deal.position_id for deal in closed) == sorted(self.tickets)
        assert traded_beyond_intent(self.desk) == []
        latched_s, flat_s = (self._seconds_to(name) for name in ("latched_at", "flat_at"))
        assert flat_s <= FLAT_WITHIN_S, f"flat after {flat_s:.1f} s, of which {latched_s:.1f} s until it was latched"

    def _seconds_to(self, name: str) -> float:
        return (_moment(_event(self.desk)[name]) - self.asked_at).total_seconds()


def _event(desk: RunningDesk) -> sqlite3.Row | dict[str, None]:
    """Return the kill that is not undone, or nothing that has happened."""
    events = desk.rows("SELECT latched_at, flat_at FROM execution_killevent WHERE rearmed_at IS NULL")
    return events[0] if events else {"flat_at": None}


def _moment(stored: str) -> datetime:
    return datetime.fromisoformat(stored).replace(tzinfo=UTC)


def require_no_session_trades(desk: RunningDesk) -> None:
    """Require that a session asked for now is refused and sends nothing."""
    deals = len(desk.venue.deals())
    assert desk.manage("trade_session", "--now").code == REFUSED
    assert len(desk.venue.deals()) == deals


@contextmanager
def stopped(processes: list[psutil.Process]) -> Iterator[None]:
    """Let processes stand still, as hung ones do."""
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            if not is_gone(process):
                process.resume()


@contextmanager
def gone(desk: RunningDesk, *names: str) -> Iterator[None]:
    """Kill processes of the desk, and keep `up` from starting them again inside the block."""
    with stopped([desk.supervisor]):
        for name in names:
            group = desk.group(name)
            os.killpg(group[0].pid, signal.SIGKILL)
            until(lambda group=group: all(is_gone(process) for process in group), f"the end of {name}")
        yield
    for name in names:
        desk.leader(name)  # there again


def test_the_page_kills(desk):
    visitor = Visitor(desk)
    visitor.get("kill/")
    before = Before.of(desk)

    answer = visitor.post("trading/kill/", reason="a test")

    before.require_flat_in_time()
    assert answer.url.endswith("/kill/")
    assert "flat" in visitor.get("kill/").text.lower()
    require_no_session_trades(desk)


def test_the_command_kills_and_tells_when_the_broker_said_flat(desk):
    before = Before.of(desk)

    killed = desk.manage("trade_kill", "--reason", "a test")

    before.require_flat_in_time()
    assert (killed.code, killed.data["closed"]) == (0, TEN)
    assert datetime.fromisoformat(killed.data["flat_at"]) == _moment(_event(desk)["flat_at"])
    assert desk.manage("trade_status").data["state"] == "killed"
    require_no_session_trades(desk)


def test_a_session_that_waits_in_a_hung_trader_while_all_is_killed_sends_nothing_when_it_wakes(desk):
    with waiting_session(desk) as slot:
        with stopped(desk.group("trader")):
            before = Before.of(desk)
            desk.manage("trade_kill")
            before.require_flat_in_time()
        deals = len(desk.venue.deals())
        desk.market.step_to(slot.at)
        run = ended(desk, slot)

    assert run["status"] == "failed"
    assert "killed" in run["error"]
    assert len(desk.venue.deals()) == deals
    require_no_session_trades(desk)


def test_the_command_closes_everything_itself_when_trader_and_sentinel_have_just_died(desk):
    with gone(desk, "trader", "sentinel"):
        before = Before.of(desk)
        desk.manage("trade_kill")
        before.require_flat_in_time()
        require_no_session_trades(desk)


def test_the_page_has_everything_closed_when_trader_and_sentinel_have_just_died(desk):
    visitor = Visitor(desk)
    visitor.get("kill/")
    with gone(desk, "trader", "sentinel"):
        before = Before.of(desk)
        visitor.post("trading/kill/", reason="a test")
        before.require_flat_in_time()
        require_no_session_trades(desk)
