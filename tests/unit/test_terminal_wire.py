"""The same questions over HTTP and in this process get the same answers."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from market.terminal.client import Terminal, open_terminal
from market.terminal.errors import TerminalOutcomeUnknownError, TerminalRefusedError, TerminalUnavailableError
from tests import terminal_fakes as fake
from tests.terminal_server import BUY, CLOSE, FAKE, PATIENCE_S, SEEN, Server, send, until

pytestmark = pytest.mark.slow


@pytest.fixture
def state(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("FAKE_TERMINAL_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def server(state) -> Iterator[Server]:
    server = Server(state).start()
    server.published()
    yield server
    server.end(signal.SIGKILL)


@pytest.fixture
def wire(server) -> Iterator[Terminal]:
    with contextlib.closing(server.open()) as terminal:
        yield terminal


@pytest.fixture(params=["wire", "module"])
def terminal(request, state) -> Terminal:
    """The same questions over HTTP and in this process."""
    if request.param == "wire":
        wire: Terminal = request.getfixturevalue("wire")
        return wire
    return open_terminal(f"module:{FAKE}", run_dir=state, state_dir=state)


def test_calls_return_what_the_module_returned(terminal) -> None:
    tick = terminal.call("symbol_info_tick", "BTCUSD")
    assert (tick.value.bid, tick.value._asdict()["flags"], tick.last_error) == (100.5, 6, (1, "Success"))
    assert np.isnan(tick.value.ask)
    assert terminal.call("symbol_info_tick", "MOON").value is None
    rates = terminal.call("copy_rates_from_pos", "BTCUSD", 16385, 0, 8760).value
    assert (rates.dtype, len(rates), rates["close"][-1]) == (fake.RATES, 8760, 8759 / 7)
    assert len(terminal.call("copy_rates_from_pos", "BTCUSD", 16385, 0, 0).value) == 0
    day = (datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC))
    assert terminal.call("history_deals_total", *day).value == 86_400


def test_each_reply_carries_its_own_last_error_and_the_servers_clock(terminal) -> None:
    fake.put_account(readable=False)
    before = terminal.stamp()
    reply = terminal.call("positions_get", symbol="BTCUSD")
    assert (reply.value, reply.last_error) == (None, (-10004, "No IPC connection"))
    assert before <= reply.mono <= terminal.stamp()


def test_an_order_returns_the_nested_structs(terminal) -> None:
    result = send(terminal).value
    assert (result.retcode, result.request.symbol, result._asdict()["request"].volume) == (10009, "BTCUSD", 0.1)
    assert fake.called("order_send") == 1


def test_writes_pass_the_fence_or_do_not_happen(terminal) -> None:
    send(terminal, fence=5)
    for terms, reason in (({"fence": 4}, "fence"), ({"fence": 5, "after_s": -0.1}, "not_after")):
        with pytest.raises(TerminalRefusedError) as refused:
            send(terminal, **terms)
        assert refused.value.reason == reason
    assert terminal.status().highest_fence == 5
    assert fake.called("order_send") == 1


def test_under_the_latch_only_proven_reductions_are_executed(terminal) -> None:
    fake.put_account(positions=[fake.LONG])
    terminal.latch()
    refusals = ((BUY, False, "latched"), (CLOSE, False, "latched"), (BUY, True, "reduce"))
    for request, reduce, reason in refusals:
        with pytest.raises(TerminalRefusedError) as refused:
            send(terminal, request, reduce=reduce)
        assert refused.value.reason == reason
    assert fake.called("order_send") == 0
    assert send(terminal, CLOSE, reduce=True).value.retcode == 10009
    terminal.unlatch()
    assert send(terminal).value.retcode == 10009


def test_reduce_closes_what_was_expected_and_refuses_what_differs(terminal) -> None:
    fake.put_account(positions=[fake.LONG])
    terminal.latch()
    terms = {"fence": 1, "not_after": terminal.stamp() + 2}
    assert terminal.reduce(CLOSE, expected=SEEN, **terms).value.volume == 0.3
    fake.put_account(positions=[fake.LONG | {"volume": 0.2}])
    with pytest.raises(TerminalRefusedError, match=r"position 7 is buy 0\.2 BTCUSD") as refused:
        terminal.reduce(CLOSE | {"volume": 0.1}, expected=SEEN, **terms)
    assert refused.value.reason == "reduce"
    assert fake.called("order_send") == 1


def test_a_reduction_whose_position_cannot_be_read_is_unavailable(terminal) -> None:
    fake.put_account(readable=False)
    with pytest.raises(TerminalUnavailableError, match="positions_get answered None"):
        send(terminal, CLOSE, reduce=True)
    assert fake.called("order_send") == 0


def test_what_may_not_be_called_is_a_mistake_of_the_caller(terminal) -> None:
    with pytest.raises(ValueError, match=r"'Close' may not be called; allowed: account_info"):
        terminal.call("Close", "BTCUSD")
    with pytest.raises(ValueError, match=r"use Terminal\.order_send"):
        terminal.call("order_send", BUY)
    with pytest.raises(ValueError, match="a fence, a whole number"):
        send(terminal, fence=True)
    with pytest.raises(TypeError, match="cannot be sent"):
        send(terminal, BUY | {"volume": {1}})
    assert fake.called("order_send") == 0


def test_a_module_that_raises_is_unavailable_for_a_read_and_unknown_for_a_write(terminal) -> None:
    with pytest.raises(TerminalUnavailableError, match="symbol_select raised RuntimeError: BTCUSD cannot"):
        terminal.call("symbol_select", "BTCUSD")
    with pytest.raises(TerminalUnavailableError, match="version raised AttributeError"):
        terminal.call("version")
    with pytest.raises(TerminalOutcomeUnknownError, match="order_send raised SystemError"):
        send(terminal, BUY | {"comment": "raise"})


def test_status_names_the_module_and_counts_the_latches(terminal) -> None:
    assert (terminal.status().module, terminal.status().latched, terminal.status().sequence) == (FAKE, False, 0)
    terminal.latch()
    terminal.latch()
    status = terminal.status()
    assert (status.latched, status.sequence, status.restarts, status.child_alive) == (True, 1, 0, True)
    assert status.latched_at == pytest.approx(time.time(), abs=60)


def test_a_call_that_waited_too_long_for_its_turn_is_never_executed(terminal) -> None:
    event = fake.hang("positions_get")
    with ThreadPoolExecutor(2) as threads:
        hanging = threads.submit(terminal.call, "positions_get")
        until(lambda: fake.called("positions_get"), "the call that hangs")
        with pytest.raises(TerminalUnavailableError, match="EXPIRED"):
            send(terminal, timeout_s=0.2)
        event.unlink()
        hanging.result(PATIENCE_S)
    terminal.call("account_info")  # whatever was waiting has had its turn
    assert fake.called("order_send") == 0


def test_a_write_that_waits_when_the_latch_comes_is_refused(terminal) -> None:
    event = fake.hang("positions_get")
    with ThreadPoolExecutor(2) as threads:
        hanging = threads.submit(terminal.call, "positions_get")
        until(lambda: fake.called("positions_get"), "the call that hangs")
        waiting = threads.submit(send, terminal)
        terminal.latch()  # while a call hangs
        event.unlink()
        hanging.result(PATIENCE_S)
        with pytest.raises(TerminalRefusedError) as refused:
            waiting.result(PATIENCE_S)
    assert refused.value.reason == "latched"
    assert fake.called("order_send") == 0
