"""A child that dies or hangs: deadlines, what never runs later, and the kill command."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from market.terminal import guard as guard_module
from market.terminal.calls import Call, Kind
from market.terminal.fence import Fence, Terms
from market.terminal.guard import Guard
from tests import terminal_fakes as fake
from tests.terminal_server import BUY, FAKE, PATIENCE_S, until

pytestmark = pytest.mark.slow


@pytest.fixture
def state(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("FAKE_TERMINAL_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def guard(state, monkeypatch) -> Iterator[Guard]:
    """A guard with a real child and short deadlines."""
    monkeypatch.setattr(guard_module, "deadline_s", lambda function: 0.3)
    command = (sys.executable, "-c", f"open({str(state / 'killed')!r}, 'a').write('x')")
    guard = Guard(FAKE, Fence(state), command)
    guard.require_ready(PATIENCE_S)
    yield guard
    guard.close()


def ask(guard: Guard, function: str = "positions_get", timeout_s: float = PATIENCE_S):
    return guard.exchange(Call.build(function, (), {}), timeout_s=timeout_s)


def order(guard: Guard, timeout_s: float = PATIENCE_S, after_s: float = 2.0):
    terms = Terms(fence=1, not_after=guard.status()["mono"] + after_s)
    return guard.exchange(Call.build("order_send", (BUY,), {}, terms), timeout_s=timeout_s)


def test_a_child_that_outlives_its_deadline_is_killed_and_replaced(guard) -> None:
    event, child = fake.hang("positions_get"), guard.status()["child_pid"]
    assert ask(guard).kind is Kind.UNAVAILABLE
    assert not psutil.pid_exists(child)
    event.unlink()
    assert ask(guard).kind is Kind.VALUE
    assert guard.status()["restarts"] == 1


def test_an_order_that_hangs_is_unknown_and_never_runs_on(guard) -> None:
    event = fake.hang("order_send")
    assert order(guard).kind is Kind.OUTCOME_UNKNOWN
    event.unlink()
    assert ask(guard).kind is Kind.VALUE
    assert fake.called("order_send") == 1


def test_an_order_behind_a_hang_never_runs_once_its_sender_has_given_up(guard) -> None:
    """Waiting for the turn is where a given-up order survived; here the turn does come, but too late."""
    fake.hang("positions_get")
    with ThreadPoolExecutor(2) as threads:
        hanging = threads.submit(ask, guard)
        until(lambda: fake.called("positions_get"), "the call that hangs")
        assert order(guard, timeout_s=0.05, after_s=30.0).kind is Kind.EXPIRED
        assert hanging.result(PATIENCE_S).kind is Kind.UNAVAILABLE
    assert ask(guard, "account_info").kind is Kind.VALUE
    assert fake.called("order_send") == 0


def test_a_turn_that_comes_after_the_deadline_is_not_taken(guard, monkeypatch) -> None:
    """The lock may be granted late, to a guard that was stopped meanwhile: the clock is asked again."""

    class LateLock:
        def acquire(self, timeout: float) -> bool:
            clock.append(clock[-1] + timeout + 1.0)
            return True

        def release(self) -> None: ...

    clock = [guard.status()["mono"]]
    monkeypatch.setattr(guard_module, "server_now", lambda: clock[-1])
    monkeypatch.setattr(guard, "_turn", LateLock())
    assert order(guard, timeout_s=1.0, after_s=30.0).kind is Kind.EXPIRED
    assert fake.called("order_send") == 0


def test_an_order_that_waited_past_its_not_after_is_refused(guard) -> None:
    fake.hang("positions_get")
    with ThreadPoolExecutor(2) as threads:
        hanging = threads.submit(ask, guard)
        until(lambda: fake.called("positions_get"), "the call that hangs")
        answer = order(guard, after_s=0.01)
        hanging.result(PATIENCE_S)
    assert (answer.kind, json.loads(answer.document)["reason"]) == (Kind.REFUSED, "not_after")
    assert fake.called("order_send") == 0


def test_a_child_that_was_stopped_refuses_the_order_it_finds_too_late(state) -> None:
    """The guard's look at the clock is not the last one: the child looks again."""
    guard = Guard(FAKE, Fence(state))
    try:
        guard.require_ready(PATIENCE_S)
        assert ask(guard).kind is Kind.VALUE
        child = psutil.Process(guard.status()["child_pid"])
        child.suspend()
        until(lambda: child.status() == psutil.STATUS_STOPPED, "a stopped child")
        not_after = guard.status()["mono"] + 0.2
        with ThreadPoolExecutor(1) as threads:
            call = Call.build("order_send", (BUY,), {}, Terms(fence=1, not_after=not_after))
            waiting = threads.submit(guard.exchange, call, timeout_s=PATIENCE_S)
            until(lambda: guard.status()["mono"] > not_after, "the passing of not_after")
            child.resume()
            assert json.loads(waiting.result(PATIENCE_S).document)["reason"] == "not_after"
        assert fake.called("order_send") == 0
    finally:
        guard.close()


def test_the_kill_command_runs_when_the_module_hangs_again_and_once_a_minute(guard, state) -> None:
    event = fake.hang("positions_get")
    ask(guard)
    assert not (state / "killed").exists()
    ask(guard)
    until((state / "killed").exists, "the kill command")
    ask(guard)
    event.unlink()
    assert ask(guard).kind is Kind.VALUE
    assert (state / "killed").read_text() == "x"


def test_an_answer_of_metatrader_between_two_hangs_spares_it_the_kill_command(guard, state) -> None:
    for _ in range(2):
        event = fake.hang("positions_get")
        ask(guard)
        event.unlink()
        assert ask(guard).kind is Kind.VALUE
    assert guard._kill_command_at is None


def test_a_call_too_long_for_the_pipe_is_refused_and_handed_over_to_nobody(guard) -> None:
    answer = guard.exchange(Call.build("symbol_select", ("x" * 5000,), {}), timeout_s=1.0)
    assert answer.kind is Kind.USAGE
    assert ask(guard).kind is Kind.VALUE
