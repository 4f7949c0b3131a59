"""Reads a trade request: a dict with some of the 17 keys becomes a TradeRequest, or the call fails in the terminal.

A failure here means that nothing was sent: None is returned and last_error() is (-2, 'Invalid "..." argument').
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_type_hints

from simulator import constants as mt5
from simulator.arguments import read_float, read_int, read_str
from simulator.refusals import TerminalCallError, invalid_argument
from simulator.structs import TradeRequest

COMMENT_CHARACTERS = 31
KINDS = {name: hint.__name__ for name, hint in get_type_hints(TradeRequest).items()}
DEFAULTS: dict[str, Any] = {"int": 0, "float": 0.0, "str": ""}
READERS: dict[str, Callable[[str, object], Any]] = {"int": read_int, "float": read_float, "str": read_str}


def parse_request(request: object) -> TradeRequest:
    """Return the request with what it leaves out filled in: zeros, and RETURN as the filling mode.

    Raises
    ------
    TerminalCallError
        If it is not a dict, has another key, or a value of another type or out of range.
    """
    if not isinstance(request, dict):
        raise TerminalCallError(mt5.RES_E_INVALID_PARAMS, "Unnamed arguments not allowed")
    for key in request:
        if key not in KINDS:
            raise invalid_argument(str(key))
    values = {name: DEFAULTS[kind] for name, kind in KINDS.items()}
    values["type_filling"] = mt5.ORDER_FILLING_RETURN
    values |= {key: READERS[KINDS[key]](key, value) for key, value in request.items()}
    comment = values["comment"]
    if len(comment) > COMMENT_CHARACTERS or not comment.isascii():
        raise invalid_argument("comment")
    return TradeRequest(**values)
