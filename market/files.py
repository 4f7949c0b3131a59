"""Bars from files, recognised by their content: the name of a file says nothing.

Known are Binance's public data (CSV with or without a header, plain, ``.gz`` or ``.zip``, in ms or, since 2025, in
microseconds), parquet with the same columns, and three kinds of MetaTrader text. MetaTrader files are in the server's
time, which they do not name: whoever imports one has to say which it is.
"""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from market.errors import MarketError
from market.feeds.base import Kind
from market.quality import PRICES, Floats, Ints, RawBars
from ops.errors import ExitCode

if TYPE_CHECKING:
    import pandas as pd

MAX_BYTES = 1 << 30  # unpacked; a year of minutes is 50 MB
MOST_UNREADABLE = 0.5  # of the rows; above it, it is another format
SHOWN = 60  # characters of a first line in a message

KNOWN_FORMATS = (
    "Binance public data (12 columns, with or without header, .csv, .gz or .zip, ms or µs)",
    "parquet with open_time, open, high, low, close, volume",
    "MetaTrader 5 export (<DATE> <TIME> <OPEN> …, tab separated)",
    "MetaTrader 5 copy_rates dump (time,open,high,low,close,tick_volume,spread,real_volume)",
    "MetaTrader CSV (Date,Open,High,Low,Close,Vol; dd/mm/yyyy HH:MM)",
)


class BarFileError(MarketError):
    """A file that is not there, or whose content is not known."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True, eq=False)
class BarFile:
    """What a file holds.

    Attributes
    ----------
    rows : RawBars
        ``open_ms`` is UTC, or the server's clock written as if it were UTC (``is_server_time``).
    unreadable : list of dict
        Rows with a time or number that is none, as text, with ``open_text``.
    """

    format: str
    kind: Kind
    is_server_time: bool
    rows: RawBars
    unreadable: list[dict[str, Any]]


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
NO_TIME = np.iinfo(np.int64).min


def read_bar_file(path: Path) -> BarFile:
    """Return the bars of a file, in the order in which it holds them.

    Raises
    ------
    BarFileError
        If it is not there, or is none of the known formats; the message says what it begins with.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BarFileError(f"cannot read {path}: {error.strerror}") from error
    if content.startswith(b"PAR1"):
        return _from_parquet(path)
    parts = [_from_text(path, _decoded(path, part)) for part in _unpacked(path, content)]
    return parts[0] if len(parts) == 1 else _joined(path, parts)


def _unpacked(path: Path, content: bytes) -> list[bytes]:
    """Return the texts in a file that may be compressed."""
    try:
        if content.startswith(b"PK\x03\x04"):
            return _members(path, content)
        if content.startswith(b"\x1f\x8b"):
            with gzip.open(io.BytesIO(content)) as stream:
                content = stream.read(MAX_BYTES + 1)
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise BarFileError(f"{path} is compressed and damaged: {error}") from error
    if len(content) > MAX_BYTES:
        raise BarFileError(f"{path} holds more than {MAX_BYTES >> 20} MB")
    return [content]


