"""Closed bars from a MetaTrader 5 terminal, in UTC.

Bars are asked for by position from the newest backwards. Position 0 is the bar that is still forming: it never
leaves this module. A bar is closed once the terminal shows a later one and our own clock has passed its end.
"""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from market.errors import FeedReplyError, FeedUnavailableError
from market.feeds.base import FeedConfig, Kind
from market.feeds.server_time import check_offset, server_to_utc_ms
from market.intervals import INTERVAL_MS, NO_TIME
from market.raw import Floats, Ints, RawBars, no_rows
from market.terminal.errors import TerminalError

Rates = NDArray[np.void]

# MetaTrader 5's TIMEFRAME_* codes. Longer bars follow the server's day, so they are not on UTC's grid.
TIMEFRAMES = {"1m": 1, "5m": 5, "15m": 15, "30m": 30, "1h": 16385}
AUTH_FAILED = -6
CHUNK_BARS = 5_000  # well inside the read deadline, also over a slow tunnel
COLUMNS = ("open", "high", "low", "close", "tick_volume", "spread", "real_volume")


class Caller(Protocol):
    """The part of ``market.terminal.client.Terminal`` that reads."""

    def call(self, function: str, *args: Any, **kwargs: Any) -> Any:
        """Return a reply with ``value`` and ``last_error``."""

    def close(self) -> None:
        """Let go of the connection."""


def ask(terminal: Caller, function: str, *args: Any, **kwargs: Any) -> Any:
    """Return what a reading function of the terminal gave, which is never None.

    Raises
    ------
    FeedUnavailableError
        If the terminal could not be reached.
    FeedReplyError
        If it has no answer; the message has MetaTrader's own error.
    """
    reply = call_terminal(terminal, function, *args, **kwargs)
    if reply.value is None:
        code, text = reply.last_error
        raise FeedReplyError(f"the terminal gave no {function}{args}: error {code} {text}")
    return reply.value


def call_terminal(terminal: Caller, function: str, *args: Any, **kwargs: Any) -> Any:
    try:
        return terminal.call(function, *args, **kwargs)
    except TerminalError as error:
        raise FeedUnavailableError(f"the terminal did not answer {function}: {error}") from error


class Mt5Feed:
    """The broker's bars.

    Parameters
    ----------
    terminal : Caller
        Connected to a module that is initialized.
    config : FeedConfig
        For ``mt5_tz`` and ``now_ms``.
    """

    name: ClassVar[str] = "mt5"
    kind: ClassVar[Kind] = "rates"

    def __init__(self, terminal: Caller, config: FeedConfig) -> None:
        self.terminal = terminal
        self.config = config

    @classmethod
    def open(cls, config: FeedConfig) -> Self:
        from market.terminal.client import open_terminal

        try:
            terminal = open_terminal(config.mt5_bridge, run_dir=config.run_dir, state_dir=config.state_dir)
        except (TerminalError, ValueError) as error:
            raise FeedUnavailableError(f"the terminal is not there: {error}") from error
        feed = cls(terminal, config)
        try:
            feed.initialize()
        except BaseException:
            feed.close()
            raise
        return feed

    def initialize(self) -> None:
        """Let the module connect to its terminal and account; nothing changes when it is connected."""
        path = [self.config.mt5_path] if self.config.mt5_path else []  # unnamed in the package
        reply = call_terminal(self.terminal, "initialize", *path, **self.config.mt5_login)
        if not reply.value:
            code, text = reply.last_error
            hint = "; check MT5_LOGIN, MT5_SERVER and MT5_PASSWORD" if code == AUTH_FAILED else ""
            raise FeedUnavailableError(f"the terminal did not start: error {code} {text}{hint}")

    def closed_bars(self, symbol: str, interval: str, *, since_ms: int) -> RawBars:
        """Return the closed bars that opened at ``since_ms`` or later, oldest first.

        Raises
        ------
        FeedUnavailableError
            If the terminal could not be reached.
        FeedReplyError
            If it does not know the symbol, has no bars of it, or keeps another clock than ``mt5_tz`` says.
        """
        if interval not in TIMEFRAMES:
            raise ValueError(f"interval must be one of {', '.join(TIMEFRAMES)} at the broker, was {interval!r}")
        if not call_terminal(self.terminal, "symbol_select", symbol, True).value:
            raise FeedReplyError(f"the terminal does not know the symbol {symbol}")
        self.check_clock(symbol)
        length = INTERVAL_MS[interval]
        n_bars = max(0, self.config.now_ms() - since_ms) // length + 2  # the forming one, and a part of one
        rates = self._finished(symbol, TIMEFRAMES[interval], n_bars)
        if not len(rates):
            return no_rows(COLUMNS)
        open_ms = server_to_utc_ms(rates["time"].astype(np.int64), self.config.mt5_tz)
        wanted = (open_ms >= since_ms) & (open_ms + length <= self.config.now_ms())
        return _as_rows(rates, open_ms).take(wanted | (open_ms == NO_TIME))

    def check_clock(self, symbol: str) -> None:
        """Raise FeedReplyError when a live tick contradicts ``mt5_tz``."""
        tick = call_terminal(self.terminal, "symbol_info_tick", symbol).value
        now_s = self.config.now_ms() / 1000  # after the tick, so that it cannot seem to come from the future
        if tick is not None and tick.time:
            check_offset(tick.time_msc / 1000 or tick.time, now_s, self.config.mt5_tz)

    def close(self) -> None:
        self.terminal.close()

    def _finished(self, symbol: str, timeframe: int, wanted: int) -> Rates:
        """Return up to ``wanted`` of the newest bars, oldest first, without the forming one."""
        newest = self._chunk(symbol, timeframe, 0, min(CHUNK_BARS, wanted))
        parts = [newest[:-1]]
        position = len(newest)
        while position < wanted:
            count = min(CHUNK_BARS, wanted - position)
            chunk = self._chunk(symbol, timeframe, position, count)
            position += len(chunk)
            if not len(chunk):
                break  # the terminal has no older ones
            if len(parts[-1]) and chunk[-1] == parts[-1][0]:
                chunk = chunk[:-1]  # a new bar began between two chunks and shifted the positions by one
            parts.append(chunk)
        return np.concatenate(parts[::-1])

    def _chunk(self, symbol: str, timeframe: int, position: int, count: int) -> Rates:
        """Return bars by position, oldest first; none when there are no older ones."""
        reply = call_terminal(self.terminal, "copy_rates_from_pos", symbol, timeframe, position, count)
        if reply.value is None or not len(reply.value):
            if position:
                return np.empty(0, np.void)
            code, text = reply.last_error
            raise FeedReplyError(f"the terminal has no bars of {symbol}: error {code} {text}")
        missing = {"time", *COLUMNS} - set(getattr(reply.value.dtype, "names", None) or ())
        if missing:
            raise FeedReplyError(f"the terminal's bars of {symbol} lack {', '.join(sorted(missing))}")
        return np.asarray(reply.value)


def _as_rows(rates: Rates, open_ms: Ints) -> RawBars:
    columns: dict[str, Floats] = {name: rates[name].astype(np.float64) for name in COLUMNS}
    return RawBars(open_ms, columns | {"server_s": rates["time"].astype(np.float64)})
