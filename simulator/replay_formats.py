"""Readers of the files that a replay accepts: one frame of the same columns, whatever the format.

Columns: ``open_ms`` (UTC milliseconds), ``open, high, low, close``, and where the file has them ``volume,
quote_volume, trades, taker_base, taker_quote, spread`` (points). pandas is imported inside the functions.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.errors import ReplayError

if TYPE_CHECKING:
    import pandas as pd

PRICES = ["open", "high", "low", "close"]
FLOWS = ["volume", "quote_volume", "trades", "taker_base", "taker_quote"]
KLINE_FIELDS = ["open_time", *PRICES, "volume", "close_time", "quote_volume", "count", "taker_base", "taker_quote", "_"]
OURS = {
    "open_time": "open_ms",
    "count": "trades",
    "taker_buy_base_volume": "taker_base",
    "taker_buy_volume": "taker_base",
    "taker_buy_quote_volume": "taker_quote",
}
MT5_EXPORT = {"<OPEN>": "open", "<HIGH>": "high", "<LOW>": "low", "<CLOSE>": "close"}
MT5_EXPORT |= {"<TICKVOL>": "trades", "<SPREAD>": "spread"}
COPY_RATES = {"tick_volume": "trades"}
MICROSECONDS_FROM = 10**14  # milliseconds of the year 5138; Binance's public files hold microseconds since 2025


def read_bars(path: Path) -> pd.DataFrame:
    """Return the bars of a file, in its order, unchecked.

    Parquet and CSV in Binance's kline columns (with or without a header, milliseconds or microseconds), MetaTrader 5's
    *Export bars* text, a saved ``copy_rates`` array, and MetaTrader's ``Date,Open,High,Low,Close,Vol``; CSV may be
    gzipped.

    Raises
    ------
    ReplayError
        If the file is missing, or in none of these formats.
    """
    if not path.is_file():
        raise ReplayError(f"no file {path} to replay")
    try:
        return _parquet(path) if path.suffix == ".parquet" else _text(path)
    except (ValueError, KeyError, OSError) as error:
        raise ReplayError(f"{path.name} cannot be read as bars: {error}") from error


def _parquet(path: Path) -> pd.DataFrame:
    import pandas as pd

    return _klines(pd.read_parquet(path))


def _text(path: Path) -> pd.DataFrame:
    import pandas as pd

    head = pd.read_csv(path, header=None, nrows=1, dtype=str, sep=None, engine="python").iloc[0].fillna("").tolist()
    for is_mine, read in TEXT_FORMATS:
        if is_mine(head):
            return read(path)
    raise ReplayError(f"{path.name} is in no known format; it starts with {','.join(head)[:80]!r}")


def _klines(frame: pd.DataFrame) -> pd.DataFrame:
    """Return Binance's columns under our names."""
    frame = frame.rename(columns=OURS)
    missing = [name for name in ("open_ms", *PRICES) if name not in frame]
    if missing:
        raise ReplayError(f"the file lacks {', '.join(missing)}; it has {', '.join(map(str, frame.columns))}")
    times = frame["open_ms"].to_numpy("int64")
    frame["open_ms"] = times // 1000 if len(times) and times[0] >= MICROSECONDS_FROM else times
    return frame[["open_ms", *PRICES, *(name for name in FLOWS if name in frame)]]


def _kline_csv(path: Path) -> pd.DataFrame:
    import pandas as pd

    return _klines(pd.read_csv(path))


def _bare_kline_csv(path: Path) -> pd.DataFrame:
    import pandas as pd

    return _klines(pd.read_csv(path, header=None, names=KLINE_FIELDS))


def _mt5_export(path: Path) -> pd.DataFrame:
    import pandas as pd

    frame = pd.read_csv(path, sep="\t")
    frame["open_ms"] = _ms(pd.to_datetime(frame["<DATE>"] + " " + frame["<TIME>"], format="%Y.%m.%d %H:%M:%S"))
    return frame.rename(columns=MT5_EXPORT)[["open_ms", *PRICES, "trades", "spread"]]


def _copy_rates(path: Path) -> pd.DataFrame:
    import pandas as pd

    frame = pd.read_csv(path).rename(columns=COPY_RATES)
    seconds = pd.api.types.is_numeric_dtype(frame["time"])
    frame["open_ms"] = frame["time"] * 1000 if seconds else _ms(pd.to_datetime(frame["time"]))
    return frame[["open_ms", *PRICES, "trades", "spread"]]


def _metatrader_csv(path: Path) -> pd.DataFrame:
    import pandas as pd

    frame = pd.read_csv(path).rename(columns=str.lower).rename(columns={"vol": "trades"})
    frame["open_ms"] = _ms(pd.to_datetime(frame["date"], format="%d/%m/%Y %H:%M"))
    return frame[["open_ms", *PRICES, "trades"]]


def _ms(times: pd.Series) -> pd.Series:
    return times.astype("datetime64[ms]").astype("int64")


Reader = Callable[[Path], "pd.DataFrame"]
TEXT_FORMATS: list[tuple[Callable[[list[str]], bool], Reader]] = [
    (lambda head: "<DATE>" in head, _mt5_export),
    (lambda head: "tick_volume" in head, _copy_rates),
    (lambda head: head[0] == "Date", _metatrader_csv),
    (lambda head: "open_time" in head, _kline_csv),
    (lambda head: re.fullmatch(r"\d{13}|\d{16}", head[0]) is not None, _bare_kline_csv),
]
