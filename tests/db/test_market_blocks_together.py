"""Processes that write and read at once: each read is one committed state, and never an older one than the last."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from threading import Thread

import numpy as np
import pytest
from django.db import connection, connections, transaction

from market.models import BLOCK_MS, Bar, SeriesBlock
from market.raw import RawBars
from market.reading import read_mtbars
from market.store import store_rows
from market.tables import RATES
from market.windows import LAST_READS
from ops import clock
from tests.market_blocks_builders import assert_same_bits, empty_blocks, rows_by_hand
from tests.market_builders import HOUR_MS, StoppedClock, ms

pytestmark = pytest.mark.django_db(transaction=True)

SPAN = BLOCK_MS["1h"]
FIRST = ms("2025-01-01T00:00") // SPAN * SPAN
N_VERSIONS = 40
N_READERS = 2
PAUSE_S = 30.0  # a test that hangs ends


def version(number: int) -> RawBars:
    """Return the bars of a version in three blocks: each says which one it is, and how many there are follows."""
    opens = [FIRST + block * SPAN + hour * HOUR_MS for block in (0, 1, 2) for hour in range(5 + number % 7)]
    price = np.full(len(opens), 1.0 + number)
    columns = dict.fromkeys(("open", "high", "low", "close", "tick_volume"), price)
    return RawBars(np.array(opens, np.int64), columns)


def by_store(number: int) -> None:
    """Replace the bars as a feed does, and take those away that the version lacks."""
    raw = version(number)
    with transaction.atomic():
        store_rows(RATES, "BTCUSD", raw, interval="1h", source="t", now_ms=2 * FIRST, replace=True)
        Bar.objects.exclude(open_ms__in=raw.open_ms.tolist()).delete()


def by_sql(number: int) -> None:
    """Replace the bars past our code: one statement after the other, in one transaction."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM market_bar")
        cursor.executemany(
            'INSERT INTO market_bar (symbol, "interval", open_ms, open, high, low, close, tick_volume) '
            "VALUES ('BTCUSD', '1h', %s, %s, %s, %s, %s, 1)",
            [(open_ms, *[1.0 + number] * 4) for open_ms in version(number).open_ms.tolist()],
        )


def by_update(number: int) -> None:
    """Change all bars in place, which keeps how many there are, and lose blocks in between as anybody may."""
    with transaction.atomic():
        by_sql(number - 1)
        empty_blocks()
        by_store(number)


def write(ended: multiprocessing.synchronize.Event) -> None:
    for number in range(1, N_VERSIONS):
        (by_store, by_sql, by_update)[number % 3](number)
    ended.set()


def read(ended: multiprocessing.synchronize.Event) -> int:
    """Read until the writer has ended, and return how many versions were seen."""
    seen = [0]
    while not ended.is_set() or seen[-1] < N_VERSIONS - 1:
        bars = read_mtbars("BTCUSD")
        assert bars["close"].nunique() == 1, "bars of two versions"
        number = int(bars["close"].iloc[0]) - 1
        assert len(bars) == len(version(number)), f"{len(bars)} bars of version {number}"
        assert number >= seen[-1], "an older version than before"
        if number > seen[-1]:
            seen.append(number)
    return len(seen)


def in_process(work: Callable[..., object], *arguments: object) -> multiprocessing.Process:
    """Start a process with connections of its own."""

    def run() -> None:
        connections.close_all()
        LAST_READS.forget()
        work(*arguments)

    process = multiprocessing.get_context("fork").Process(target=run, daemon=True)
    process.start()
    return process


class Reader(Thread):
    """Reads in a thread of this process, which shares what it has read with the others."""

    def __init__(self, ended: multiprocessing.synchronize.Event) -> None:
        super().__init__(daemon=True)
        self.ended, self.n_seen = ended, 0

    def run(self) -> None:
        try:
            self.n_seen = read(self.ended)
        finally:
            connections.close_all()


@pytest.fixture(autouse=True)
def now():
    LAST_READS.forget()
    with clock.use(StoppedClock("2026-06-01T00:00")) as stopped:
        yield stopped


def test_whoever_reads_while_somebody_writes_sees_one_version_and_none_twice():
    by_store(0)
    connections.close_all()
    ended = multiprocessing.get_context("fork").Event()
    other = in_process(read, ended)
    writer = in_process(write, ended)
    readers = [Reader(ended) for _ in range(N_READERS)]
    for reader in readers:
        reader.start()
    for each in (writer, *readers, other):
        each.join(PAUSE_S)

    assert (writer.exitcode, other.exitcode) == (0, 0)
    assert all(reader.n_seen > 1 for reader in readers)
    assert_same_bits(read_mtbars("BTCUSD"), rows_by_hand(Bar, "BTCUSD"))


def test_a_change_that_is_made_while_a_block_is_made_is_in_it_or_drops_it(monkeypatch):
    """The moment that matters: rows are read for a block, a change is committed, the block is kept."""
    from market import blocks

    by_store(0)
    empty_blocks()
    cut, writers = blocks._cut, []

    def slow(*arguments):
        made = list(cut(*arguments))
        writers.append(Thread(target=lambda: (by_sql(1), connections.close_all())))
        writers[-1].start()
        writers[-1].join(0.3)  # long enough for a writer that nothing holds back
        return iter(made)

    monkeypatch.setattr(blocks, "_cut", slow)
    read_mtbars("BTCUSD")
    monkeypatch.setattr(blocks, "_cut", cut)
    for writer in writers:
        writer.join(PAUSE_S)

    assert_same_bits(read_mtbars("BTCUSD"), rows_by_hand(Bar, "BTCUSD"))
    LAST_READS.forget()
    assert_same_bits(read_mtbars("BTCUSD"), rows_by_hand(Bar, "BTCUSD"))
    assert SeriesBlock.objects.exists()
