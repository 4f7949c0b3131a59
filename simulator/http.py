"""A small JSON server on this machine: what the simulated exchange and the control endpoint have in common."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

LOOPBACK = "127.0.0.1"
MAX_BODY = 1_000_000  # bytes
IDLE_S = 60.0  # a kept-alive connection that asks nothing for so long is closed


class JsonHandler(BaseHTTPRequestHandler):
    """One request; connections are kept alive."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_S
    disable_nagle_algorithm = True

    def reply(self, status: int, value: Any, headers: Mapping[str, str] | None = None) -> None:
        """Send a JSON answer."""
        self.reply_raw(status, json.dumps(value, separators=(",", ":")).encode(), headers)

    def reply_raw(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Send an answer that is bytes; its headers are those of JSON unless others are given."""
        usual = {"Content-Type": "application/json;charset=UTF-8", "Content-Length": str(len(body))}
        self.send_response(status)
        for name, text in (usual | dict(headers or {})).items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def body(self) -> bytes:
        """Return the request's body; ValueError when it is longer than a megabyte."""
        length = int(self.headers.get("Content-Length") or 0)
        if not 0 <= length <= MAX_BODY:
            self.close_connection = True
            raise ValueError(f"a body of at most {MAX_BODY} bytes, was {length}")
        return self.rfile.read(length)

    def version_string(self) -> str:
        """Return what the Server header says."""
        return self.server_version

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the trader's own log holds every request that matters."""


class LocalServer(ThreadingHTTPServer):
    """A server on a free port of this machine, run by a thread of its own between ``start`` and ``stop``."""

    daemon_threads = True
    block_on_close = False  # a kept-alive connection must not hold up the end

    def __init__(self, handler: type[JsonHandler]) -> None:
        super().__init__((LOOPBACK, 0), handler)

    @property
    def port(self) -> int:
        """Return the port that the system chose."""
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        """Return the server's address."""
        return f"http://{LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Begin to answer."""
        Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        """Stop answering and give the port back."""
        self.shutdown()
        self.server_close()
