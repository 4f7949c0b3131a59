"""Put checked bars into the database; bad rows go to quarantine, so that none is lost.

One statement writes all rows: ``INSERT … ON CONFLICT DO UPDATE … WHERE`` a value differs, through the connection's
cursor: seven to ten times as fast as ``bulk_create(update_conflicts=True)`` on 46,330 rows, checks included. Rows
that are already there cost a comparison and no write. A column that a source does not bring never erases what another brought (``COALESCE``).

Who is right when a stored bar and a new one differ depends on who brings it. A feed is the venue itself: its
revision replaces the bar, and the old one is kept in quarantine. A file is not: its row goes to quarantine, unless a
person says that the file is right. That is also the one thing that shows bars which a collector recorded unfinished.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from django.db import connection, models, transaction

from market.errors import BarsError
from market.intervals import INTERVAL_MS, NO_TIME
from market.models import Bar, Kline, QuarantinedRow, from_ms
from market.quality import FLOAT_SLACK, PRICES, Flags, Floats, Ints, RawBars, check_rows

KEY = ("symbol", "interval", "open_ms")
REPLACED = "stored before the source revised it"
DIFFERS = "differs from the stored bar"
CONTEXT_BARS = 4
CONTEXT_AGE_BARS = 48  # an older close says nothing about the next price
DISAGREEMENT = 0.5  # fraction of shared bars above which a file is not about these bars
FEWEST_SHARED = 24


@dataclass(frozen=True, slots=True)
class Table:
    """A table of bars, and what its rows must and may hold."""

    model: type[Bar] | type[Kline]
    required: tuple[str, ...]
    optional: tuple[str, ...]
    integers: frozenset[str]
    compared: tuple[str, ...]  # two rows that agree in these are the same bar

    @property
    def name(self) -> str:
        return self.model._meta.db_table

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.required, *self.optional)


RATES = Table(
    model=Bar,
    required=(*PRICES, "tick_volume"),
    optional=("spread", "real_volume"),
    integers=frozenset({"tick_volume", "spread", "real_volume"}),
    compared=(*PRICES, "tick_volume"),
)
KLINES = Table(
    model=Kline,
    required=(*PRICES, "volume"),
    optional=("close_ms", "quote_volume", "n_trades", "taker_buy_base_volume", "taker_buy_quote_volume"),
    integers=frozenset({"close_ms", "n_trades"}),
    compared=(*PRICES, "volume", "taker_buy_base_volume"),  # not quote_volume: some sources round it
)
TABLES = {"rates": RATES, "klines": KLINES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What became of the rows that were given."""

    inserted: int = 0
    changed: int = 0
    unchanged: int = 0
    quarantined: dict[str, int] = field(default_factory=dict)  # rows by reason
    differing: tuple[int, ...] = ()  # open times of bars that were stored differently before

    @property
    def n_quarantined(self) -> int:
        return sum(self.quarantined.values())


def store_rows(
    table: Table,
    symbol: str,
    raw: RawBars,
    *,
    interval: str,
    source: str,
    now_ms: int,
    replace: bool,
    dry_run: bool = False,
) -> Stored:
    """Check raw rows, write the good ones and quarantine the others, in one transaction.

    Parameters
    ----------
    source : str
        Who brought the rows, for the quarantine.
    now_ms : int
        Market time: bars that end later are unfinished.
    replace : bool
        Whether ``raw`` or the stored bar is right where they differ: True for a venue's own feed.
    dry_run : bool, default=False
        Say what would happen, and change nothing.

    Raises
    ------
    BarsError
        If ``replace`` is False and most bars that both have differ: another symbol, or another time zone.
    """
    with transaction.atomic():
        checked = check_rows(raw, interval=interval, now_ms=now_ms, before=_closes_before(table, symbol, interval, raw))
        bad = list(zip(_as_json(checked.bad), checked.reasons, strict=True))
        good = checked.good
        first, last = (int(good.open_ms[0]), int(good.open_ms[-1])) if len(good) else (1, 0)
        before = stored_rows(table, symbol, interval, since_ms=first, until_ms=last)
        differs = _differing(table, good, before)
        if not replace:
            _refuse_strangers(symbol, differs, n_shared=int(np.isin(good.open_ms, before.open_ms).sum()))
        bad += _losers(good, before, good.open_ms[differs], replace=replace)
        written = good if replace else good.take(~differs)
        counts = _upsert(table, symbol, interval, written, replace=replace)
        quarantine(bad, source=source, symbol=symbol, interval=interval)
        if dry_run:
            transaction.set_rollback(True)
    return Stored(
        **counts, quarantined=_by_reason(reason for _, reason in bad), differing=tuple(good.open_ms[differs].tolist())
    )


