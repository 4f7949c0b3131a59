"""The terminal over HTTP: connections that are kept, errors that say whether anything was executed.

A read goes over a kept connection and is sent once more, on a new one, when the kept one turns out to be closed. A
write always opens a connection of its own: on a kept one nobody could tell a server that had closed it from one that
died with the order in its hands. If it cannot be opened nothing was sent; once it is open, whatever goes wrong leaves
the outcome unknown.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty, LifoQueue
from typing import Any

from .calls import Answer, Call, Kind
from .codec import dumps
from .errors import TerminalOutcomeUnknownError, TerminalUnavailableError
from .handler import JSON_BYTES, SERVER_NAME

CONNECT_TIMEOUT_S = 3.0
# Beyond the sender's own time: for the answer to come back, and for a write that may start until its not_after.
READ_GRACE_S, WRITE_GRACE_S = 1.0, 3.0
KINDS = {kind.name.lower(): kind for kind in Kind}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a terminal's server is and what it wants to hear."""

    host: str
    port: int
    token: str = field(repr=False)

    def __post_init__(self) -> None:
        if not (self.token.isascii() and self.token.isprintable() and self.host):
            raise ValueError("a token is printable ASCII on one line")  # else it could write headers of its own

    def __str__(self) -> str:
        return f"{self.host} port {self.port}"


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    body: bytes = b""
    timeout_s: float = CONNECT_TIMEOUT_S
    is_write: bool = False


class _NotSentError(Exception):
    """Nothing has been executed, and another address or token may help."""


class HttpTransport:
    """Calls to a server; safe to use from many threads.

    Parameters
    ----------
    locate : callable
        Returns the server's endpoint now, or raises TerminalUnavailableError. It is asked at first, and again when the
        connection or the token is refused: a terminal that was started again has another port.
    """

    def __init__(self, locate: Callable[[], Endpoint]) -> None:
        self._locate = locate
        self._endpoint: Endpoint | None = None
        self._idle: LifoQueue[tuple[int, Endpoint, socket.socket]] = LifoQueue()

    def exchange(self, call: Call, *, timeout_s: float) -> Answer:
        """Send the call and return its answer."""
        is_write = call.terms is not None
        path = "/reduce" if call.terms is not None and call.terms.expected is not None else "/call"
        body = dumps(call.to_wire() | {"timeout_s": timeout_s})
        wait_s = timeout_s + (WRITE_GRACE_S if is_write else READ_GRACE_S)
        return self._send(_Request("POST", path, body, wait_s, is_write))

    def latch(self) -> None:
        self._ask("POST", "/latch")

    def unlatch(self) -> None:
        self._ask("POST", "/unlatch")

    def status(self) -> dict[str, Any]:
        return self._ask("GET", "/status")

    def clock(self) -> float:
        return float(self._ask("GET", "/clock")["mono"])

    def close(self) -> None:
        """Close the connections that are kept; a later call opens new ones."""
        while (kept := self._kept()) is not None:
            kept[1].close()

    def _ask(self, method: str, path: str) -> dict[str, Any]:
        answer = self._send(_Request(method, path))
        fields: dict[str, Any] = json.loads(answer.document)
        if answer.kind is not Kind.VALUE:
            raise TerminalUnavailableError(f"{path}: {fields['message']}")
        return fields

    def _send(self, request: _Request) -> Answer:
        """Send to where the server was last, and once more if the server has moved."""
        endpoint = self._endpoint or self._locate()
        self._endpoint = None  # looked up again after whatever goes wrong
        try:
            answer = self._send_to(endpoint, request)
        except _NotSentError as error:
            moved = self._locate()
            if moved == endpoint:
                raise TerminalUnavailableError(str(error)) from error
            endpoint = moved
            answer = self._send_again(endpoint, request)
        self._endpoint = endpoint
        return answer

    def _send_again(self, endpoint: Endpoint, request: _Request) -> Answer:
        try:
            return self._send_to(endpoint, request)
        except _NotSentError as error:
            raise TerminalUnavailableError(str(error)) from error

    def _send_to(self, endpoint: Endpoint, request: _Request) -> Answer:
        kept = None if request.is_write else self._kept(endpoint)
        if kept is not None:
            try:
                return self._over(kept[1], endpoint, request)
            except (ConnectionError, http.client.BadStatusLine):
                pass  # closed since its last use; a read may be sent twice
            except (OSError, http.client.HTTPException) as error:
                raise _broken(endpoint, request, error) from error
        connection = _connect(endpoint)
        try:
            return self._over(connection, endpoint, request)
        except (OSError, http.client.HTTPException) as error:
            raise _broken(endpoint, request, error) from error

    def _over(self, connection: socket.socket, endpoint: Endpoint, request: _Request) -> Answer:
        """Send over an open connection, and keep it if all went well."""
        try:
            connection.settimeout(request.timeout_s)
            connection.sendall(_packet(endpoint, request))
            # A response that is left open keeps the socket open under a connection that was closed.
            with contextlib.closing(http.client.HTTPResponse(connection, method=request.method)) as response:
                response.begin()
                answer = _read(response, endpoint, request)
        except BaseException:
            connection.close()  # an answer that comes later must not be taken for another call's
            raise
        if response.will_close:
            connection.close()
        else:
            self._idle.put((os.getpid(), endpoint, connection))
        return answer

    def _kept(self, endpoint: Endpoint | None = None) -> tuple[Endpoint, socket.socket] | None:
        """Return a kept connection, to the endpoint if one is given; drop others, and those of a parent process."""
        while True:
            try:
                pid, to, connection = self._idle.get_nowait()
            except Empty:
                return None
            if pid == os.getpid() and endpoint in (None, to):
                return to, connection
            connection.close()


