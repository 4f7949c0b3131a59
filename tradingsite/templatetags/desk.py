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

from market.errors import BarsError
from market.intervals import INTERVAL_MS, NO_TIME
from market.models import QuarantinedRow, from_ms
from market.quality import FLOAT_SLACK, check_rows
from market.raw import Flags, Floats, Ints, RawBars
from market.tables import Table, stored_rows, upsert

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
        counts = upsert(table, symbol, interval, written, replace=replace)
        quarantine(bad, source=source, symbol=symbol, interval=interval)
        if dry_run:
            transaction.set_rollback(True)
    return Stored(
        **counts,
        quarantined=dict(Counter(reason for _, reason in bad)),
        differing=tuple(good.open_ms[differs].tolist()),
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


def _closes_before(table: Table, symbol: str, interval: str, raw: RawBars) -> Floats:
    """Return the last stored closes shortly before the rows, oldest first."""
    placed = raw.open_ms[raw.open_ms != NO_TIME]
    if not len(placed):
        return np.empty(0)
    first = int(placed.min())
    oldest = first - CONTEXT_AGE_BARS * INTERVAL_MS[interval]
    stored = table.model._default_manager.filter(
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
