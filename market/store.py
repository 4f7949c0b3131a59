"""Put checked bars into the database; bad rows go to quarantine, so that none is lost.

Who is right when a stored bar and a new one differ depends on who brings it. A feed is the venue itself: its
revision replaces the bar, and the old one is kept in quarantine. A file is not: its row goes to quarantine, unless a
person says that the file is right. That is also the one thing that shows bars which a collector recorded unfinished.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from django.db import transaction

from market.blocks import make_blocks
from market.errors import BarsError
from market.intervals import INTERVAL_MS, NO_TIME
from market.models import BLOCK_MS, QuarantinedRow, from_ms
from market.quality import FLOAT_SLACK, check_rows
from market.raw import Flags, Floats, Ints, RawBars, no_rows
from market.tables import Series, Table, stored_rows, upsert

REPLACED = "stored before the source revised it"
DIFFERS = "differs from the stored bar"
CONTEXT_BARS = 4
CONTEXT_AGE_BARS = 48  # an older close says nothing about the next price
DISAGREEMENT = 0.5  # fraction of shared bars above which a file is not about these bars
FEWEST_SHARED = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What became of the rows that were given."""

    inserted: int = 0
    changed: int = 0
    unchanged: int = 0
    quarantined: dict[str, int] = field(default_factory=dict)  # rows by reason
    differing: tuple[int, ...] = ()  # open times of bars that were stored differently before
    newest_ms: int | None = None  # when the newest good row opened

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
    series = Series(table, symbol, interval)
    with transaction.atomic():
        before, closes = _stored_around(series, raw)
        checked = check_rows(raw, interval=interval, now_ms=now_ms, before=closes)
        bad = list(zip(_as_json(checked.bad), checked.reasons, strict=True))
        good = checked.good
        shared = _shared(good, before)
        differs = _differing(table, shared, len(good))
        if not replace:
            _refuse_strangers(symbol, differs, n_shared=len(shared.at))
        bad += _losers(good, before, good.open_ms[differs], replace=replace)
        counts = _write(series, good, shared, stands=np.full(len(good), True) if replace else ~differs, replace=replace)
        quarantine(bad, source=source, symbol=symbol, interval=interval)
        if dry_run:
            transaction.set_rollback(True)
    return Stored(
        **counts,
        quarantined=dict(Counter(reason for _, reason in bad)),
        differing=tuple(good.open_ms[differs].tolist()),
        newest_ms=int(good.open_ms[-1]) if len(good) else None,
    )


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


@dataclass(frozen=True, slots=True, eq=False)
class Shared:
    """Rows that are given and stored: where they are among the given ones, and their values on both sides."""

    at: Ints
    given: RawBars
    stored: RawBars


def _stored_around(series: Series, raw: RawBars) -> tuple[RawBars, Floats]:
    """Return what is stored in the rows' time, and the last closes shortly before, oldest first."""
    placed = raw.open_ms[raw.open_ms != NO_TIME]
    if not len(placed):
        return no_rows(series.table.columns), np.empty(0)
    first, last = int(placed.min()), int(placed.max())
    oldest = first - CONTEXT_AGE_BARS * INTERVAL_MS[series.interval]
    stored = stored_rows(series.table, series.symbol, series.interval, since_ms=oldest, until_ms=last)
    begin = int(np.searchsorted(stored.open_ms, first))
    return stored.take(slice(begin, None)), stored["close"][max(0, begin - CONTEXT_BARS) : begin]


def _shared(rows: RawBars, before: RawBars) -> Shared:
    _, at, at_before = np.intersect1d(rows.open_ms, before.open_ms, assume_unique=True, return_indices=True)
    return Shared(at, rows.take(at), before.take(at_before))


def _differing(table: Table, shared: Shared, n_rows: int) -> Flags:
    """Return which rows are stored with other values; what either side lacks is no difference."""
    differs = np.zeros(n_rows, bool)
    for name in table.compared if len(shared.at) else ():
        if name in shared.given.columns:
            new, old = shared.given[name], shared.stored[name]
            differs[shared.at] |= np.abs(new - old) > FLOAT_SLACK * np.abs(old)  # NaN compares false
    return differs


def _write(series: Series, rows: RawBars, shared: Shared, *, stands: Flags, replace: bool) -> dict[str, int]:
    """Write the rows that stand and bring something, and return how many were inserted, changed and left unchanged.

    Their blocks are made at once: the bars are read soon, by many who then need not write.
    """
    is_new = np.full(len(rows), True)
    is_new[shared.at] = False
    brings = is_new | _completing(series.table, shared, len(rows), replace=replace)
    written = rows.take(brings & stands)
    if len(written):
        upsert(series.table, series.symbol, series.interval, written, replace=replace)
        make_blocks(series, np.unique(written.open_ms // BLOCK_MS[series.interval]).tolist())
    inserted = int(is_new.sum())
    return {
        "inserted": inserted,
        "changed": len(written) - inserted,
        "unchanged": int(stands.sum()) - len(written),
    }


def _completing(table: Table, shared: Shared, n_rows: int, *, replace: bool) -> Flags:
    """Return which rows change a stored one: a value that it lacks or, if ``replace``, another one."""
    brings = np.zeros(n_rows, bool)
    for name in table.columns:
        if name in shared.given.columns:
            new, old = shared.given[name], shared.stored[name]
            other = (new != old) if replace else np.isnan(old)  # a number is not NaN, too
            brings[shared.at] |= other & ~np.isnan(new)
    return brings


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
