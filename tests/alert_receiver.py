"""A service on this machine that alerts are sent to and pings come to: it takes, refuses, hangs, or is away."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from django.conf import settings
from django.test import override_settings

from ops.destinations import alert_destinations, heartbeat_destination
from ops.lanes import Patience
from ops.notifier import Notifier

QUICK = Patience(limit_s=20.0, first_s=0.2, longest_s=0.4, start_s=0.0)
WITHIN_S = 30.0


@dataclass
class Receiver:
    """What came, and what is answered to it."""

    answers: list[int] = field(default_factory=list)  # statuses of the next calls; then 200
    headers: dict[str, str] = field(default_factory=dict)
    taken: list[dict[str, Any]] = field(default_factory=list)  # messages answered with 200
    asked: list[str] = field(default_factory=list)  # the path of every call
    is_hung: threading.Event = field(default_factory=threading.Event)
    port: int = 0
    _server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.port}/"

    @property
    def titles(self) -> list[str]:
        return [message["title"] for message in self.taken]

    def open(self) -> None:
        """Begin to listen, on the port of before if there was one."""
        handler = type("Handler", (Handler,), {"receiver": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Be away: nobody listens."""
        self.is_hung.clear()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def status(self) -> int:
        return self.answers.pop(0) if self.answers else 200


class Handler(BaseHTTPRequestHandler):
    """Answers as its receiver says."""

    receiver: ClassVar[Receiver]

    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self._answered() == HTTPStatus.OK:
            self.receiver.taken.append(said)

    def do_GET(self) -> None:
        self._answered()

    def _answered(self) -> int:
        self.receiver.asked.append(self.path)
        while self.receiver.is_hung.is_set():
            threading.Event().wait(0.02)
        status = self.receiver.status()
        self.send_response(status)
        for name, value in self.receiver.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()
        return status

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # whoever asked has given up

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def listening() -> Iterator[Receiver]:
    """Yield a receiver that listens."""
    receiver = Receiver()
    receiver.open()
    try:
        yield receiver
    finally:
        receiver.close()


@contextmanager
def told_to(*urls: str, heartbeat: str = "") -> Iterator[None]:
    """Let alerts go to these addresses, and pings to that one."""
    outside = {"ALERT_URLS": alert_destinations(" ".join(urls), salt="x")}
    with override_settings(**outside, HEARTBEAT_URL=heartbeat_destination(heartbeat, salt="x")):
        yield


@contextmanager
def working(**options: Any) -> Iterator[Notifier]:
    """Yield a notifier of the settings of now, and let it end."""
    notifier = Notifier(patience=options.pop("patience", QUICK), **options)
    try:
        yield notifier
    finally:
        notifier.let_go()


def work(notifier: Notifier, until: Callable[[], bool]) -> None:
    """Let the notifier go round until something holds."""
    deadline = time.monotonic() + WITHIN_S
    while not until():
        assert time.monotonic() < deadline, f"it did not come so far within {WITHIN_S:.0f} s"
        notifier.round()
        time.sleep(0.02)


def key_of(label: str) -> str:
    """Return the key under which rows keep a destination."""
    return next(to.key for to in settings.ALERT_URLS if to.label == label)