def stored_rows(table: Table, symbol: str, interval: str, *, since_ms: int, until_ms: int) -> RawBars:
    """Return the stored rows that open in ``[since_ms, until_ms]``, oldest first."""
    quoted = ", ".join(_quoted(("open_ms", *table.columns)))
    query = (
        f"SELECT {quoted} FROM {table.name} "  # noqa: S608  # names of our own model
        'WHERE symbol = %s AND "interval" = %s AND open_ms BETWEEN %s AND %s ORDER BY open_ms'
    )
    with connection.cursor() as cursor:
        cursor.execute(query, [symbol, interval, since_ms, until_ms])
        rows = cursor.fetchall()
    matrix = np.array(rows, dtype=np.float64).reshape(len(rows), 1 + len(table.columns))
    values = dict(zip(table.columns, matrix[:, 1:].T, strict=True))
    return RawBars(matrix[:, 0].astype(np.int64), values)


def quarantine(rows: Sequence[tuple[dict[str, Any], str]], *, source: str, symbol: str, interval: str) -> None:
    """Keep rows that are not bars, each once, however often it is brought."""
    QuarantinedRow.objects.bulk_create(
        [
            QuarantinedRow(
                source=source[:120],
                symbol=symbol,
                interval=interval,
                open_ms=row.get("open_ms"),
                open_text=_open_text(row)[:64],
                reason=reason,
                row=row,
                digest=hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest(),
            )
            for row, reason in rows
        ],
        ignore_conflicts=True,
        batch_size=500,
    )


def _open_text(row: dict[str, Any]) -> str:
    """Return the time of a row that has none in UTC, as its source wrote it."""
    if "open_text" in row or row.get("server_s") is None:
        return str(row.get("open_text", ""))
    return f"server time {from_ms(int(row['server_s']) * 1000):%Y-%m-%d %H:%M}"


def _upsert(table: Table, symbol: str, interval: str, rows: RawBars, *, replace: bool) -> dict[str, int]:
    """Write the rows and return how many were inserted, changed and left unchanged."""
    if not len(rows):
        return {"inserted": 0, "changed": 0, "unchanged": 0}
    brought = [name for name in table.optional if name in rows.columns and not np.isnan(rows[name]).all()]
    columns = (*table.required, *brought)
    values = [_as_parameters(rows[name], is_integer=name in table.integers) for name in columns]
    span = (symbol, interval, int(rows.open_ms[0]), int(rows.open_ms[-1]))
    with connection.cursor() as cursor:
        n_before = _count(cursor, table, span)
        _write(cursor, table, columns, (symbol, interval, rows.open_ms.tolist(), values), replace=replace)
        n_written = cursor.rowcount
        inserted = _count(cursor, table, span) - n_before
    return {"inserted": inserted, "changed": n_written - inserted, "unchanged": len(rows) - n_written}


def _write(
    cursor: Any,
    table: Table,
    columns: Sequence[str],
    rows: tuple[str, str, list[int], list[list[Any]]],
    *,
    replace: bool,
) -> None:
    """Send all rows at once: as arrays where the database has them (five times as fast there), else one by one."""
    symbol, interval, open_ms, values = rows
    if connection.vendor == "postgresql":
        arrays = [
            "%s::bigint[]" if name in {"open_ms", *table.integers} else "%s::float8[]" for name in ("open_ms", *columns)
        ]
        source = f"SELECT %s, %s, given.* FROM unnest({', '.join(arrays)}) AS given"  # noqa: S608  # no values in it
        cursor.execute(_upsert_sql(table, columns, source, replace=replace), [symbol, interval, open_ms, *values])
    else:
        source = f"VALUES ({', '.join(['%s'] * (len(KEY) + len(columns)))})"
        tuples = [(symbol, interval, *row) for row in zip(open_ms, *values, strict=True)]
        cursor.executemany(_upsert_sql(table, columns, source, replace=replace), tuples)


