"""Real bars as a market: files are read, checked, joined by symbol and completed.

An entry is ``FILE`` or ``SYMBOL=FILE``; without a symbol the file's name has to start with one, as in
``BTCUSDT_1h_2024.parquet`` or ``BTCUSD_H1.csv.gz``. Times are UTC, unless the entry ends in ``@GMT+2`` (fixed) or
``@NY+7`` (New York + 7 h, the usual MetaTrader server: UTC+2, and UTC+3 in the American summer).

* A row off the hour, out of order, repeated, or with a high or low inside its body is left out, counted and reported;
  a file in which more than one row in twenty is like that is refused, being a file of something else.
* Several files of a symbol are joined: the first one named decides, later ones only add rows that are missing and
  columns that a row lacks. Where takers would then have bought more than was traded, it is cut to that, and counted.
* A symbol without volumes gets them from its trade (tick) counts, one without counts from its turnover, and takers'
  buys that no file knows lean with the bar's return.
* Hours that no file has are a closed market.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator.errors import ReplayError
from simulator.hourbars import HOUR_MS, Floats, HourBars
from simulator.market import Market
from simulator.noise import symbol_key, uniform
from simulator.replay_formats import FLOWS, PRICES, read_bars
from simulator.symbols import SimSymbol, symbol_for

if TYPE_CHECKING:
    import pandas as pd

TRADING_FROM = 0.75  # of the bars; those before are history
MAX_UNUSABLE = 0.05
MAX_DIGITS = 8
TRADE_SIZE = 800.0  # quote currency; turns turnover into a trade count
FILE_NAME = re.compile(r"^([A-Z0-9]{3,20}?)[_-](1h|H1)(?=[_.-])")
ENTRY = re.compile(r"^(?:(?P<symbol>[A-Za-z0-9.#]{2,31})=)?(?P<path>.+?)(?:@(?P<zone>NY\+7|GMT[+-]\d{1,2}))?$")
BROKER_NAME = re.compile(r"^([A-Z0-9]+USD)T$")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a symbol; ``zone`` is empty for UTC."""

    symbol: str
    binance_symbol: str
    path: Path
    zone: str


def replay_market(entries: Sequence[str], *, seed: int) -> Market:
    """Return the market of some files; trading starts after three quarters of the hours.

    Raises
    ------
    ReplayError
        If an entry cannot be read, names no symbol, or does not hold hour bars.
    """
    by_symbol: dict[str, list[Entry]] = {}
    for text in entries:
        entry = parse_entry(text)
        by_symbol.setdefault(entry.symbol, []).append(entry)
    if not by_symbol:
        raise ReplayError("a replay needs at least one file, had none")
    notes: list[str] = []
    bars: dict[str, HourBars] = {}
    symbols: dict[str, SimSymbol] = {}
    for name, files in by_symbol.items():
        frame = _joined([_clean(entry, notes) for entry in files])
        symbols[name] = _symbol(name, files, frame)
        bars[name] = _hour_bars(frame, symbols[name].digits, symbol_key(seed, name), notes, name)
    hours = np.unique(np.concatenate([b.open_ms for b in bars.values()]))
    first = int(hours[min(len(hours) - 1, int(len(hours) * TRADING_FROM))])
    return Market(bars, symbols, seed=seed, mode="replay", first_trading_ms=first, notes=notes)


def parse_entry(text: str) -> Entry:
    """Return what an entry of SIM_REPLAY names."""
    match = ENTRY.match(text)
    if match is None:
        raise ReplayError(f"cannot read {text!r}: use FILE, SYMBOL=FILE, with @GMT+2 or @NY+7 behind it")
    path, zone = Path(match["path"]), match["zone"] or ""
    in_name = FILE_NAME.match(path.name)
    named = in_name[1] if in_name else ""
    pair = BROKER_NAME.match(named)
    symbol = match["symbol"] or (pair[1] if pair else named)
    if not symbol:
        raise ReplayError(f"{path.name} does not start with a symbol and 1h or H1: write SYMBOL={path}")
    return Entry(symbol, named if pair else "", path, zone)


def _clean(entry: Entry, notes: list[str]) -> pd.DataFrame:
    """Return a file's usable rows, indexed by open time; what was left out is added to the notes."""
    frame = read_bars(entry.path)
    if entry.zone:
        frame["open_ms"] = _utc(frame["open_ms"].to_numpy("int64"), entry.zone)
    times = frame["open_ms"].to_numpy("int64")
    prices = frame[PRICES].to_numpy("float64")
    body_high, body_low = np.maximum(prices[:, 0], prices[:, 3]), np.minimum(prices[:, 0], prices[:, 3])
    newest = np.maximum.accumulate(np.concatenate([[-1], times[:-1]]))
    faults = {
        "off the hour": times % HOUR_MS != 0,
        "repeated or out of order": times <= newest,
        "with impossible prices": ~((prices[:, 1] >= body_high) & (prices[:, 2] <= body_low) & (prices[:, 2] > 0)),
    }
    unusable = np.logical_or.reduce(list(faults.values()))
    if unusable.mean() > MAX_UNUSABLE:
        worst = max(faults, key=lambda name: int(faults[name].sum()))
        raise ReplayError(
            f"{entry.path.name} is not a file of hour bars: {int(faults[worst].sum())} of {len(frame)} rows are {worst}"
        )
    notes += [f"{entry.path.name}: left out {int(bad.sum())} rows {name}" for name, bad in faults.items() if bad.any()]
    usable: pd.DataFrame = frame[~unusable].set_index("open_ms")
    return usable


