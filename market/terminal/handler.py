"""The wire itself: HTTP on loopback with a bearer token, JSON back, one line per error.

``POST /call`` runs a function, ``POST /reduce`` a reduction of an expected position, ``POST /latch`` and ``/unlatch``
the kill latch, ``GET /status`` and ``/clock`` wait for nothing. A value with arrays comes back as its JSON, whose
length is in the header ``X-Json-Bytes``, and their raw bytes behind it.
"""

from __future__ import annotations

import hmac
import logging
from http.server import BaseHTTPRequestHandler
from typing import Any, Protocol, cast

from .calls import Answer, Kind, parse_request
from .clock import server_now
from .codec import dumps
from .guard import Guard

log = logging.getLogger("terminal")
JSON_BYTES = "X-Json-Bytes"
SERVER_NAME = "market.terminal"  # in each answer: what has it is no stranger on a port that changed hands
MAX_BODY_BYTES = 8192
MAX_DRAIN_BYTES = 1 << 20  # read and dropped of a body that is too long, so that its sender still gets the answer
IDLE_S = 60.0  # a connection that says nothing for so long is closed

STATUS = {
    Kind.VALUE: 200,
    Kind.USAGE: 400,
    Kind.TOKEN: 401,
    Kind.REFUSED: 409,
    Kind.OUTCOME_UNKNOWN: 502,
    Kind.UNAVAILABLE: 503,
    Kind.EXPIRED: 503,
}
GETS = ("/clock", "/status")
POSTS = ("/call", "/latch", "/reduce", "/unlatch")


class Served(Protocol):
    """What a handler needs of its server."""

    guard: Guard
    token: str


class Handler(BaseHTTPRequestHandler):
    """One connection, kept open for many requests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits for the client's delayed ACK
    wbufsize = -1  # one packet per answer: flushed by the base class after each request
    timeout = IDLE_S

    def do_GET(self) -> None:
        self._serve(GETS, self._get)

    def do_POST(self) -> None:
        self._serve(POSTS, self._post)

    def _serve(self, paths: tuple[str, ...], respond: Any) -> None:
        body = self._body()
        if body is None:
            return
        if not self._has_token():
            # The body may hold anything, and whoever sends it is not one of ours.
            self._answer(Answer.problem(Kind.TOKEN, "no or the wrong bearer token: it is in the terminal's run file"))
        elif self.path not in paths:
            self._answer(Answer.problem(Kind.USAGE, f"no {self.path!r} here; allowed: {', '.join(paths)}"), status=404)
        else:
            self._answer(respond(body))

    def _get(self, _body: bytes) -> Answer:
        if self.path == "/clock":
            return Answer(Kind.VALUE, dumps({"mono": server_now()}))
        return self._status()

    def _post(self, body: bytes) -> Answer:
        if self.path in ("/latch", "/unlatch"):
            return self._set_latch(on=self.path == "/latch")
        try:
            call, timeout_s = parse_request(self.path, body)
        except ValueError as error:
            return Answer.problem(Kind.USAGE, str(error))
        return self._guard.exchange(call, timeout_s=timeout_s)

    def _set_latch(self, *, on: bool) -> Answer:
        fence = self._guard.fence
        try:
            fence.latch() if on else fence.unlatch()
        except OSError as error:
            message = f"the latch is {'on' if fence.state.latched else 'off'} but could not be written: {error}"
            return Answer.problem(Kind.UNAVAILABLE, message)
        log.warning("the latch is %s", "on" if on else "off")
        return self._status()

    def _status(self) -> Answer:
        return Answer(Kind.VALUE, dumps(self._guard.status()))

    @property
    def _guard(self) -> Guard:
        return cast(Served, self.server).guard

    def _has_token(self) -> bool:
        scheme, _, given = self.headers.get("Authorization", "").partition(" ")
        expected = cast(Served, self.server).token
        same = hmac.compare_digest(given.strip().encode("utf-8", "replace"), expected.encode())
        return same and scheme.lower() == "bearer"

    def _body(self) -> bytes | None:
        """Return the body, or None when the request was answered for its length."""
        text = self.headers.get("Content-Length", "0")
        if self.headers.get("Transfer-Encoding") or not (text.isascii() and text.isdigit()):
            self._refuse_body(411, "a request has a Content-Length")
            return None
        if int(text) > MAX_BODY_BYTES:
            self.rfile.read(min(int(text), MAX_DRAIN_BYTES))
            self._refuse_body(413, f"a body has at most {MAX_BODY_BYTES} bytes, was {text}")
            return None
        return self.rfile.read(int(text))

    def _refuse_body(self, status: int, message: str) -> None:
        self.close_connection = True
        self._answer(Answer.problem(Kind.USAGE, message), status=status)

    def _answer(self, answer: Answer, *, status: int | None = None) -> None:
        self.send_response_only(status or STATUS[answer.kind])
        self.send_header("Content-Type", "application/octet-stream" if answer.blob else "application/json")
        self.send_header("Content-Length", str(len(answer.document) + len(answer.blob)))
        self.send_header("Server", SERVER_NAME)
        if answer.blob:
            self.send_header(JSON_BYTES, str(len(answer.document)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer.document)
        self.wfile.write(answer.blob)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what the base class refuses (a bad request line, an unknown method) as JSON too."""
        self.close_connection = True
        self._answer(Answer.problem(Kind.USAGE, message or explain or "bad request"), status=code)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: one line a tick would bury the rest, and arguments may hold a password."""
