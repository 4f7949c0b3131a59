"""Bring a file of bars in: never over a stored bar that differs, unless a person says that the file is right."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from django.conf import settings
from django.db import transaction

from market.errors import BarsError, UnknownSymbolError
from market.feeds.server_time import server_to_utc_ms
from market.files import BarFile, read_bar_file
from market.intervals import INTERVAL_MS, MINUTE_MS, NO_TIME
from market.models import Symbol
from market.raw import Ints, RawBars
from market.store import Stored, quarantine, store_rows
from market.symbols import get_symbol
from market.tables import TABLES
from ops.clock import wall_now
from ops.live import announce

UNREADABLE = "a time or number that is none"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What a file brought."""

    file: str
    format: str
    symbol: str  # the venue's name, under which the bars are stored
    table: str  # rates or klines
    interval: str
    n_rows: int
    n_unreadable: int
    first_ms: int
    last_ms: int
    stored: Stored


def import_file(
    path: Path,
    symbol: str,
    *,
    tz: str | None = None,
    interval: str | None = None,
    replace: bool = False,
    dry_run: bool = False,
) -> ImportReport:
    """Store the bars of a file.

    Parameters
    ----------
    symbol : str
        A registered symbol; klines go to its name at Binance.
    tz : str, optional
        The server's clock of a MetaTrader file, written as ``MT5_TZ``, which is the default.
    interval : str, optional
        How long the bars are; by default the most frequent distance.
    replace : bool, default=False
        Whether the file is right where a stored bar differs. Otherwise its row goes to quarantine.
    dry_run : bool, default=False
        Say what would happen, and change nothing.

    Raises
    ------
    BarFileError
        If the file is not there or of no known format.
    UnknownSymbolError
        If the symbol is not registered, or has no name at Binance for a file of klines.
    BarsError
        If the bars are of no known interval or time zone, or mostly differ from what is stored.
    """
    registered = get_symbol(symbol)
    content = read_bar_file(path)
    name = _venue_name(content, registered)
    rows = _in_utc(content, settings.MT5_TZ if tz is None else tz)
    length = interval or _most_frequent_interval(rows.open_ms, path)
    with transaction.atomic():
        # Real time also in the demo: a file was recorded in the real world, before now.
        stored = store_rows(
            TABLES[content.kind],
            name,
            rows,
            interval=length,
            source=path.name,
            now_ms=int(wall_now().timestamp() * 1000),
            replace=replace,
            dry_run=dry_run,
        )
        if not dry_run:
            unreadable = [(row, UNREADABLE) for row in content.unreadable]
            quarantine(unreadable, source=path.name, symbol=name, interval=length)
            announce("data", {"symbol": name, "source": path.name, "interval": length})
    return ImportReport(
        file=str(path),
        format=content.format,
        symbol=name,
        table=content.kind,
        interval=length,
        n_rows=len(rows) + len(content.unreadable),
        n_unreadable=len(content.unreadable),
        first_ms=int(rows.open_ms[rows.open_ms != NO_TIME].min()),
        last_ms=int(rows.open_ms.max()),
        stored=stored,
    )


def _venue_name(content: BarFile, symbol: Symbol) -> str:
    name = symbol.name if content.kind == "rates" else symbol.binance_symbol
    if not name:
        raise UnknownSymbolError(f"{symbol.name} has no name at Binance, and the file is of {content.format}")
    return name


def _in_utc(content: BarFile, tz: str) -> RawBars:
    """Return the rows with UTC open times."""
    if not content.is_server_time:
        return content.rows
    rows = content.rows
    if (np.diff(rows.open_ms) < 0).all():
        rows = rows.take(slice(None, None, -1))  # newest first: a repeated hour is told by the order
    server_s = rows.open_ms // 1000
    return RawBars(server_to_utc_ms(server_s, tz), rows.columns | {"server_s": server_s.astype(np.float64)})


def _most_frequent_interval(open_ms: Ints, path: Path) -> str:
    steps = np.diff(np.unique(open_ms[open_ms != NO_TIME]))
    if not len(steps):
        raise BarsError(f"{path} has a single bar: say with --interval how long it is")
    values, counts = np.unique(steps, return_counts=True)
    usual = int(values[np.argmax(counts)])
    for name, length in INTERVAL_MS.items():
        if length == usual:
            return name
    raise BarsError(
        f"bars of {path} are {usual / MINUTE_MS:g} minutes apart; known intervals: {', '.join(INTERVAL_MS)}"
    )