def _packet(endpoint: Endpoint, request: _Request) -> bytes:
    """Return the request in one piece: http.client would send its head and its body apart, 0.1 ms later."""
    head = (
        f"{request.method} {request.path} HTTP/1.1\r\n"
        f"Host: {endpoint.host}\r\n"
        f"Authorization: Bearer {endpoint.token}\r\n"
        f"Content-Length: {len(request.body)}\r\n\r\n"
    )
    return head.encode("ascii") + request.body


def _connect(endpoint: Endpoint) -> socket.socket:
    try:
        connection = socket.create_connection((endpoint.host, endpoint.port), CONNECT_TIMEOUT_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        raise _NotSentError(
            f"no terminal answers at {endpoint} ({error}); start it with: manage.py terminal"
        ) from error
    return connection


def _read(response: http.client.HTTPResponse, endpoint: Endpoint, request: _Request) -> Answer:
    body = response.read()
    if response.headers.get("Server") != SERVER_NAME:
        message = f"what answers at {endpoint} is no terminal (status {response.status})"
        message += "; set MT5_BRIDGE to the address of one"
        raise TerminalOutcomeUnknownError(message) if request.is_write else TerminalUnavailableError(message)
    if response.status == 200:
        n_document = int(response.headers.get(JSON_BYTES) or len(body))
        return Answer(Kind.VALUE, body[:n_document], memoryview(body)[n_document:])
    kind = KINDS[json.loads(body)["error"]]
    if kind is Kind.TOKEN:
        raise _NotSentError(f"the terminal at {endpoint} refused the token; set MT5_BRIDGE_TOKEN to its token")
    return Answer(kind, body)


def _broken(endpoint: Endpoint, request: _Request, error: Exception) -> Exception:
    what = f"{request.path} to {endpoint} ended without an answer ({type(error).__name__}: {error})"
    if request.is_write:
        return TerminalOutcomeUnknownError(f"{what}; the order may have been executed: reconcile")
    return TerminalUnavailableError(f"{what}; try again, or see the log of the terminal")
