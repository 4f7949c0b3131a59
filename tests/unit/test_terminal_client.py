"""A client whose server is not there, is a stranger, or dies with an order in its hands; and bridges."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from market.terminal import remote
from market.terminal.client import Terminal, open_terminal
from market.terminal.clock import server_now
from market.terminal.errors import TerminalOutcomeUnknownError, TerminalUnavailableError
from market.terminal.handler import SERVER_NAME
from tests import terminal_fakes as fake
from tests.terminal_server import BUY, FAKE, PATIENCE_S, Server


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
def stranger(tmp_path) -> Iterator[tuple[Terminal, list[bytes]]]:
    """A port whose owner answers a request as it is told, and hangs up, at the latest after a second request."""
    heard: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        with connection:
            heard.append(connection.recv(65536))
            connection.sendall((tmp_path / "says").read_bytes())
            if (tmp_path / "keeps").exists():
                heard.append(connection.recv(65536))

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def listen() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=talk, args=(listening.accept()[0],)).start()

        (tmp_path / "says").write_bytes(b"")
        (tmp_path / "terminal.json").write_text(
            json.dumps({"host": "127.0.0.1", "port": listening.getsockname()[1], "token": "t" * 40})
        )
        thread = threading.Thread(target=listen)
        thread.start()
        with contextlib.closing(open_terminal("", run_dir=tmp_path, state_dir=tmp_path)) as terminal:
            yield terminal, heard
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(PATIENCE_S)


@pytest.mark.parametrize(
    "says", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"SSH-2.0\r\n", b"HTTP/1.1 50"]
)
def test_an_order_that_was_sent_and_not_answered_is_unknown_and_sent_once(stranger, tmp_path, says) -> None:
    terminal, heard = stranger
    (tmp_path / "says").write_bytes(says)
    with pytest.raises(TerminalOutcomeUnknownError):
        terminal.order_send(BUY, fence=1, not_after=2.0)
    assert len([request for request in heard if b"order_send" in request]) == 1
    with pytest.raises(TerminalUnavailableError):
        terminal.call("account_info")


def test_an_order_on_a_connection_that_was_kept_is_not_sent_again_either(stranger, tmp_path) -> None:
    terminal, heard = stranger
    body = b'{"mono": 5.0}'
    head = f"HTTP/1.1 200 OK\r\nServer: {SERVER_NAME}\r\nContent-Length: {len(body)}\r\n\r\n"
    (tmp_path / "says").write_bytes(head.encode() + body)
    (tmp_path / "keeps").touch()
    assert terminal.stamp() == 5.0
    (tmp_path / "says").write_bytes(b"")
    (tmp_path / "keeps").unlink()
    with pytest.raises(TerminalOutcomeUnknownError):
        terminal.order_send(BUY, fence=1, not_after=7.0)
    assert len([request for request in heard if b"order_send" in request]) == 1


def test_a_server_that_says_nothing_is_given_up(stranger, monkeypatch) -> None:

    monkeypatch.setattr(remote, "READ_GRACE_S", 0.0)
    terminal, _ = stranger
    with pytest.raises(TerminalUnavailableError, match="ended without an answer"):
        terminal.call("account_info", timeout_s=0.05)


def test_an_address_takes_its_token_from_the_environment_or_the_run_file(server, monkeypatch) -> None:
    where = server.published()
    bridge = f"127.0.0.1:{where['port']}"
    with contextlib.closing(server.open(bridge)) as terminal:
        assert terminal.call("account_info").value.login == 1001
    monkeypatch.setenv("MT5_BRIDGE_TOKEN", "w" * 40)
    with contextlib.closing(server.open(bridge)) as terminal:
        with pytest.raises(TerminalUnavailableError, match=f"at 127.0.0.1 port {where['port']} refused the token"):
            terminal.call("account_info")
        with pytest.raises(TerminalUnavailableError, match="refused the token"):
            terminal.order_send(BUY, fence=1, not_after=server_now() + 2)
    assert fake.called("order_send") == 0


def test_a_terminal_that_is_not_there_is_unavailable_and_says_how_to_start_it(tmp_path, monkeypatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    monkeypatch.setenv("MT5_BRIDGE_TOKEN", "t" * 40)
    for bridge, message in ((f"127.0.0.1:{port}", f"127.0.0.1 port {port}"), ("", "terminal.json")):
        terminal = open_terminal(bridge, run_dir=tmp_path, state_dir=tmp_path)
        with pytest.raises(TerminalUnavailableError, match=message):
            terminal.order_send(BUY, fence=1, not_after=0.0)
        with pytest.raises(TerminalUnavailableError, match=r"manage\.py terminal"):
            terminal.call("account_info")
    with pytest.raises(TerminalUnavailableError, match=r"cannot import module 'no\.such'"):
        open_terminal("module:no.such", run_dir=tmp_path, state_dir=tmp_path)


@pytest.mark.parametrize(
    "bridge", ["moon", "host:", ":80", "host:0", "host:70000", "module:", "module:a-b", "http://a:1"]
)
def test_a_bridge_that_is_none_names_the_allowed_forms(tmp_path, bridge) -> None:
    with pytest.raises(ValueError, match=r"use host:port, module:dotted.path, or nothing for .*terminal\.json"):
        open_terminal(bridge, run_dir=tmp_path, state_dir=tmp_path)


def test_all_users_of_a_module_and_a_state_share_one_fence(state) -> None:
    first, second = (open_terminal(f"module:{FAKE}", run_dir=state, state_dir=state) for _ in range(2))
    first.latch()
    assert second.status().latched
