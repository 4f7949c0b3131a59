"""The package's functions about symbols and prices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from simulator import price_history, symbol_readings
from simulator.arguments import (
    Moment,
    read_count,
    read_group,
    read_int,
    read_server_ms,
    read_span,
    read_timeframe,
    wants_quotes,
)
from simulator.mounting import TERMINAL, command, data, live
from simulator.refusals import not_found
from simulator.structs import BookInfo, SymbolInfo, Tick

if TYPE_CHECKING:
    from simulator.market import Quote


def symbols_total() -> int | None:
    """Return the number of symbols."""
    return data("symbols_total", lambda: len(live().market.symbols))


def symbols_get(*args: object, group: str | None = None) -> tuple[SymbolInfo, ...] | None:
    """Return the symbols that a group mask lets through."""

    def body() -> tuple[SymbolInfo, ...]:
        account = live()
        names = symbol_readings.matching(account.market.symbols, read_group(args, group))
        return tuple(symbol_readings.symbol_info(account, n, selected=n in TERMINAL.selected) for n in names)

    return data("symbols_get", body)


def symbol_info(symbol: str) -> SymbolInfo | None:
    """Return all that is known of a symbol."""

    def body() -> SymbolInfo:
        account, name = live(), TERMINAL.known(symbol)
        return symbol_readings.symbol_info(account, name, selected=name in TERMINAL.selected)

    return data("symbol_info", body, symbol=symbol)


def symbol_info_tick(symbol: str) -> Tick | None:
    """Return a symbol's last tick; it has to be in Market Watch."""
    return data("symbol_info_tick", lambda: symbol_readings.tick(_quote(symbol)), symbol=symbol)


def symbol_select(symbol: str, enable: bool = True) -> bool:
    """Put a symbol into Market Watch, or take it out; one with positions or orders stays in."""
    return command("symbol_select", lambda: TERMINAL.select(symbol, enable), symbol=symbol)


def market_book_add(symbol: str) -> bool:
    """Subscribe to a symbol's market depth."""
    return command("market_book_add", lambda: TERMINAL.subscribe(symbol))


def market_book_get(symbol: str) -> tuple[BookInfo, ...] | None:
    """Return a subscribed symbol's market depth."""

    def body() -> tuple[BookInfo, ...]:
        quote = _quote(symbol)
        if symbol not in TERMINAL.books:
            raise not_found()
        return symbol_readings.book(live().market.symbols[symbol], quote)

    return data("market_book_get", body, symbol=symbol)


def market_book_release(symbol: str) -> bool:
    """End a subscription to a symbol's market depth."""
    return command("market_book_release", lambda: TERMINAL.unsubscribe(symbol))


def copy_rates_from(symbol: str, timeframe: int, date_from: Moment, count: int) -> NDArray[Any] | None:
    """Return the last ``count`` bars that open at or before a moment, oldest first."""

    def body() -> NDArray[Any]:
        until_ms = read_server_ms("date_from", date_from)
        return price_history.last_bars(
            live(), TERMINAL.known(symbol), read_timeframe(timeframe), read_count(count), until_ms
        )

    return data("copy_rates_from", body, symbol=symbol, timeframe=timeframe)


def copy_rates_from_pos(symbol: str, timeframe: int, start_pos: int, count: int) -> NDArray[Any] | None:
    """Return ``count`` bars that end at a position counted from the forming bar, which is 0; oldest first."""

    def body() -> NDArray[Any]:
        skip, n = read_int("start_pos", start_pos), read_count(count)
        bars = price_history.last_bars(live(), TERMINAL.known(symbol), read_timeframe(timeframe), n + skip)
        return bars[max(0, len(bars) - skip - n) : max(0, len(bars) - skip)]

    return data("copy_rates_from_pos", body, symbol=symbol, timeframe=timeframe, start_pos=start_pos, count=count)


def copy_rates_range(symbol: str, timeframe: int, date_from: Moment, date_to: Moment) -> NDArray[Any] | None:
    """Return the bars that open between two moments, both included."""

    def body() -> NDArray[Any]:
        span = read_span(date_from, date_to)
        return price_history.bars_between(live(), TERMINAL.known(symbol), read_timeframe(timeframe), *span)

    return data("copy_rates_range", body, symbol=symbol, timeframe=timeframe)


def copy_ticks_from(symbol: str, date_from: Moment, count: int, flags: int) -> NDArray[Any] | None:
    """Return the first ``count`` ticks at or after a moment."""

    def body() -> NDArray[Any]:
        from_ms = read_server_ms("date_from", date_from)
        n = read_count(count) if wants_quotes(flags) else 0
        return price_history.ticks_from(live(), TERMINAL.known(symbol), from_ms, n)

    return data("copy_ticks_from", body, symbol=symbol)


def copy_ticks_range(symbol: str, date_from: Moment, date_to: Moment, flags: int) -> NDArray[Any] | None:
    """Return the ticks between two moments, both included."""

    def body() -> NDArray[Any]:
        account, name, (from_ms, to_ms) = live(), TERMINAL.known(symbol), read_span(date_from, date_to)
        return price_history.ticks_between(account, name, from_ms, to_ms if wants_quotes(flags) else from_ms - 1)

    return data("copy_ticks_range", body, symbol=symbol)


def _quote(symbol: str) -> Quote:
    """Return a Market Watch symbol's quote, or fail where there is none."""
    quote = live().quote(TERMINAL.known(symbol, selected=True))
    if quote is None:
        raise not_found()
    return quote
