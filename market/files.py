"""Bars from files, recognised by their content: the name of a file says nothing.

Known are Binance's public data (CSV with or without a header, plain, ``.gz`` or ``.zip``, in ms or, since 2025, in
microseconds), parquet with the same columns, and three kinds of MetaTrader text. MetaTrader files are in the server's
time, which they do not name: whoever imports one has to say which it is.
"""

from __future__ import annotations

import gzip
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from market.errors import MarketError
from market.feeds.base import Kind
from market.file_layouts import BINANCE_ORDER, KNOWN_FORMATS, PARQUET, Layout, as_ms, layout_of, numbers
from market.intervals import NO_TIME
from market.raw import PRICES, Floats, RawBars, joined
from ops.errors import ExitCode

if TYPE_CHECKING:
    import pandas as pd

MAX_BYTES = 1 << 30  # unpacked; a year of minutes is 50 MB
MOST_UNREADABLE = 0.5  # of the rows; above it, it is another format
SHOWN = 60  # characters of a first line in a message


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


def _from_text(path: Path, text: str) -> BarFile:
    import pandas as pd

    first_line = text[: text.find("\n") + 1 or len(text)].strip()
    layout = layout_of(first_line)
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
            columns[ours], wrong = numbers(frame[theirs], required=ours in (*PRICES, "volume", "tick_volume"))
            broken |= wrong
    if "close_ms" in columns:
        columns["close_ms"] = as_ms(columns["close_ms"])
    if not len(frame) or broken.mean() > MOST_UNREADABLE:
        raise BarFileError(f"{path} looks like {layout.format}, but {int(broken.sum())} of {len(frame)} rows are not")
    return BarFile(
        format=layout.format,
        kind=layout.kind,
        is_server_time=layout.kind == "rates",
        rows=RawBars(open_ms, columns).take(~broken),
        unreadable=_texts(frame[broken], layout),
    )


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
    unreadable = [row for part in parts for row in part.unreadable]
    first = parts[0]
    rows = joined([part.rows for part in parts])
    return BarFile(first.format, first.kind, first.is_server_time, rows, unreadable)
