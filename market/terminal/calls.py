"""One call of the module: how it is written on the wire, how it is run where the module is, and its answer."""

from __future__ import annotations

import enum
import json
import logging
from dataclasses import asdict, dataclass
from typing import Any

from . import codec
from .clock import server_now
from .errors import TerminalError, TerminalRefusedError
from .fence import Terms, require_in_time
from .functions import WRITES, require_allowed
from .reduction import Expected, require_reduction

log = logging.getLogger("terminal")
RES_S_OK = 1
MAX_TIMEOUT_S = 300.0


class Kind(enum.IntEnum):
    """What an answer is; its lower-case name is the ``error`` of the JSON on the wire."""

    READY = 0  # the module is imported
    VALUE = 1
    REFUSED = 2  # by the fence: nothing was executed
    UNAVAILABLE = 3  # nothing was executed
    EXPIRED = 4  # nothing was executed: its turn came too late
    OUTCOME_UNKNOWN = 5  # a write may have been executed
    USAGE = 6  # the caller's mistake: nothing was executed
    TOKEN = 7  # no or the wrong bearer token: nothing was executed


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a call: a JSON document and the bytes of its arrays."""

    kind: Kind
    document: bytes
    blob: bytes | memoryview = b""
    connected: bool = False  # last_error was 1: MetaTrader itself has answered

    @classmethod
    def problem(cls, kind: Kind, message: str, reason: str = "") -> Answer:
        """Return an answer without a value, its message on one line."""
        fields = {"error": kind.name.lower(), "message": " ".join(message.split())}
        return cls(kind, codec.dumps(fields | {"reason": reason} if reason else fields))

    @classmethod
    def of_error(cls, error: TerminalError) -> Answer:
        """Return the answer that stands for an error that proves that nothing was executed."""
        if isinstance(error, TerminalRefusedError):
            return cls.problem(Kind.REFUSED, error.message, error.reason)
        return cls.problem(Kind.UNAVAILABLE, str(error))


@dataclass(frozen=True, slots=True)
class Call:
    """A function of the module, its arguments as plain JSON, and a write's terms."""

    function: str
    args: list[Any]
    kwargs: dict[str, Any]
    terms: Terms | None = None  # a write has them, a read has none

    @classmethod
    def build(cls, function: str, args: tuple[Any, ...], kwargs: dict[str, Any], terms: Terms | None = None) -> Call:
        """Return the call with its arguments encoded."""
        encoded = {name: codec.encode_argument(value) for name, value in kwargs.items()}
        return cls(function, [codec.encode_argument(value) for value in args], encoded, terms)

    @classmethod
    def parse(cls, fields: dict[str, Any]) -> Call:
        """Return the call that was written as JSON; raise ValueError with what is wrong and what is allowed."""
        function, args, kwargs = fields.get("function"), fields.get("args", []), fields.get("kwargs", {})
        if not isinstance(function, str) or not isinstance(args, list) or not isinstance(kwargs, dict):
            raise ValueError('a call is {"function": "name", "args": [...], "kwargs": {...}}')
        require_allowed(function)
        return cls(function, args, kwargs, _parse_terms(fields) if function in WRITES else None)

    def to_wire(self) -> dict[str, Any]:
        """Return the fields that ``parse`` reads."""
        fields: dict[str, Any] = {"function": self.function, "args": self.args, "kwargs": self.kwargs}
        return fields if self.terms is None else fields | asdict(self.terms)


def parse_request(path: str, body: bytes) -> tuple[Call, float]:
    """Return the call of a request and how long its sender waits for its turn; raise ValueError with what is wrong."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the body is not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise ValueError(f"the body is a JSON object, was {type(fields).__name__}")
    timeout_s = fields.get("timeout_s")
    if not codec.is_number(timeout_s) or not 0.0 < timeout_s <= MAX_TIMEOUT_S:
        raise ValueError(f"timeout_s is above 0 and at most {MAX_TIMEOUT_S:g} seconds, was {timeout_s!r}")
    if path == "/reduce":
        fields = {"function": WRITES[0], "reduce": True} | fields
        if fields.get("expected") is None or not fields["reduce"]:
            raise ValueError("/reduce needs the expected position")
    return Call.parse(fields), timeout_s


def _parse_terms(fields: dict[str, Any]) -> Terms:
    fence, not_after, reduce = fields.get("fence"), fields.get("not_after"), fields.get("reduce", False)
    if type(fence) is not int or fence < 0:
        raise ValueError(f"a write has a fence, a whole number from 0, was {fence!r}")
    if not codec.is_number(not_after):
        raise ValueError(f"a write has a not_after, seconds on the server's clock, was {not_after!r}")
    if type(reduce) is not bool:
        raise ValueError(f"reduce is true or false, was {reduce!r}")
    expected = fields.get("expected")
    if expected is not None and not reduce:
        raise ValueError("a write with an expected position is a reduction: reduce has to be true")
    return Terms(fence=fence, not_after=not_after, reduce=reduce, expected=_parse_expected(expected))


def _parse_expected(fields: Any) -> Expected | None:
    if fields is None:
        return None
    try:
        return Expected(**fields)
    except TypeError as error:
        raise ValueError(f'expected is {{"ticket", "symbol", "side", "volume"}}, was {fields!r:.80}') from error


def run(module: Any, call: Call) -> Answer:
    """Execute the call on the module and return its answer with the ``last_error`` that belongs to it.

    The module is somebody else's code, so this is the outermost loop of its process: whatever it raises is logged with
    its traceback and answered, and a write that raised is a write whose outcome is unknown.
    """
    try:
        function, args, kwargs = _prepare(module, call)
    except TerminalError as error:
        return Answer.of_error(error)
    except Exception as error:
        return _failed(Kind.UNAVAILABLE, call, error)
    try:
        return _value(module, function(*args, **kwargs))
    except Exception as error:
        return _failed(Kind.OUTCOME_UNKNOWN if call.terms else Kind.UNAVAILABLE, call, error)


def _prepare(module: Any, call: Call) -> tuple[Any, list[Any], dict[str, Any]]:
    """Return what is to be called; for a write the last thing looked at is the clock."""
    function = getattr(module, call.function)
    args = [codec.decode_argument(tree) for tree in call.args]
    kwargs = {name: codec.decode_argument(tree) for name, tree in call.kwargs.items()}
    if call.terms is not None:
        if len(args) != 1 or kwargs or not isinstance(args[0], dict):
            raise ValueError("order_send takes one argument, the request as a dict")
        if call.terms.reduce:
            require_reduction(module, args[0], call.terms.expected)
        require_in_time(call.terms, server_now())
    return function, args, kwargs


def _value(module: Any, value: Any) -> Answer:
    code, text = module.last_error()  # one global slot: read before anything else can be called
    document, blob = codec.encode(value)
    document |= {"last_error": [int(code), str(text)], "mono": server_now()}
    return Answer(Kind.VALUE, codec.dumps(document), blob, connected=code == RES_S_OK)


def _failed(kind: Kind, call: Call, error: Exception) -> Answer:
    log.exception("%s raised", call.function)
    return Answer.problem(kind, f"{call.function} raised {type(error).__name__}: {error}")
