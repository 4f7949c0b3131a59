"""The terminal as the rest of the system sees it, whichever way its module is reached."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from . import codec
from .calls import Answer, Call, Kind
from .errors import TerminalOutcomeUnknownError, TerminalRefusedError, TerminalUnavailableError
from .fence import Terms
from .functions import WRITE_DEADLINE_S, WRITES, deadline_s, require_allowed
from .local import LocalTransport
from .reduction import Expected
from .remote import Endpoint, HttpTransport

__all__ = ["Expected", "Reply", "Terminal", "TerminalStatus", "open_terminal"]

RUN_FILE = "terminal.json"
TOKEN_VARIABLE = "MT5_BRIDGE_TOKEN"  # noqa: S105 (a name, no token)
MODULE_BRIDGE = re.compile(r"module:(?P<name>[^\W\d]\w*(?:\.[^\W\d]\w*)*)")
ADDRESS_BRIDGE = re.compile(r"(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\]):(?P<port>\d{1,5})")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a function returned."""

    value: Any  # structs have attributes and _asdict(), arrays are ndarrays of their own
    last_error: tuple[int, str]  # the module's, read directly after the call
    mono: float  # the server's monotonic clock then, s


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalStatus:
    """The server's own state; asking for it never waits for a call."""

    latched: bool
    latched_at: float | None  # wall time, Unix s
    sequence: int  # how many times the latch was put on
    highest_fence: int  # the fencing token below which writes are refused
    module: str
    child_pid: int
    child_alive: bool
    restarts: int  # of the process with the module
    mono: float  # the server's monotonic clock, s


class Transport(Protocol):
    """A way to the module."""

    def exchange(self, call: Call, *, timeout_s: float) -> Answer: ...
    def latch(self) -> None: ...
    def unlatch(self) -> None: ...
    def status(self) -> dict[str, Any]: ...
    def clock(self) -> float: ...
    def close(self) -> None: ...


class Terminal:
    """Calls of a served MetaTrader5 module; safe to use from many threads.

    Every method raises TerminalUnavailableError when nothing was executed and trying again is safe, and ValueError for
    a call that no terminal would take. The writes also raise TerminalOutcomeUnknownError and TerminalRefusedError.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def call(self, function: str, *args: Any, timeout_s: float | None = None, **kwargs: Any) -> Reply:
        """Call a function that only reads (or connects); by default with the function's own deadline.

        Parameters
        ----------
        function : str
            One of ``functions.READS``.
        timeout_s : float, optional
            How long the call may wait for its turn; 5 s, and 60 s for ``initialize`` and ``login``.
        """
        require_allowed(function)
        if function in WRITES:
            raise ValueError(f"{function} is a write: use Terminal.{function}, which passes the fence")
        return self._exchange(
            Call.build(function, args, kwargs), deadline_s(function) if timeout_s is None else timeout_s
        )

    def stamp(self) -> float:
        """Return the server's monotonic clock now, s: ``not_after`` is counted from it."""
        return self._transport.clock()

    def order_send(
        self,
        request: dict[str, Any],
        *,
        fence: int,
        not_after: float,
        reduce: bool = False,
        timeout_s: float = WRITE_DEADLINE_S,
    ) -> Reply:
        """Send an order through the fence; with ``reduce`` only if the server proves it to be a reduction."""
        return self._write(request, Terms(fence=fence, not_after=not_after, reduce=reduce), timeout_s)

    def reduce(
        self,
        request: dict[str, Any],
        *,
        expected: Expected,
        fence: int,
        not_after: float,
        timeout_s: float = WRITE_DEADLINE_S,
    ) -> Reply:
        """Close what was expected: read the position and send in one call of the server, or refuse when it differs."""
        terms = Terms(fence=fence, not_after=not_after, reduce=True, expected=expected)
        return self._write(request, terms, timeout_s)

    def latch(self) -> None:
        """Let the server execute reductions only; it does not wait for a call that hangs."""
        self._transport.latch()

    def unlatch(self) -> None:
        """Take the kill latch off."""
        self._transport.unlatch()

    def status(self) -> TerminalStatus:
        """Return the server's state."""
        return TerminalStatus(**self._transport.status())

    def close(self) -> None:
        """Let go of connections."""
        self._transport.close()

    def _write(self, request: dict[str, Any], terms: Terms, timeout_s: float) -> Reply:
        return self._exchange(Call.build(WRITES[0], (request,), {}, terms), timeout_s)

    def _exchange(self, call: Call, timeout_s: float) -> Reply:
        answer = self._transport.exchange(call, timeout_s=timeout_s)
        document = json.loads(answer.document)
        if answer.kind is not Kind.VALUE:
            raise _error(answer.kind, document)
        code, text = document["last_error"]
        return Reply(codec.decode(document, answer.blob), (code, text), document["mono"])


def open_terminal(bridge: str, *, run_dir: Path, state_dir: Path) -> Terminal:
    """Return the terminal that the bridge names; nothing is connected before the first call.

    Parameters
    ----------
    bridge : str
        ``module:dotted.path``: the module in this process. ``host:port``: a server there, its token from
        ``MT5_BRIDGE_TOKEN`` or the run file. Empty: the server that published itself in the run file.
    run_dir : Path
        Where the run file ``terminal.json`` is.
    state_dir : Path
        Where the fence of a module in this process is kept.

    Raises
    ------
    ValueError
        When the bridge is none of these.
    TerminalUnavailableError
        When the module cannot be imported.
    """
    run_file = run_dir / RUN_FILE
    if not bridge:
        return Terminal(HttpTransport(lambda: _published(run_file)))
    if module := MODULE_BRIDGE.fullmatch(bridge):
        return Terminal(LocalTransport.open(module["name"], state_dir))
    if (address := ADDRESS_BRIDGE.fullmatch(bridge)) and 0 < int(address["port"]) < 65536:
        return Terminal(HttpTransport(_at(address["host"].strip("[]"), int(address["port"]), run_file)))
    raise ValueError(f"MT5_BRIDGE={bridge!r}: use host:port, module:dotted.path, or nothing for {run_file}")


def _at(host: str, port: int, run_file: Path) -> Callable[[], Endpoint]:
    def locate() -> Endpoint:
        token = os.environ.get(TOKEN_VARIABLE) or _published(run_file).token
        try:
            return Endpoint(host, port, token)
        except ValueError as error:
            raise TerminalUnavailableError(f"{TOKEN_VARIABLE} cannot be used: {error}") from error

    return locate


def _published(run_file: Path) -> Endpoint:
    try:
        fields = json.loads(run_file.read_text(encoding="utf-8"))
        return Endpoint(fields["host"], int(fields["port"]), fields["token"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        message = f"no terminal has published itself in {run_file} ({reason})"
        raise TerminalUnavailableError(f"{message}; start it with: manage.py terminal") from error


def _error(kind: Kind, document: dict[str, Any]) -> Exception:
    message = document["message"]
    if kind is Kind.REFUSED:
        return TerminalRefusedError(document["reason"], message)
    if kind is Kind.OUTCOME_UNKNOWN:
        return TerminalOutcomeUnknownError(message)
    return ValueError(message) if kind is Kind.USAGE else TerminalUnavailableError(message)
