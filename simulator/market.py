"""The simulated market: prices, ticks, bars and klines as pure functions of (symbol, time).

Everything is aggregated from one set of hour bars and from the paths inside them, so that a tick, a minute, an hour
and a kline never disagree, and a restart or a jump in time changes nothing. Bids are the bars' own prices.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.aggregation import Atoms, aggregated, hour_atoms, joined, minute_atoms, until
from simulator.hourbars import HOUR_MS, HourBars, Ints
from simulator.noise import symbol_key
from simulator.path import MINUTE_MS, PathBlock, build_paths
from simulator.symbols import CATALOGUE, SimSymbol
from simulator.synthetic import END_MS, synthetic_bars
from simulator.terms import Terms

TICK_DTYPE = np.dtype([("time_ms", "<i8"), ("bid", "<f8"), ("ask", "<f8")])
RATE_DTYPE = np.dtype(
    [
        ("open_ms", "<i8"),
        *((name, "<f8") for name in ("open", "high", "low", "close")),
        ("tick_volume", "<u8"),
        ("spread", "<i4"),
        ("real_volume", "<u8"),
    ]
)
SYNTHETIC_TRADING_MS = 1_767_571_200_000  # 2026-01-05, a Monday, with four years of history before it
CACHED_HOURS = 1024  # about 25 MB
HOURS_AT_ONCE = 256


class Quote(NamedTuple):
    """The last tick at a moment, with its own time."""

    time_ms: int
    bid: float
    ask: float


class Market:
    """Prices of some symbols over ``[start_ms, end_ms)``, UTC milliseconds.

    Parameters
    ----------
    bars : mapping of str to HourBars
        By the broker's symbol name.
    symbols : mapping of str to SimSymbol
        The same names.
    seed : int
        Decides the paths inside the hours.
    mode : {"synthetic", "replay"}
    first_trading_ms : int, optional
        Where a new clock starts; the market's start by default.
    hold_open : bool, default=False
        Keep each hour's first minute at its open, so that an order sent in it is filled there: for comparing a
        session's fills with those of a backtest on hour bars.
    notes : iterable of str
        What a person should know about the bars, like rows that were left out.

    Raises
    ------
    ValueError
        If a symbol has no bars, or bars have other digits than their symbol.
    """

    def __init__(
        self,
        bars: Mapping[str, HourBars],
        symbols: Mapping[str, SimSymbol],
        *,
        seed: int,
        mode: str = "synthetic",
        first_trading_ms: int | None = None,
        hold_open: bool = False,
        notes: Iterable[str] = (),
    ) -> None:
        if not bars or set(bars) != set(symbols):
            raise ValueError(f"bars and symbols must be the same ones, were {sorted(bars)} and {sorted(symbols)}")
        wrong = [name for name in bars if bars[name].digits != symbols[name].digits]
        if wrong:
            raise ValueError(f"bars have other digits than their symbol: {', '.join(wrong)}")
        self.symbols = dict(symbols)
        self.mode = mode
        self.seed = seed
        self.notes = tuple(notes)
        self.start_ms = min(b.start_ms for b in bars.values())
        self.end_ms = max(b.end_ms for b in bars.values())
        self.first_trading_ms = self.start_ms if first_trading_ms is None else first_trading_ms
        self._hold_open = hold_open
        self._bars = dict(bars)
        self._names = {symbol.binance_symbol: name for name, symbol in symbols.items()}
        if len(self._names) < len(symbols):
            raise ValueError(f"two symbols have one name at the exchange: {sorted(symbols)}, {sorted(self._names)}")
        self._keys = {name: symbol_key(seed, name) for name in bars}
        self._hour = lru_cache(maxsize=CACHED_HOURS)(self._build_hour)

    @classmethod
    def synthetic(cls, seed: int = 7, names: Iterable[str] = tuple(CATALOGUE), *, end_ms: int = END_MS) -> Market:
        """Return a market made from a seed, from 2022-01-01 to 2032-01-01 by default; trading starts in 2026."""
        symbols = {name: CATALOGUE[name] for name in names}
        digits = {name: symbol.digits for name, symbol in symbols.items()}
        bars = synthetic_bars(symbols, digits=digits, seed=seed, end_ms=end_ms)
        first = min(SYNTHETIC_TRADING_MS, end_ms - HOUR_MS)
        return cls(bars, symbols, seed=seed, mode="synthetic", first_trading_ms=first)

    def on_terms(self, terms: Terms) -> Market:
        """Return the same market with other costs."""
        return Market(
            self._bars,
            {name: terms.of(symbol) for name, symbol in self.symbols.items()},
            seed=self.seed,
            mode=self.mode,
            first_trading_ms=self.first_trading_ms,
            hold_open=terms.hold_open,
            notes=self.notes,
        )

    def hour_bars(self, symbol: str) -> HourBars:
        """Return all hour bars of a symbol, the future included: for tests and for judges, not for traders."""
        return self._bars[symbol]

    def name_of(self, binance_symbol: str) -> str:
        """Return the broker's name of an exchange symbol; KeyError when it is not traded."""
        return self._names[binance_symbol]

    def is_open(self, symbol: str, t_ms: int) -> bool:
        """Return whether the symbol trades at the moment; in a replay a missing hour is a closed market."""
        return self._bars[symbol].row(t_ms) >= 0

    def quote(self, symbol: str, t_ms: int) -> Quote:
        """Return the last tick at or before the moment.

        Raises
        ------
        ValueError
            Before the symbol's first bar.
        """
        row = self._bars[symbol].row_at_or_before(t_ms)
        if row < 0:
            raise ValueError(f"{symbol} has no price before {self._bars[symbol].start_ms}, asked for {t_ms}")
        times, bids, asks = self._flat_ticks(symbol, self._hour(symbol, row))
        i = int(times.searchsorted(t_ms, side="right")) - 1
        return Quote(int(times[i]), float(bids[i]), float(asks[i]))

    def ticks(self, symbol: str, from_ms: int, to_ms: int) -> NDArray[Any]:
        """Return the ticks in ``(from_ms, to_ms]``, in path order, as an array with fields time_ms, bid, ask."""
        bars = self._bars[symbol]
        first, last = bars.rows_opening_in(from_ms - HOUR_MS + 1, to_ms + 1)
        parts = [self._flat_ticks(symbol, block) for block in self._blocks(symbol, first, last)]
        if not parts:
            return np.empty(0, TICK_DTYPE)
        times, bids, asks = (np.concatenate(x) if len(x) > 1 else x[0] for x in zip(*parts, strict=True))
        i, j = times.searchsorted((from_ms, to_ms), side="right")
        out = np.empty(max(0, j - i), TICK_DTYPE)
        out["time_ms"], out["bid"], out["ask"] = times[i:j], bids[i:j], asks[i:j]
        return out

    def rates(
        self, symbol: str, interval_s: int, from_ms: int, to_ms: int, *, now_ms: int, align_ms: int = 0
    ) -> NDArray[Any]:
        """Return the bars that open in ``[from_ms, to_ms)``, as they look at ``now_ms``.

        Parameters
        ----------
        interval_s : int
            A multiple of 60.
        now_ms : int
            Ticks after it have not happened; the bar that holds it is still forming.
        align_ms : int, default=0
            Bars open at multiples of the interval plus this, since 1970 UTC. For bars that follow a clock with
            summer time, or months, use :meth:`rates_between`.

        Returns
        -------
        structured (n,)
            ``RATE_DTYPE``: open_ms (UTC), open, high, low, close, tick_volume, spread, real_volume (0).
        """
        return self.rates_between(symbol, _edges(interval_s, from_ms, to_ms, align_ms), now_ms=now_ms)

    def rates_between(self, symbol: str, edges_ms: Ints, *, now_ms: int) -> NDArray[Any]:
        """Return one bar for each ``[edges[i], edges[i + 1])`` that traded by now; edges are on whole minutes."""
        bars = self._aggregated(symbol, edges_ms, now_ms)
        spec = self.symbols[symbol]
        out = np.zeros(len(bars), RATE_DTYPE)
        out["open_ms"] = bars.open_ms
        for name in ("open", "high", "low", "close"):
            out[name] = getattr(bars, name) / 10.0**spec.digits
        out["tick_volume"] = np.maximum(bars.trades, 1)
        out["spread"] = spec.spread_points
        return out

    def klines(
        self, binance_symbol: str, interval_s: int, from_ms: int, to_ms: int, *, now_ms: int
    ) -> list[tuple[Any, ...]]:
        """Return the klines that open in ``[from_ms, to_ms)`` by now, as Binance sends them: prices are strings.

        Raises
        ------
        KeyError
            If no symbol has that name.
        """
        symbol = self._names[binance_symbol]
        bars = self._aggregated(symbol, _edges(interval_s, from_ms, to_ms, 0), now_ms)
        scale, length = 10.0 ** self.symbols[symbol].digits, interval_s * 1000 - 1
        prices = [(getattr(bars, name) / scale).tolist() for name in ("open", "high", "low", "close")]
        flows = [getattr(bars, name).tolist() for name in ("volume", "quote_volume", "taker_base", "taker_quote")]
        return [
            (t, *(f"{x:.8f}" for x in (o, h, lo, c, v)), t + length, f"{q:.8f}", n, f"{tb:.8f}", f"{tq:.8f}", "0")
            for t, o, h, lo, c, n, v, q, tb, tq in zip(
                bars.open_ms.tolist(), *prices, bars.trades.tolist(), *flows, strict=True
            )
        ]

    def path(self, symbol: str, t_ms: int) -> PathBlock:
        """Return the minutes and ticks of the hour that holds the moment; ValueError when it is closed."""
        row = self._bars[symbol].row(t_ms)
        if row < 0:
            raise ValueError(f"{symbol} is closed at {t_ms}")
        return self._hour(symbol, row)

    def _aggregated(self, symbol: str, edges_ms: Ints, now_ms: int) -> Atoms:
        if len(edges_ms) < 2 or edges_ms[0] > now_ms:
            return joined([])
        bars = self._bars[symbol]
        hourly = not (edges_ms % HOUR_MS).any()
        first, last = bars.rows_opening_in(int(edges_ms[0]) - HOUR_MS + 1, min(int(edges_ms[-1]), now_ms + 1))
        forming = last > first and int(bars.open_ms[last - 1]) + HOUR_MS > now_ms
        parts = self._atoms(symbol, first, last - forming, hourly=hourly)
        if forming:
            block = self._hour(symbol, last - 1)
            minutes = until(minute_atoms(block), block, now_ms)
            whole = np.array([bars.open_ms[last - 1], bars.open_ms[last - 1] + HOUR_MS])
            parts.append(aggregated(minutes, whole) if hourly else minutes)
        return aggregated(joined(parts), edges_ms)

    def _atoms(self, symbol: str, first: int, last: int, *, hourly: bool) -> list[Atoms]:
        if hourly:
            return [hour_atoms(self._bars[symbol], first, last)]
        return [minute_atoms(block) for block in self._blocks(symbol, first, last)]

    def _blocks(self, symbol: str, first: int, last: int) -> list[PathBlock]:
        """Return the paths of some hours; a few come from the cache, many are built together."""
        if last - first <= 2:
            return [self._hour(symbol, row) for row in range(first, last)]
        return [self._build(symbol, row, min(row + HOURS_AT_ONCE, last)) for row in range(first, last, HOURS_AT_ONCE)]

    def _build_hour(self, symbol: str, row: int) -> PathBlock:
        return self._build(symbol, row, row + 1)

    def _build(self, symbol: str, first: int, last: int) -> PathBlock:
        return build_paths(self._bars[symbol], first, last, key=self._keys[symbol], hold_open=self._hold_open)

    def _flat_ticks(self, symbol: str, block: PathBlock) -> tuple[Ints, NDArray[np.float64], NDArray[np.float64]]:
        spec = self.symbols[symbol]
        points, scale = block.ticks.reshape(-1), 10.0**spec.digits
        return block.tick_ms.reshape(-1), points / scale, (points + spec.spread_points) / scale


def _edges(interval_s: int, from_ms: int, to_ms: int, align_ms: int) -> Ints:
    """Return the bounds of the bars that open in ``[from_ms, to_ms)``: one more than there are bars."""
    if interval_s <= 0 or interval_s % (MINUTE_MS // 1000):
        raise ValueError(f"interval_s must be a positive multiple of 60, was {interval_s}")
    step = interval_s * 1000
    first = -((align_ms - from_ms) // step)  # rounded up
    last = -((align_ms - to_ms) // step)
    return align_ms + step * np.arange(first, max(first, last) + 1, dtype=np.int64)
