"""Raw bars, a terminal that gives what a test wrote down, a REST server that answers what it is told, a clock."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np

from market.feeds import FeedConfig
from market.feeds.mt5 import Mt5Feed
from market.raw import RawBars
from ops.clock import SystemClock

HOUR_MS = 3_600_000
HOUR = timedelta(hours=1)
RATE_DTYPE = np.dtype(
    [
        ("time", "<i8"),
        ("open", "<f8"),
        ("high", "<f8"),
        ("low", "<f8"),
        ("close", "<f8"),
        ("tick_volume", "<u8"),
        ("spread", "<i4"),
        ("real_volume", "<u8"),
    ]
)


def ms(text: str) -> int:
    """Return an ISO time, UTC, in ms: ``ms("2025-06-02T10:00")``."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


MONDAY = ms("2025-06-02T00:00")


def make_raw(
    n_bars: int = 10, *, start: int = MONDAY, price: float = 100.0, klines: bool = True, **columns: Any
) -> RawBars:
    """Return good hourly rows, each a little different; ``columns`` replace whole columns."""
    step = np.arange(n_bars) % 7
    values: dict[str, Any] = {
        "open": price + step,
        "high": price + step + 2,
        "low": price + step - 1,
        "close": price + step + 1,
    }
    if klines:
        values |= {"volume": 10.0 + step, "taker_buy_base_volume": 5.0 + step}
    else:
        values |= {"tick_volume": 1000.0 + step, "spread": 10.0 + step}
    values |= columns
    open_ms = start + HOUR_MS * np.arange(n_bars, dtype=np.int64)
    return RawBars(open_ms, {name: np.array(value, dtype=np.float64) for name, value in values.items()})


def change(raw: RawBars, row: int, **values: float) -> RawBars:
    """Return the rows with one row changed."""
    columns = {name: column.copy() for name, column in raw.columns.items()}
    open_ms = raw.open_ms.copy()
    for name, value in values.items():
        if name == "open_ms":
            open_ms[row] = value
        else:
            columns[name][row] = value
    return RawBars(open_ms, columns)


class StoppedClock(SystemClock):
    """Market and wall time that only a test moves."""

    def __init__(self, now: str) -> None:
        self.now = datetime.fromisoformat(now).replace(tzinfo=UTC)

    def market_now(self) -> datetime:
        return self.now

    def wall_now(self) -> datetime:
        return self.now

    def pass_by(self, delta: timedelta) -> None:
        self.now += delta


def make_rates(server_times: list[str], price: float = 100.0) -> np.ndarray:
    """Return a terminal's bars that open at these server times."""
    rates = np.zeros(len(server_times), RATE_DTYPE)
    rates["time"] = [ms(text) // 1000 for text in server_times]
    rates["open"] = price + np.arange(len(rates)) / 100
    rates["high"], rates["low"], rates["close"] = rates["open"] + 2, rates["open"] - 1, rates["open"] + 1
    rates["tick_volume"], rates["spread"] = 500, 12
    return rates


class WrittenTerminal:
    """A terminal that gives the bars and ticks that a test wrote down, and remembers what it was asked."""

    def __init__(self, rates: np.ndarray | None = None, *, tick_s: float | None = None, symbol: str = "BTCUSD") -> None:
        self.rates = rates
        self.tick_s = tick_s
        self.symbol = symbol
        self.asked: list[tuple[Any, ...]] = []
        self.replies: dict[str, Any] = {}
        self.is_closed = False

    def call(self, function: str, *args: Any, **kwargs: Any) -> Any:
        self.asked.append((function, *args))
        value = self.replies[function] if function in self.replies else getattr(self, f"_{function}")(*args)
        value = value(*args) if callable(value) else value
        return SimpleNamespace(value=value, last_error=(1, "Success") if value is not None else (-4, "Not found"))

    def close(self) -> None:
        self.is_closed = True

    def _initialize(self, *args: Any) -> bool:
        return True

    def _symbol_select(self, symbol: str, enable: bool) -> bool:
        return symbol == self.symbol

    def _symbol_info_tick(self, symbol: str) -> Any:
        return None if self.tick_s is None else SimpleNamespace(time=int(self.tick_s), time_msc=int(self.tick_s * 1000))

    def _copy_rates_from_pos(self, symbol: str, timeframe: int, position: int, count: int) -> Any:
        assert self.rates is not None
        end = len(self.rates) - position
        return self.rates[max(0, end - count) : end] if end > 0 else None


def make_mt5_feed(terminal: WrittenTerminal, *, now: str, tz: str = "GMT+0") -> Mt5Feed:
    """Return a feed over a written terminal, at a market time."""
    from pathlib import Path

    return Mt5Feed(terminal, FeedConfig(now_ms=lambda: ms(now), run_dir=Path(), state_dir=Path(), mt5_tz=tz))


class Answer:
    """What the REST server sends."""

    def __init__(self, value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self.body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.status = status
        self.headers = headers or {}


class RestServer:
    """Answers on loopback: for each path a list of answers, the last one again and again, or a function."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer] | Callable[[dict[str, str]], Answer]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.url = ""

    def answer(self, path: str, query: dict[str, str]) -> Answer:
        self.asked.append((path, query))
        known = self.answers.get(path, [Answer({"code": -1, "msg": f"no {path}"}, 404)])
        if callable(known):
            return known(query)
        return known.pop(0) if len(known) > 1 else known[0]

    def count(self, path: str) -> int:
        return sum(asked == path for asked, _ in self.asked)


@contextmanager
def rest_server() -> Iterator[RestServer]:
    """Run a REST server for the block."""
    rest = RestServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            answer = rest.answer(url.path, dict(parse_qsl(url.query)))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    rest.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield rest
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def kline(open_ms: int, price: float = 100.0, *, length: int = HOUR_MS) -> list[Any]:
    """Return one kline as Binance sends it."""
    texts = [f"{value:.8f}" for value in (price, price + 2, price - 1, price + 1, 10.0)]
    return [open_ms, *texts, open_ms + length - 1, "1010.00000000", 42, "4.00000000", "404.00000000", "0"]


def serve_klines(rest: RestServer, first: int, last: int, *, now_ms: int, length: int = HOUR_MS) -> None:
    """Let the server have klines that open in ``[first, last]``, as Binance pages them, and its time."""

    def page(query: dict[str, str]) -> Answer:
        start, end = int(query.get("startTime", first)), int(query.get("endTime", last))
        opens = [t for t in range(first, last + 1, length) if start <= t <= end]
        return Answer([kline(t, 100 + t // length % 7, length=length) for t in opens[: int(query.get("limit", 500))]])

    rest.answers["/api/v3/klines"] = page
    rest.answers["/api/v3/time"] = [Answer({"serverTime": now_ms})]