def _upsert_sql(table: Table, columns: Sequence[str], source: str, *, replace: bool) -> str:
    """Return the statement; ``replace`` says whose value stands where both have one."""
    pairs = [(f"{table.name}.{name}", f"excluded.{name}") for name in _quoted(columns)]
    kept = [f"COALESCE({new}, {old})" if replace else f"COALESCE({old}, {new})" for old, new in pairs]
    stored = ", ".join(old for old, _ in pairs)
    assignments = ", ".join(f"{name} = {value}" for name, value in zip(_quoted(columns), kept, strict=True))
    differ = "IS NOT" if connection.vendor == "sqlite" else "IS DISTINCT FROM"  # SQLite knows the latter since 3.39
    return (
        f"INSERT INTO {table.name} ({', '.join(_quoted((*KEY, *columns)))}) {source} "  # noqa: S608  # our own names
        f"ON CONFLICT ({', '.join(_quoted(KEY))}) DO UPDATE SET {assignments} "
        f"WHERE ({stored}) {differ} ({', '.join(kept)})"
    )


def _count(cursor: Any, table: Table, span: tuple[str, str, int, int]) -> int:
    query = (
        f"SELECT COUNT(*) FROM {table.name} "  # noqa: S608  # the name of our own model
        'WHERE symbol = %s AND "interval" = %s AND open_ms BETWEEN %s AND %s'
    )
    cursor.execute(query, span)
    return int(cursor.fetchone()[0])


def _quoted(names: Iterable[str]) -> list[str]:
    return [connection.ops.quote_name(name) for name in names]


def _as_parameters(column: Floats, *, is_integer: bool) -> list[Any]:
    """Return a column as the numbers that drivers take: NaN is NULL."""
    absent = np.isnan(column)
    present = np.where(absent, 0, column)
    numbers: list[Any] = present.astype(np.int64).tolist() if is_integer else present.tolist()
    if not absent.any():
        return numbers
    return [None if gone else number for gone, number in zip(absent.tolist(), numbers, strict=True)]


def _closes_before(table: Table, symbol: str, interval: str, raw: RawBars) -> Floats:
    """Return the last stored closes shortly before the rows, oldest first."""
    placed = raw.open_ms[raw.open_ms != NO_TIME]
    if not len(placed):
        return np.empty(0)
    first = int(placed.min())
    oldest = first - CONTEXT_AGE_BARS * INTERVAL_MS[interval]
    stored: models.QuerySet[Any] = table.model._default_manager.filter(
        symbol=symbol, interval=interval, open_ms__lt=first, open_ms__gte=oldest
    )
    closes = list(stored.order_by("-open_ms").values_list("close", flat=True)[:CONTEXT_BARS])
    return np.array(closes[::-1], dtype=np.float64)


def _differing(table: Table, rows: RawBars, before: RawBars) -> Flags:
    """Return which rows are stored with other values; what either side lacks is no difference."""
    differs = np.zeros(len(rows), bool)
    shared, at, at_before = np.intersect1d(rows.open_ms, before.open_ms, assume_unique=True, return_indices=True)
    for name in table.compared if len(shared) else ():
        if name in rows.columns:
            new, old = rows[name][at], before[name][at_before]
            differs[at] |= np.abs(new - old) > FLOAT_SLACK * np.abs(old)  # NaN compares false
    return differs


def _refuse_strangers(symbol: str, differs: Flags, *, n_shared: int) -> None:
    n_differing = int(differs.sum())
    if n_shared >= FEWEST_SHARED and n_differing > DISAGREEMENT * n_shared:
        raise BarsError(
            f"{n_differing} of the {n_shared} bars that are already stored for {symbol} differ in the file: is it "
            "another symbol, interval or time zone? Nothing was imported; --replace takes the file's bars"
        )


def _losers(rows: RawBars, before: RawBars, open_ms: Ints, *, replace: bool) -> list[tuple[dict[str, Any], str]]:
    """Return the versions that do not stand of the bars that differ, with the reason."""
    loser, reason = (before, REPLACED) if replace else (rows, DIFFERS)
    return [(row, reason) for row in _as_json(loser.take(np.isin(loser.open_ms, open_ms)))]


def _as_json(rows: RawBars) -> list[dict[str, Any]]:
    return [rows.row(i) for i in range(len(rows))]


def _by_reason(reasons: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for reason in reasons:
        counts[reason] = counts.get(reason, 0) + 1
    return counts
