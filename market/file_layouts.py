"""How known files of bars are laid out, and which layout a first line belongs to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from market.feeds.base import Kind
from market.intervals import NO_TIME
from market.raw import PRICES, Flags, Floats, Ints

if TYPE_CHECKING:
    import pandas as pd

KNOWN_FORMATS = (
    "Binance public data (12 columns, with or without header, .csv, .gz or .zip, ms or µs)",
    "parquet with open_time, open, high, low, close, volume",
    "MetaTrader 5 export (<DATE> <TIME> <OPEN> …, tab separated)",
    "MetaTrader 5 copy_rates dump (time,open,high,low,close,tick_volume,spread,real_volume)",
    "MetaTrader CSV (Date,Open,High,Low,Close,Vol; dd/mm/yyyy HH:MM)",
)


@dataclass(frozen=True, slots=True)
class Layout:
    """How a text file is laid out: its columns by name or, without a header, by place."""

    format: str
    kind: Kind
    separator: str
    columns: Mapping[str, str]  # the file's, in lower case -> ours
    parse_time: Callable[[pd.DataFrame], Ints]  # ms, and NO_TIME where there is none
    time_columns: tuple[str, ...]
    has_header: bool = True


BINANCE_ORDER = (
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_volume",
    "count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
    "ignore",
)
BINANCE_COLUMNS = {
    **{name: name for name in (*PRICES, "volume", "quote_volume", "taker_buy_quote_volume")},
    "close_time": "close_ms",
    "quote_asset_volume": "quote_volume",
    "count": "n_trades",
    "number_of_trades": "n_trades",
    "taker_buy_volume": "taker_buy_base_volume",
    "taker_buy_base_volume": "taker_buy_base_volume",
    "taker_buy_base_asset_volume": "taker_buy_base_volume",
    "taker_buy_quote_asset_volume": "taker_buy_quote_volume",
}
RATE_NAMES = {name: name for name in (*PRICES, "tick_volume", "spread", "real_volume")}
EXPORT_NAMES = {f"<{name}>": name for name in PRICES} | {
    "<tickvol>": "tick_volume",
    "<vol>": "real_volume",
    "<spread>": "spread",
}
METATRADER_NAMES = {**{name: name for name in PRICES}, "vol": "tick_volume", "volume": "tick_volume"}


def numbers(column: pd.Series[Any], *, required: bool) -> tuple[Floats, Flags]:
    """Return the numbers of a column, and which cells hold none though they should."""
    import pandas as pd

    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = np.isnan(values)
    if not required and wrong.any():
        wrong &= (column.astype(str).str.strip() != "").to_numpy() & column.notna().to_numpy()
    return values, wrong


def as_ms(epochs: Floats) -> Floats:
    """Return ms of epochs in seconds, ms or microseconds, told apart by their size (for 1973 to 2286)."""
    ms = np.where(epochs >= 1e14, np.floor(epochs / 1000), epochs)
    return np.where(epochs < 1e11, epochs * 1000, ms)


def _epoch_time(name: str) -> Callable[[pd.DataFrame], Ints]:
    def parse(frame: pd.DataFrame) -> Ints:
        epochs, _ = numbers(frame[name], required=True)
        return np.where(np.isfinite(epochs), as_ms(epochs), NO_TIME).astype(np.int64)

    return parse


def _text_time(pattern: str, *names: str) -> Callable[[pd.DataFrame], Ints]:
    def parse(frame: pd.DataFrame) -> Ints:
        import pandas as pd

        text = frame[names[0]].str.strip()
        for name in names[1:]:
            text = text + " " + frame[name].str.strip()
        times = pd.to_datetime(text, format=pattern, errors="coerce")
        ms = times.to_numpy().astype("datetime64[ms]")
        return np.where(np.isnat(ms), NO_TIME, ms.astype(np.int64)).astype(np.int64)

    return parse


def _dump_time(frame: pd.DataFrame) -> Ints:
    """Parse the time of a copy_rates dump: seconds as the package gives them, or what pandas makes of them."""
    first = str(frame["time"].iloc[0]) if len(frame) else ""
    parse = _epoch_time("time") if _is_number(first) else _text_time("%Y-%m-%d %H:%M:%S", "time")
    return parse(frame)


BINANCE = Layout("Binance public data", "klines", ",", BINANCE_COLUMNS, _epoch_time("open_time"), ("open_time",))
BINANCE_BARE = Layout(
    "Binance public data", "klines", ",", BINANCE_COLUMNS, _epoch_time("open_time"), ("open_time",), has_header=False
)
PARQUET = Layout("parquet", "klines", "", BINANCE_COLUMNS, _epoch_time("open_time"), ("open_time",))
EXPORT = Layout(
    "MetaTrader 5 export",
    "rates",
    "\t",
    EXPORT_NAMES,
    _text_time("%Y.%m.%d %H:%M:%S", "<date>", "<time>"),
    ("<date>", "<time>"),
)
COPY_RATES = Layout("MetaTrader 5 copy_rates dump", "rates", ",", RATE_NAMES, _dump_time, ("time",))
METATRADER = Layout("MetaTrader CSV", "rates", ",", METATRADER_NAMES, _text_time("%d/%m/%Y %H:%M", "date"), ("date",))


def layout_of(first_line: str) -> Layout | None:
    """Return the layout that a first line belongs to; None when it is no known one."""
    if first_line.lower().startswith("<date>\t<time>"):
        return EXPORT
    cells = [cell.strip().lower() for cell in first_line.split(",")]
    for layout in (BINANCE, COPY_RATES, METATRADER):
        if {*layout.time_columns, *PRICES} <= set(cells) and _has_volume(layout, cells):
            return layout
    if len(cells) >= len(BINANCE_ORDER) - 1 and all(_is_number(cell) for cell in cells[: len(BINANCE_ORDER) - 1]):
        return BINANCE_BARE
    return None


def _has_volume(layout: Layout, cells: list[str]) -> bool:
    wanted = "volume" if layout.kind == "klines" else "tick_volume"
    return any(layout.columns.get(cell) == wanted for cell in cells)


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False
