"""A server as a process: how it starts, ends, comes back, and what it says to requests no client makes."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from market.terminal.client import Terminal
from market.terminal.errors import TerminalOutcomeUnknownError, TerminalRefusedError, TerminalUnavailableError
from tests import terminal_fakes as fake
from tests.terminal_server import BUY, PATIENCE_S, Server, send, until

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


def kill_child(terminal: Terminal) -> int:
    child = terminal.status().child_pid
    os.kill(child, signal.SIGKILL)
    until(lambda: not terminal.status().child_alive, "the end of the child")
    return child


def test_calls_go_on_after_the_child_was_killed(wire) -> None:
    child = kill_child(wire)
    assert send(wire).value.retcode == 10009
    status = wire.status()
    assert (status.restarts, status.child_alive) == (1, True)
    assert status.child_pid != child


def test_a_read_whose_child_dies_is_unavailable_and_a_write_unknown(wire) -> None:
    with pytest.raises(TerminalUnavailableError, match="died before it answered"):
        wire.call("terminal_info")
    with pytest.raises(TerminalOutcomeUnknownError, match="died before it answered"):
        send(wire, BUY | {"comment": "die"})
    assert wire.call("account_info").value.login == 1001
    assert wire.status().restarts == 2


def test_what_the_module_prints_does_not_break_a_frame(wire) -> None:
    assert wire.call("positions_total").value == 0
    assert wire.call("account_info").value.login == 1001


def test_the_fence_and_the_latch_survive_a_killed_server(server, wire) -> None:
    send(wire, fence=9)
    wire.latch()
    server.end(signal.SIGKILL)
    server.start().published()
    with pytest.raises(TerminalRefusedError) as refused:
        send(wire, fence=8)
    assert refused.value.reason == "fence"
    with pytest.raises(TerminalRefusedError) as refused:
        send(wire, fence=9)
    assert refused.value.reason == "latched"


def test_a_client_finds_a_server_that_was_started_again_elsewhere(server, wire) -> None:
    before = server.published()
    assert server.end(signal.SIGTERM)[0] == 0
    with pytest.raises(TerminalUnavailableError, match="no terminal has published itself"):
        wire.call("account_info")
    after = server.start().published()
    assert before["token"] != after["token"]
    assert wire.call("account_info").value.login == 1001


def test_a_kept_connection_that_the_server_closed_is_opened_again_for_a_read(server, wire) -> None:
    token = "t" * 40
    server.end(signal.SIGTERM)
    server.environment = {"TERMINAL_TOKEN": token}
    port = str(server.start().published()["port"])
    assert wire.call("account_info").value.login == 1001
    server.end(signal.SIGTERM)
    server.start("--port", port).published()
    assert wire.call("account_info").value.login == 1001


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_the_child_ends_with_its_server_even_when_it_hangs(server, wire, number) -> None:
    fake.hang("account_info")
    child = wire.status().child_pid
    with ThreadPoolExecutor(1) as threads:
        hanging = threads.submit(wire.call, "account_info")
        until(lambda: fake.called("account_info"), "the call that hangs")
        code, log = server.end(number)
        with pytest.raises(TerminalUnavailableError):
            hanging.result(PATIENCE_S)
    until(lambda: not psutil.pid_exists(child), "the end of the child")
    assert code == {signal.SIGTERM: 0, signal.SIGINT: 130, signal.SIGKILL: -signal.SIGKILL}[number]
    assert "Traceback" not in log
    assert server.run_file.exists() == (number == signal.SIGKILL)


def test_the_run_file_is_the_owners_alone(server) -> None:
    assert stat.S_IMODE(server.run_file.stat().st_mode) == 0o600
    assert set(server.published()) == {"host", "port", "token", "pid", "module"}
    assert server.published()["pid"] == server.process.pid


def test_a_second_server_on_the_same_state_is_refused(server) -> None:
    published = server.run_file.read_text()
    second = Server(server.folder).launch()
    try:
        second.process.wait(PATIENCE_S)
    finally:
        code, log = second.end(signal.SIGKILL)
    assert (code, "another terminal serves" in log) == (1, True)
    assert server.run_file.read_text() == published


def test_a_missing_module_is_one_line_and_exit_code_6(state) -> None:
    server = Server(state).start(module="no_such_module")
    server.process.wait(PATIENCE_S)
    code, log = server.end(signal.SIGTERM)
    assert code == 6
    assert len(log.splitlines()) == 1
    assert "cannot import module 'no_such_module'" in log
    assert not server.run_file.exists()


def test_a_public_address_and_a_short_token_are_wrong_usage(state) -> None:
    server = Server(state, {"TERMINAL_TOKEN": "short"})
    for options in (("--host", "0.0.0.0"), ()):  # noqa: S104 (refused)
        server.start(*options).process.wait(PATIENCE_S)
        assert server.end(signal.SIGTERM)[0] == 2


def raw(server: Server, method: str, path: str, body: bytes | None = None, **headers):
    """Return status and JSON of a request made by hand."""
    where = server.published()
    connection = http.client.HTTPConnection(where["host"], where["port"], timeout=PATIENCE_S)
    with contextlib.closing(connection):
        headers = {"Authorization": f"Bearer {where['token']}"} | headers
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def call(**changes) -> bytes:
    return json.dumps({"function": "account_info", "timeout_s": 5.0} | changes).encode()


def test_requests_that_no_client_makes_get_one_clear_line(server) -> None:
    write = {"function": "order_send", "args": [BUY], "fence": 1, "not_after": 0.0}
    expected = [
        (raw(server, "GET", "/clock", Authorization="Bearer wrong"), 401, "bearer token"),
        (raw(server, "GET", "/clock", Authorization=""), 401, "bearer token"),
        (raw(server, "POST", "/call", call(), Authorization="Basic abc"), 401, "bearer token"),
        (raw(server, "GET", "/moon"), 404, "allowed: /clock, /status"),
        (raw(server, "GET", "/call"), 404, "allowed"),
        (raw(server, "PUT", "/call", b"{}"), 501, "PUT"),
        (raw(server, "POST", "/call", b"{"), 400, "not JSON"),
        (raw(server, "POST", "/call", b"\xff\xfe"), 400, "not JSON"),
        (raw(server, "POST", "/call", b"[" * 8000), 400, "not JSON"),
        (raw(server, "POST", "/call", b"[1]"), 400, "JSON object"),
        (raw(server, "POST", "/call", call(function="eval")), 400, "'eval' may not be called; allowed: account_info"),
        (raw(server, "POST", "/call", call(function=3)), 400, "a call is"),
        (raw(server, "POST", "/call", call(timeout_s=0)), 400, "timeout_s"),
        (raw(server, "POST", "/call", call(timeout_s=float("nan"))), 400, "timeout_s"),
        (raw(server, "POST", "/call", call(function="order_send")), 400, "a write has a fence"),
        (raw(server, "POST", "/call", call(**write | {"not_after": None})), 400, "a write has a not_after"),
        (raw(server, "POST", "/call", call(**write | {"reduce": 1})), 400, "reduce is true or false"),
        (raw(server, "POST", "/call", call(**write)), 409, "not_after"),
        (raw(server, "POST", "/reduce", call(**write)), 400, "needs the expected position"),
        (raw(server, "POST", "/reduce", call(**write, expected={"side": "up"})), 400, "expected is"),
        (raw(server, "POST", "/call", b"x" * 100_000), 413, "at most 8192 bytes, was 100000"),
        (raw(server, "POST", "/call", call(), **{"Content-Length": "many"}), 411, "Content-Length"),
    ]
    for (status, answer), code, part in expected:
        assert (status, part in answer["message"]) == (code, True), answer
        assert "\n" not in answer["message"]
    assert fake.called("order_send") == fake.called("account_info") == 0


def test_one_connection_serves_many_requests_and_answers_plain_json(server) -> None:
    where = server.published()
    connection = http.client.HTTPConnection(where["host"], where["port"], timeout=PATIENCE_S)
    with contextlib.closing(connection):
        for _ in range(3):
            connection.request("POST", "/call", call(), {"Authorization": f"Bearer {where['token']}"})
            response = connection.getresponse()
            assert json.loads(response.read())["value"]["items"] == [1001, 2, 100_000.0]
            assert not response.will_close
