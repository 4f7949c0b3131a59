"""Blocks are what the rows are, whoever changes a row and however."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from django.apps import apps
from django.db import connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from market import blocks, windows
from market.models import BLOCK_MS, Bar, Kline, SeriesBlock
from market.reading import read_mtbars
from market.services import data_status, default_symbols, joined_bars, read_klines
from market.status import check_data
from market.store import store_rows
from market.tables import KLINES, RATES, Series
from market.windows import LAST_READS, LastReads, read_window
from ops import clock
from tests.market_blocks_builders import assert_reads_are_rows, empty_blocks, joined_by_hand, rows_by_hand
from tests.market_builders import HOUR_MS, StoppedClock, change, make_raw, ms

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

SPAN = BLOCK_MS["1h"]
START = ms("2025-01-01T00:00") // SPAN * SPAN
N_BARS = 2500  # three blocks
END = START + N_BARS * HOUR_MS
SERIES = Series(RATES, "BTCUSD", "1h")
on_sqlite = pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite's own statement")
on_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL's own statement")


@pytest.fixture(autouse=True)
def now():
    LAST_READS.forget()
    with clock.use(StoppedClock(f"{pd.Timestamp(END, unit='ms').isoformat()}")) as stopped:
        yield stopped


@pytest.fixture
def stored():
    default_symbols()
    for table, name, raw in (
        (RATES, "BTCUSD", make_raw(N_BARS, start=START, klines=False)),
        (KLINES, "BTCUSDT", make_raw(N_BARS, start=START)),
    ):
        store_rows(table, name, raw, interval="1h", source="t", now_ms=END, replace=True)


def numbers(kind="rates") -> list[int]:
    made = SeriesBlock.objects.filter(kind=kind).order_by("number")
    return [number - START // SPAN for number in made.values_list("number", flat=True)]


def execute(query: str, *parameters) -> None:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)


def new_bar(symbol: str, open_ms: int, **fields) -> Bar:
    prices = {"open": 100, "high": 102, "low": 99, "close": 101, "tick_volume": 7}
    return Bar(symbol=symbol, interval="1h", open_ms=open_ms, **(prices | fields))


# --- made and kept ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("stored")
def test_what_is_stored_has_its_blocks_at_once():
    assert numbers() == numbers("klines") == [0, 1, 2]
    with CaptureQueriesContext(connection) as queries:
        joined_bars("BTCUSD")
    assert {query["sql"].split()[0] for query in queries} <= {"SELECT", "COPY"}


@pytest.mark.usefixtures("stored")
def test_a_read_is_the_rows_bit_for_bit(now):
    assert_reads_are_rows("BTCUSD", "BTCUSDT")
    for hours in (1, 700, 1476, 1477, 2499):
        assert_reads_are_rows("BTCUSD", "BTCUSDT", until=now.now - timedelta(hours=hours), limit=1100)


@pytest.mark.django_db(transaction=True)
def test_the_first_read_of_bars_from_elsewhere_makes_their_blocks(stored):
    empty_blocks()

    first = joined_bars("BTCUSD")
    assert numbers() == numbers("klines") == [0, 1, 2]

    LAST_READS.forget()
    pd.testing.assert_frame_equal(joined_bars("BTCUSD"), first, check_exact=True)
    assert_reads_are_rows("BTCUSD", "BTCUSDT")


@pytest.mark.usefixtures("stored")
def test_a_read_with_nothing_new_is_one_statement_a_series_and_fetches_no_block(monkeypatch):
    joined_bars("BTCUSD")
    monkeypatch.setattr(windows, "load_blocks", None)

    with CaptureQueriesContext(connection) as queries:
        joined_bars("BTCUSD")
        joined_bars("BTCUSD", limit=10)

    assert len(queries) == 2 * 3  # the register of symbols, rates, klines


@pytest.mark.django_db(transaction=True)
def test_a_new_bar_makes_and_fetches_one_block(stored, now, monkeypatch):
    asked = []
    load = windows.load_blocks
    joined_bars("BTCUSD")
    monkeypatch.setattr(windows, "load_blocks", lambda series, entries: asked.append(entries) or load(series, entries))
    now.pass_by(timedelta(hours=1))
    new = make_raw(1, start=END, klines=False)
    store_rows(RATES, "BTCUSD", new, interval="1h", source="t", now_ms=END + HOUR_MS, replace=True)

    bars = joined_bars("BTCUSD")

    assert bars.index[-1] == pd.Timestamp(END, unit="ms", tz="UTC")
    assert np.isnan(bars["volume"].iloc[-1])
    assert [[entry.number - START // SPAN for entry in entries] for entries in asked] == [[2]]
    assert_reads_are_rows("BTCUSD", "BTCUSDT")


@pytest.mark.usefixtures("stored")
def test_storing_the_same_again_leaves_the_blocks_alone():
    before = list(SeriesBlock.objects.order_by("id").values_list("id", "checksum"))

    raw = make_raw(N_BARS, start=START, klines=False)
    store_rows(RATES, "BTCUSD", raw, interval="1h", source="t", now_ms=END, replace=True)

    assert list(SeriesBlock.objects.order_by("id").values_list("id", "checksum")) == before


@pytest.mark.usefixtures("stored")
def test_the_state_counts_bars_with_and_without_blocks():
    counted = data_status(["BTCUSD"])
    assert [(each.table, each.n_bars) for each in counted] == [("rates", N_BARS), ("klines", N_BARS)]

    empty_blocks()
    assert data_status(["BTCUSD"]) == counted


def test_long_gaps_and_short_limits_are_read_across():
    opens = np.array([START, START + 5 * SPAN, START + 40 * SPAN, START + 41 * SPAN - HOUR_MS, START + 90 * SPAN])
    raw = make_raw(5, klines=False)
    raw.open_ms[:] = opens
    last = START + 90 * SPAN + HOUR_MS
    store_rows(RATES, "BTCUSD", raw, interval="1h", source="t", now_ms=last, replace=True)
    with clock.use(StoppedClock(f"{pd.Timestamp(last, unit='ms').isoformat()}")):
        for limit in (1, 2, 3, 4, 5, 6, None):
            LAST_READS.forget()
            assert len(read_mtbars("BTCUSD", limit)) == min(5, limit or 5)
            pd.testing.assert_frame_equal(read_mtbars("BTCUSD", limit), rows_by_hand(Bar, "BTCUSD").tail(limit or 5))


@pytest.mark.parametrize("step", [2, 3, 7, 500])
def test_a_market_that_is_closed_most_of_the_time_gives_as_many_bars_as_are_asked_for(step):
    raw = make_raw(1500, klines=False)
    raw.open_ms[:] = START + step * HOUR_MS * np.arange(1500)
    last = int(raw.open_ms[-1]) + HOUR_MS
    store_rows(RATES, "BTCUSD", raw, interval="1h", source="t", now_ms=last, replace=True)
    with clock.use(StoppedClock(f"{pd.Timestamp(last, unit='ms').isoformat()}")):
        assert [len(read_mtbars("BTCUSD", limit)) for limit in (700, 1499, 1500, 1501)] == [700, 1499, 1500, 1500]


@pytest.mark.usefixtures("stored")
def test_a_history_that_ended_long_ago_is_read_all_the_same(now):
    now.pass_by(timedelta(days=4000))

    assert len(read_mtbars("BTCUSD", 8760)) == N_BARS
    assert len(joined_bars("BTCUSD", limit=10)) == 10


@pytest.mark.usefixtures("stored")
def test_a_moment_before_the_first_bar_has_none(now):
    assert len(read_mtbars("BTCUSD", until=now.now - timedelta(days=1000))) == 0
    assert len(read_klines("BTCUSDT", since=now.now + timedelta(days=1))) == 0
    assert len(read_klines("BTCUSDT", limit=0)) == 0


# --- whoever changes a row -------------------------------------------------------------------------------------------

AT = START + SPAN + 7 * HOUR_MS  # in the second block
STATEMENTS = {
    "update": ("UPDATE market_bar SET close = close + 0.5 WHERE open_ms = %s", [AT], [1]),
    "update of many": ("UPDATE market_bar SET close = close + 0.5 WHERE open_ms < %s", [AT], [0, 1]),
    "delete": ("DELETE FROM market_bar WHERE open_ms = %s", [AT], [1]),
    "delete all": ("DELETE FROM market_bar", [], [0, 1, 2]),
    "move in time": ("UPDATE market_bar SET open_ms = open_ms + 60000 WHERE open_ms = %s", [AT], [1]),
    "move to another block": (
        "UPDATE market_bar SET open_ms = %s WHERE open_ms = %s",
        [START + 2 * SPAN + 1, START + HOUR_MS],
        [0, 2],
    ),
    "move to another symbol": ("UPDATE market_bar SET symbol = 'ETHUSD' WHERE open_ms = %s", [AT], [1]),
    "move to another interval": ("UPDATE market_bar SET \"interval\" = '4h' WHERE open_ms = %s", [AT], [1]),
    "null": ("UPDATE market_bar SET spread = NULL WHERE open_ms = %s", [AT], [1]),
}
COLUMNS = 'symbol, "interval", open_ms, open, high, low, close, tick_volume'
SQLITE_STATEMENTS = {
    "insert or replace": (
        f"INSERT OR REPLACE INTO market_bar ({COLUMNS}) VALUES ('BTCUSD', '1h', %s, 100, 102, 99, 101, 7)",
        [AT],
        [1],
    ),
    "replace a row by its id": (
        f"INSERT OR REPLACE INTO market_bar (id, {COLUMNS}) "
        "SELECT id, 'ETHUSD', '1h', open_ms, 100, 102, 99, 101, 7 FROM market_bar WHERE open_ms = %s",
        [AT],
        [1],
    ),
    "push a row out by its time": (
        "UPDATE OR REPLACE market_bar SET open_ms = %s WHERE open_ms = %s",
        [AT, START + HOUR_MS],
        [0, 1],
    ),
    "push a row out by its id": (
        "UPDATE OR REPLACE market_bar SET id = (SELECT id FROM market_bar WHERE open_ms = %s) WHERE open_ms = %s",
        [AT, START + HOUR_MS],
        [0, 1],
    ),
    "push a row out by its rowid": (
        "UPDATE OR REPLACE market_bar SET rowid = (SELECT id FROM market_bar WHERE open_ms = %s) WHERE open_ms = %s",
        [AT, START + HOUR_MS],
        [0, 1],
    ),
    "insert or ignore": (
        f"INSERT OR IGNORE INTO market_bar ({COLUMNS}) VALUES ('BTCUSD', '1h', %s, 100, 102, 99, 101, 7)",
        [AT + 60_000],
        [1],
    ),
}


def check_statement(query: str, parameters: list[int], dropped: list[int]) -> None:
    assert_reads_are_rows("BTCUSD", "BTCUSDT")

    execute(query, *parameters)

    assert numbers() == [number for number in (0, 1, 2) if number not in dropped]
    assert numbers("klines") == [0, 1, 2]
    assert_reads_are_rows("BTCUSD", "BTCUSDT")
    assert_reads_are_rows("ETHUSD", "ETHUSDT")


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_past_all_our_code_drops_the_blocks_that_it_touches_and_no_other(name):
    check_statement(*STATEMENTS[name])


@on_sqlite
@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("name", SQLITE_STATEMENTS)
def test_sqlites_replacing_statements_drop_the_blocks_of_what_they_replace(name):
    check_statement(*SQLITE_STATEMENTS[name])


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_emptying_a_table_at_once_drops_its_blocks(stored):
    execute("TRUNCATE market_bar")

    assert numbers() == []
    assert numbers("klines") == [0, 1, 2]
    assert len(read_mtbars("BTCUSD")) == 0


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_a_writer_that_cannot_see_new_blocks_is_refused(stored):
    from django.db import DatabaseError

    with (  # noqa: PT012  # the isolation is chosen inside the transaction
        pytest.raises(DatabaseError, match="read committed, this one was repeatable read"),
        transaction.atomic(),
    ):
        execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        execute("UPDATE market_bar SET close = close + 0.5")


@pytest.mark.usefixtures("stored")
def test_an_inserted_row_drops_the_block_that_lacks_it():
    Bar.objects.filter(open_ms=AT).delete()
    assert_reads_are_rows("BTCUSD", "BTCUSDT")
    empty = Series(RATES, "ETHUSD", "1h")
    blocks.make_blocks(empty, [START // SPAN])

    new_bar("BTCUSD", AT).save()
    new_bar("ETHUSD", START).save()

    assert_reads_are_rows("BTCUSD", "BTCUSDT")
    assert_reads_are_rows("ETHUSD", "ETHUSDT")


@pytest.mark.usefixtures("stored")
def test_what_the_orm_does_is_seen(now):
    assert_reads_are_rows("BTCUSD", "BTCUSDT")
    bar = Bar.objects.get(open_ms=AT)
    bar.close += 0.5
    bar.save()
    Kline.objects.filter(open_ms__lt=START + SPAN).update(taker_buy_base_volume=None)
    Kline.objects.filter(open_ms__gt=END - 5 * HOUR_MS).delete()

    assert_reads_are_rows("BTCUSD", "BTCUSDT")


@pytest.mark.usefixtures("stored")
def test_rows_that_are_gone_from_either_end_are_not_remembered():
    assert_reads_are_rows("BTCUSD", "BTCUSDT")

    Kline.objects.filter(open_ms__lt=START + SPAN).delete()
    assert_reads_are_rows("BTCUSD", "BTCUSDT")
    Bar.objects.filter(open_ms__lt=START + SPAN).delete()
    assert_reads_are_rows("BTCUSD", "BTCUSDT")
    Bar.objects.filter(open_ms__gte=START + 2 * SPAN).delete()
    assert_reads_are_rows("BTCUSD", "BTCUSDT")


@pytest.mark.usefixtures("stored")
def test_what_is_rolled_back_was_never_there():
    before = joined_bars("BTCUSD")
    with transaction.atomic():
        Bar.objects.filter(open_ms=AT).update(close=F("close") + 0.5)
        raw = change(make_raw(20, start=AT, klines=False), 3, close=103.5)
        store_rows(RATES, "BTCUSD", raw, interval="1h", source="t", now_ms=END, replace=True)
        assert_reads_are_rows("BTCUSD", "BTCUSDT")
        assert not joined_bars("BTCUSD").equals(before)
        transaction.set_rollback(True)

    assert_reads_are_rows("BTCUSD", "BTCUSDT")
    pd.testing.assert_frame_equal(joined_bars("BTCUSD"), before, check_exact=True)


@pytest.mark.usefixtures("stored")
def test_a_dry_run_leaves_blocks_as_they_were():
    before = list(SeriesBlock.objects.order_by("id").values_list("id", "checksum"))

    raw = change(make_raw(20, start=AT, klines=False), 3, close=103.5)
    store_rows(RATES, "BTCUSD", raw, interval="1h", source="t", now_ms=END, replace=True, dry_run=True)

    assert list(SeriesBlock.objects.order_by("id").values_list("id", "checksum")) == before
    assert_reads_are_rows("BTCUSD", "BTCUSDT")


# --- blocks that are lost, damaged or false --------------------------------------------------------------------------


@pytest.mark.usefixtures("stored")
def test_blocks_may_be_deleted_at_any_time():
    SeriesBlock.objects.filter(number=START // SPAN + 1).delete()
    assert_reads_are_rows("BTCUSD", "BTCUSDT")

    LAST_READS.forget()
    empty_blocks()
    assert_reads_are_rows("BTCUSD", "BTCUSDT")


@pytest.mark.django_db(transaction=True)
def test_a_block_that_goes_between_two_looks_is_made_again(stored, monkeypatch):
    load = windows.load_blocks

    def late(series, entries):
        monkeypatch.setattr(windows, "load_blocks", load)
        Bar.objects.filter(open_ms=AT).update(close=F("close") + 0.5)
        return load(series, entries)

    monkeypatch.setattr(windows, "load_blocks", late)

    assert_reads_are_rows("BTCUSD", "BTCUSDT")
    assert numbers() == [0, 1, 2]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("damage", [lambda data: data[:-8], lambda data: data[:80] + b"\1" + data[81:]])
def test_a_damaged_block_is_not_believed_and_made_again(stored, damage):
    block = SeriesBlock.objects.get(kind="rates", number=START // SPAN + 1)
    whole = bytes(block.data)
    SeriesBlock.objects.filter(pk=block.pk).update(data=damage(whole))

    assert_reads_are_rows("BTCUSD", "BTCUSDT")

    assert bytes(SeriesBlock.objects.get(pk=block.pk).data) == whole


@pytest.mark.usefixtures("stored")
def test_where_blocks_cannot_be_written_the_rows_are_read(monkeypatch):
    empty_blocks()
    monkeypatch.setattr(windows, "make_blocks", lambda series, numbers: {})

    assert read_window(SERIES, since_ms=0, newest_ms=END, limit=None) is None
    assert_reads_are_rows("BTCUSD", "BTCUSDT")


@pytest.mark.usefixtures("stored")
def test_a_database_that_takes_no_writes_makes_no_blocks(monkeypatch):
    from django.db import OperationalError

    def locked(series, made):
        raise OperationalError("database is locked")

    monkeypatch.setattr(blocks, "_keep", locked)
    empty_blocks()

    assert blocks.make_blocks(SERIES, [START // SPAN]) == {}
    assert_reads_are_rows("BTCUSD", "BTCUSDT")


@pytest.mark.usefixtures("stored")
def test_other_columns_are_another_block():
    entries = list(blocks.read_directory(SERIES, 0, END // SPAN).entries.values())
    assert len(blocks.load_blocks(SERIES, entries)) == 3
    other = replace(RATES, read=RATES.read[::-1])

    assert blocks.load_blocks(replace(SERIES, table=other), entries) == {}


@pytest.mark.usefixtures("stored")
def test_a_check_finds_blocks_that_are_not_their_rows():
    assert not [finding for finding in check_data(["BTCUSD"]) if finding.kind == "block"]
    one, other = SeriesBlock.objects.filter(kind="rates").order_by("number")[:2]
    SeriesBlock.objects.filter(pk=other.pk).update(data=one.data, n_bars=one.n_bars, checksum=one.checksum)

    [found] = [finding for finding in check_data(["BTCUSD"]) if finding.kind == "block"]

    assert found.open_at == pd.Timestamp(START + SPAN, unit="ms", tz="UTC")


def test_loading_a_dump_loads_blocks_before_the_bars_that_drop_them():
    names = [model.__name__ for model in apps.get_app_config("market").get_models()]

    assert names.index("SeriesBlock") < min(names.index("Bar"), names.index("Kline"))


@on_sqlite
@pytest.mark.django_db(transaction=True)
def test_a_table_that_a_migration_makes_anew_keeps_its_triggers(stored):
    def triggers():
        with connection.cursor() as cursor:
            cursor.execute("SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger' ORDER BY name")
            return cursor.fetchall()

    before = triggers()
    assert len(before) == 12

    with connection.schema_editor() as editor:
        editor._remake_table(Bar)

    assert triggers() == before
    assert numbers() == []  # nobody watched the rows while there were none
    assert_reads_are_rows("BTCUSD", "BTCUSDT")
    execute("UPDATE market_bar SET close = close + 0.5 WHERE open_ms = %s", AT)
    assert_reads_are_rows("BTCUSD", "BTCUSDT")


# --- what is handed out ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("read", [lambda: joined_bars("BTCUSD"), lambda: read_mtbars("BTCUSD", 2000)])
def test_a_frame_belongs_to_the_one_who_asked(read):
    first, untouched = read(), read()
    kept = untouched.copy(deep=True)

    first.iloc[0, 0] = -1.0
    first["close"] = 0.0
    first.loc[first.index[5], "low"] = 7.0
    first.columns.name, first.index.name = "a", "b"
    del first["open"]

    for frame in (untouched, read()):
        pd.testing.assert_frame_equal(frame, kept, check_exact=True)
        assert (frame.columns.name, frame.index.name) == (None, "open_at")


@pytest.mark.usefixtures("stored")
def test_a_bad_bar_is_said_only_where_it_is_read():
    from market.errors import BarsError

    Bar.objects.filter(open_ms=AT).update(high=float("inf"))

    with pytest.raises(BarsError, match=f"1 of {N_BARS} bars were not, first inf"):
        joined_bars("BTCUSD")
    assert len(joined_bars("BTCUSD", limit=100)) == 100


@pytest.mark.usefixtures("stored")
def test_the_windows_used_least_are_forgotten():
    window = read_window(SERIES, since_ms=0, newest_ms=END, limit=None)
    kept = LastReads(most_bytes=5 * N_BARS * 7 * 8)
    for number in range(10):
        kept.put(Series(RATES, f"S{number}", "1h"), window)
        kept.get(Series(RATES, "S0", "1h"))

    assert [kept.get(Series(RATES, f"S{number}", "1h")) is window for number in range(10)] == [
        number in (0, 6, 7, 8, 9) for number in range(10)
    ]


@pytest.mark.usefixtures("stored")
def test_a_join_is_the_join_by_hand():
    pd.testing.assert_frame_equal(joined_bars("BTCUSD"), joined_by_hand("BTCUSD", "BTCUSDT"), check_exact=True)