def _utc(times_ms: Any, zone: str) -> Any:
    """Return server times as UTC; ``NY+7`` asks New York seven hours earlier what its own clock says."""
    import pandas as pd

    if zone.startswith("GMT"):
        return times_ms - int(zone[3:]) * HOUR_MS
    in_new_york = pd.DatetimeIndex(pd.to_datetime(times_ms - 7 * HOUR_MS, unit="ms"))
    # Nobody can say which one a row of the hour is that the server's clock has twice a year: it is left out.
    aware = in_new_york.tz_localize("America/New_York", ambiguous="NaT", nonexistent="NaT")
    utc = aware.tz_convert("UTC").tz_localize(None).to_numpy("datetime64[ms]")
    return np.where(np.isnat(utc), 1, utc.astype("int64"))  # 1 is off the hour


def _joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the first frame with the rows and columns that it lacks taken from the later ones."""
    frame = frames[0]
    for other in frames[1:]:
        frame = frame.combine_first(other)
    columns = [name for name in [*PRICES, *FLOWS, "spread"] if name in frame]
    return frame[columns].sort_index()


def _symbol(name: str, files: list[Entry], frame: pd.DataFrame) -> SimSymbol:
    digits = decimals_of(frame[PRICES].to_numpy("float64"))
    binance_symbol = next((entry.binance_symbol for entry in files if entry.binance_symbol), "")
    spread = frame["spread"].to_numpy("float64") if "spread" in frame else np.zeros(0)
    points = float(np.median(spread[spread > 0])) * 10.0**-digits if (spread > 0).any() else 0.0
    price = float(np.median(frame["close"].to_numpy("float64")))
    return symbol_for(name, binance_symbol=binance_symbol, digits=digits, price=price, spread=points)


def decimals_of(prices: Floats) -> int:
    """Return the fewest decimals that write every price exactly; 8 at most."""
    for digits in range(MAX_DIGITS):
        scale = 10.0**digits
        if np.array_equal(np.rint(prices * scale) / scale, prices):
            return digits
    return MAX_DIGITS


def _hour_bars(frame: pd.DataFrame, digits: int, key: int, notes: list[str], name: str) -> HourBars:
    """Return the joined rows as hour bars, completed where no file knew a volume."""
    open_ms = frame.index.to_numpy("int64")
    prices = {column: frame[column].to_numpy("float64") for column in PRICES}
    typical = (prices["open"] + prices["high"] + prices["low"] + prices["close"]) / 4
    trades, volume, quote = (_column(frame, column) for column in ("trades", "volume", "quote_volume"))
    volume = _filled(_filled(volume, quote / typical), trades * TRADE_SIZE / typical, np.zeros_like(typical))
    quote = _filled(quote, volume * typical)
    share = _leaning_share(prices, key, open_ms)
    taker, taker_quote = (
        _filled(_column(frame, column), share * total)
        for column, total in (("taker_base", volume), ("taker_quote", quote))
    )
    excess = int(((taker > volume) | (taker_quote > quote)).sum())
    if excess:
        notes.append(f"{name}: takers' buys cut to the volume in {excess} rows")
    return HourBars(
        digits=digits,
        open_ms=open_ms,
        **{column: np.rint(prices[column] * 10.0**digits).astype(np.int64) for column in PRICES},
        volume=volume,
        quote_volume=quote,
        trades=np.rint(_filled(trades, np.ceil(quote / TRADE_SIZE))).astype(np.int64),
        taker_base=np.minimum(taker, volume),
        taker_quote=np.minimum(taker_quote, quote),
    )


def _column(frame: pd.DataFrame, name: str) -> Floats:
    """Return a column, with NaN for what no file knows."""
    return frame[name].to_numpy("float64", copy=True) if name in frame else np.full(len(frame), np.nan)


def _filled(values: Floats, *others: Floats) -> Floats:
    for other in others:
        values = np.where(np.isnan(values), other, values)
    return values


def _leaning_share(prices: dict[str, Floats], key: int, open_ms: Any) -> Floats:
    """Return a takers' share for each bar: a half, leaning with the part of the range that the bar gained."""
    span = prices["high"] - prices["low"]
    gained = (prices["close"] - prices["open"]) / np.where(span > 0, span, 1.0)
    noise = uniform(key, open_ms // HOUR_MS, first=SHARE_NOISE, n=1)[:, 0]
    return np.asarray(0.5 + 0.12 * gained + 0.06 * (noise - 0.5))


SHARE_NOISE = 1000  # behind the numbers that the path inside the hour uses
