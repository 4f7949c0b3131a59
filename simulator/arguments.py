"""Reads the arguments of API calls: of the wrong type or out of range they fail in the terminal, with code -2."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from datetime import datetime
from typing import SupportsFloat, SupportsIndex

from simulator import constants as mt5
from simulator.refusals import TerminalCallError, invalid_argument

LARGEST = 2**63 - 1  # of a whole number that the ledger can hold
FARTHEST_S = 2**40  # seconds; no moment is farther from 1970
TIMEFRAMES = frozenset(value for name, value in vars(mt5).items() if name.startswith("TIMEFRAME_"))
Moment = datetime | int | float  # on the server's clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which positions or working orders are asked for; a ticket wins over a symbol, and that over a group mask."""

    symbol: str | None = None
    group: str | None = None
    ticket: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """Which history is asked for: a ticket's, else a position's, else that of a span of the server's clock."""

    span: tuple[int, int] | None = None
    group: str | None = None
    ticket: int | None = None
    position: int | None = None


def read_int(name: str, value: object, *, least: int = 0) -> int:
    """Return a whole number up to 2^63 - 1."""
    if not isinstance(value, SupportsIndex) or not least <= operator.index(value) <= LARGEST:
        raise invalid_argument(name)
    return operator.index(value)


def read_float(name: str, value: object) -> float:
    """Return a number; NaN and infinity pass here, and the server refuses them."""
    if isinstance(value, str) or not isinstance(value, SupportsFloat):
        raise invalid_argument(name)
    return float(value)


def read_str(name: str, value: object) -> str:
    """Return a text."""
    if not isinstance(value, str):
        raise invalid_argument(name)
    return value


def read_server_ms(name: str, value: object) -> int:
    """Return a moment on the server's clock in ms: a datetime, or seconds since 1970.

    A datetime means what its UTC clock shows, whatever its zone; a naive one is taken in this machine's zone first,
    as the real package does.
    """
    seconds = value.timestamp() if isinstance(value, datetime) else read_float(name, value)
    if math.isnan(seconds):
        raise invalid_argument(name)
    return round(max(-FARTHEST_S, min(seconds, FARTHEST_S)) * 1000)


def read_positive(name: str, value: object) -> float:
    """Return a finite number above zero."""
    number = read_float(name, value)
    if not 0 < number < math.inf:
        raise invalid_argument(name)
    return number


def read_count(value: object) -> int:
    """Return how many bars or ticks are asked for, at least one."""
    return read_int("count", value, least=1)


def read_timeframe(value: object) -> int:
    """Return one of the timeframes."""
    timeframe = read_int("timeframe", value)
    if timeframe not in TIMEFRAMES:
        raise invalid_argument("timeframe")
    return timeframe


def read_side(value: object) -> int:
    """Return ORDER_TYPE_BUY or ORDER_TYPE_SELL."""
    side = read_int("action", value)
    if side not in (mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_SELL):
        raise invalid_argument("action")
    return side


def wants_quotes(flags: object) -> bool:
    """Return whether ticks that change bid or ask are asked for; no others exist, since nothing has a last price."""
    value = read_int("flags", flags, least=mt5.COPY_TICKS_ALL)
    if value not in (mt5.COPY_TICKS_ALL, mt5.COPY_TICKS_INFO, mt5.COPY_TICKS_TRADE):
        raise invalid_argument("flags")
    return value != mt5.COPY_TICKS_TRADE


def read_span(date_from: object, date_to: object) -> tuple[int, int]:
    """Return two moments on the server's clock in ms."""
    return read_server_ms("date_from", date_from), read_server_ms("date_to", date_to)


def read_group(unnamed: tuple[object, ...], group: object) -> str | None:
    """Return a group mask that was given by name."""
    if unnamed:
        raise TerminalCallError(mt5.RES_E_INVALID_PARAMS, "Unnamed arguments not allowed")
    return None if group is None else read_str("group", group)


def read_choice(unnamed: tuple[object, ...], symbol: object, group: object, ticket: object) -> Choice:
    """Return which positions or orders are meant; everything has to be given by name."""
    return Choice(
        group=read_group(unnamed, group),
        symbol=None if symbol is None else read_str("symbol", symbol),
        ticket=None if ticket is None else read_int("ticket", ticket),
    )


def read_past(
    date_from: object, date_to: object, group: object = None, ticket: object = None, position: object = None
) -> Past:
    """Return which history is meant: both moments, or a ticket, or a position."""
    named = ticket is not None or position is not None
    return Past(
        span=None if named else read_span(date_from, date_to),
        group=read_group((), group),
        ticket=None if ticket is None else read_int("ticket", ticket),
        position=None if position is None else read_int("position", position),
    )
