"""Serve a MetaTrader5 module on loopback.

``python -m market.terminal.server --module NAME --run-file FILE --state-dir FOLDER [--host H] [--port P]``

This folder needs the standard library, NumPy and the module, so it also runs on Windows and under Wine. The environment
gives TERMINAL_TOKEN (else one is made for each start) and TERMINAL_KILL_CMD. Exit codes: 0 after SIGTERM, 130 after
Ctrl+C, 2 wrong usage, 6 the module cannot be imported, 1 anything else.
"""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import json
import logging
import os
import secrets
import shlex
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from types import FrameType
from typing import Any

from .errors import TerminalUnavailableError
from .fence import Fence
from .guard import Guard
from .handler import Handler
from .process import IMPORT_DEADLINE_S
from .statefile import FolderLock, write_atomically

log = logging.getLogger("terminal")
MIN_TOKEN_BYTES = 32
EXIT_FAILED, EXIT_USAGE, EXIT_UNREACHABLE, EXIT_INTERRUPTED = 1, 2, 6, 130


def _new_token() -> str:
    return secrets.token_urlsafe(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """What a server is started with; raises ValueError for what it will not do."""

    module: str
    run_file: Path  # where it publishes host, port, token, pid and module
    state_dir: Path  # what the fence has to remember
    host: str = "127.0.0.1"
    port: int = 0  # 0: any free one
    token: str = field(default_factory=_new_token, repr=False)
    kill_command: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _is_loopback(self.host):
            allowed = "allowed: 127.0.0.1, ::1 or localhost (from elsewhere, use a tunnel)"
            raise ValueError(f"refuses to bind {self.host!r}: it must not be reachable from outside; {allowed}")
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port is 0 to 65535, was {self.port}")
        if len(self.token.encode()) < MIN_TOKEN_BYTES:
            raise ValueError(f"TERMINAL_TOKEN has {len(self.token.encode())} bytes: use at least {MIN_TOKEN_BYTES}")


class TerminalServer(ThreadingHTTPServer):
    """The guard behind HTTP. It is bound when made and published by ``publish``."""

    daemon_threads = True
    allow_reuse_address = os.name == "posix"  # on Windows it would let a second server take the port
    request_queue_size = 64

    def __init__(self, config: ServerConfig) -> None:
        self.config = config
        self.token = config.token
        self.address_family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
        self._lock = FolderLock(config.state_dir / "safety" / "fence.lock")
        with contextlib.ExitStack() as undo:
            undo.callback(self._lock.release)
            super().__init__((config.host, config.port), Handler)
            undo.callback(self.server_close)
            self.guard = Guard(config.module, Fence(config.state_dir), config.kill_command)
            undo.pop_all()

    def publish(self) -> None:
        """Wait for the module, then write the run file: from now on it can be found."""
        self.guard.require_ready(IMPORT_DEADLINE_S)
        write_atomically(self.config.run_file, json.dumps(self._published()))

    def close(self) -> None:
        """Stop listening, take the run file away if it is still this server's, and kill the module's process."""
        self.server_close()
        self.guard.close()
        with contextlib.suppress(OSError, ValueError):
            if json.loads(self.config.run_file.read_text(encoding="utf-8")) == self._published():
                self.config.run_file.unlink()
        self._lock.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what broke a connection; one that the client closed is not worth a traceback."""
        error = sys.exc_info()[1]
        if not isinstance(error, (ConnectionError, TimeoutError)):
            log.error("a connection failed", exc_info=error)

    def server_bind(self) -> None:
        """Bind without asking a name server for this machine's name, as HTTPServer does."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def _published(self) -> dict[str, object]:
        config = self.config
        address = {"host": config.host, "port": self.server_port}
        return address | {"token": config.token, "pid": os.getpid(), "module": config.module}


def serve(config: ServerConfig) -> int:
    """Serve until SIGTERM or Ctrl+C and return the exit code; from the main thread only."""
    try:
        server = TerminalServer(config)
    except OSError as error:
        log.error("cannot serve %s: %s", config.module, error)
        return EXIT_FAILED
    with contextlib.closing(server):
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, _stop)
            server.publish()
            log.info("serving %s on %s port %s", config.module, config.host, server.server_port)
            server.serve_forever()
        except TerminalUnavailableError as error:
            log.error("%s; install it, or name another one with --module", error)
            return EXIT_UNREACHABLE
        except _StoppedError as stop:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)  # a second one must not end the tidying up
            return EXIT_INTERRUPTED if stop.number == signal.SIGINT else 0
    return 0


class _StoppedError(BaseException):
    """A signal; no handler of Exception may swallow it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _stop(number: int, _frame: FrameType | None) -> None:
    raise _StoppedError(number)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m market.terminal.server", description="Serve a MetaTrader5 module.")
    parser.add_argument("--module", required=True, help="dotted name of the module")
    parser.add_argument("--run-file", required=True, type=Path, help="where to publish host, port and token")
    parser.add_argument("--state-dir", required=True, type=Path, help="where the fence is kept")
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address (default: %(default)s)")
    parser.add_argument("--port", default=0, type=int, help="default: any free one")
    given = parser.parse_args(argv)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", level=logging.INFO)
    token = os.environ.get("TERMINAL_TOKEN") or _new_token()
    command = tuple(_split(os.environ.get("TERMINAL_KILL_CMD", "")))
    try:
        return serve(ServerConfig(**vars(given), token=token, kill_command=command))
    except ValueError as error:
        log.error("%s", error)
        return EXIT_USAGE


def _split(command: str) -> list[str]:
    """Return the argument list of a command line; on Windows a backslash is no escape."""
    if os.name == "posix":
        return shlex.split(command)
    return [part.strip('"') for part in shlex.split(command, posix=False)]


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


if __name__ == "__main__":
    sys.exit(main())