def _members(path: Path, content: bytes) -> list[bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [item for item in archive.infolist() if not item.is_dir()]
        if not members or sum(item.file_size for item in members) > MAX_BYTES:
            raise BarFileError(f"{path} must hold files of at most {MAX_BYTES >> 20} MB together, held {len(members)}")
        return [archive.read(item) for item in sorted(members, key=lambda item: item.filename)]


def _decoded(path: Path, content: bytes) -> str:
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"  # the terminal exports both
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        raise _unknown(path, repr(content[:16])) from None


def _unknown(path: Path, found: str) -> BarFileError:
    return BarFileError(f"{path} begins with {found}; known formats: {'; '.join(KNOWN_FORMATS)}")


def detect(first_line: str) -> Layout | None:
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


def _from_text(path: Path, text: str) -> BarFile:
    import pandas as pd

    first_line = text[: text.find("\n") + 1 or len(text)].strip()
    layout = detect(first_line)
    if layout is None:
        raise _unknown(path, repr(first_line[:SHOWN]) if first_line else "nothing: it is empty")
    names = None if layout.has_header else list(BINANCE_ORDER)[: first_line.count(layout.separator) + 1]
    header = 0 if layout.has_header else None
    try:
        frame = pd.read_csv(
            io.StringIO(text), sep=layout.separator, header=header, names=names, dtype=str, keep_default_na=False
        )
    except (pd.errors.ParserError, ValueError) as error:
        raise BarFileError(f"{path} is not a regular table: {error}") from error
    frame.columns = pd.Index([str(name).strip().lower() for name in frame.columns])
    return _from_frame(path, frame, layout)


def _from_parquet(path: Path) -> BarFile:
    import pandas as pd
    import pyarrow as pa

    try:
        frame = pd.read_parquet(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BarFileError(f"{path} is damaged parquet: {error}") from error
    frame.columns = pd.Index([str(name).lower() for name in frame.columns])
    missing = [name for name in ("open_time", *PRICES, "volume") if name not in frame.columns]
    if missing:
        raise _unknown(path, f"the parquet columns {', '.join(frame.columns)}")
    if isinstance(frame["open_time"].dtype, pd.DatetimeTZDtype) or frame["open_time"].dtype.kind == "M":
        frame["open_time"] = pd.to_datetime(frame["open_time"], utc=True).astype("datetime64[ms, UTC]").astype("int64")
    return _from_frame(path, frame, PARQUET)


def _from_frame(path: Path, frame: pd.DataFrame, layout: Layout) -> BarFile:
    open_ms = layout.parse_time(frame)
    columns: dict[str, Floats] = {}
    broken = open_ms == NO_TIME
    for theirs, ours in layout.columns.items():
        if theirs in frame.columns:
            columns[ours], wrong = _numbers(frame[theirs], required=ours in (*PRICES, "volume", "tick_volume"))
            broken |= wrong
    if "close_ms" in columns:
        columns["close_ms"] = _as_ms(columns["close_ms"])
    if not len(frame) or broken.mean() > MOST_UNREADABLE:
        raise BarFileError(f"{path} looks like {layout.format}, but {int(broken.sum())} of {len(frame)} rows are not")
    return BarFile(
        format=layout.format,
        kind=layout.kind,
        is_server_time=layout.kind == "rates",
        rows=RawBars(open_ms, columns).take(~broken),
        unreadable=_texts(frame[broken], layout),
    )


def _numbers(column: pd.Series[Any], *, required: bool) -> tuple[Floats, Any]:
    """Return the numbers of a column, and which cells hold none though they should."""
    import pandas as pd

    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = np.isnan(values)
    if not required and wrong.any():
        wrong &= (column.astype(str).str.strip() != "").to_numpy() & column.notna().to_numpy()
    return values, wrong


def _texts(rows: pd.DataFrame, layout: Layout) -> list[dict[str, Any]]:
    return [
        {"open_text": " ".join(str(row[name]) for name in layout.time_columns)}
        | {str(name): str(value) for name, value in row.items()}
        for row in rows.to_dict("records")
    ]


def _joined(path: Path, parts: list[BarFile]) -> BarFile:
    """Return several texts of one archive as one file."""
    kinds = {(part.format, *part.rows.columns) for part in parts}
    if len(kinds) > 1:
        raise BarFileError(f"{path} holds files of different formats: import them one by one")
    from market.quality import joined

    unreadable = [row for part in parts for row in part.unreadable]
    first = parts[0]
    rows = joined([part.rows for part in parts])
    return BarFile(first.format, first.kind, first.is_server_time, rows, unreadable)


def _as_ms(epochs: Floats) -> Floats:
    """Return ms of epochs in seconds, ms or microseconds, told apart by their size (for 1973 to 2286)."""
    ms = np.where(epochs >= 1e14, np.floor(epochs / 1000), epochs)
    return np.where(epochs < 1e11, epochs * 1000, ms)


def _epoch_time(name: str) -> Callable[[pd.DataFrame], Ints]:
    def parse(frame: pd.DataFrame) -> Ints:
        epochs, _ = _numbers(frame[name], required=True)
        return np.where(np.isfinite(epochs), _as_ms(epochs), NO_TIME).astype(np.int64)

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
