"""Files of bars that are none, or not what they are said to be: a line says so, and what was stored stays."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pytest

from market.models import Kline, QuarantinedRow
from market.symbols import default_symbols
from ops import clock
from tests.command_line import manage
from tests.market_builders import HOUR_MS, MONDAY, StoppedClock

pytestmark = pytest.mark.django_db(transaction=True)
N_STORED = 48
HEADER = "open_time,open,high,low,close,volume"


@pytest.fixture(autouse=True)
def stored(tmp_path):
    """Store two days of BTCUSD, and hold them after the test against what they were."""
    default_symbols()
    with clock.use(StoppedClock("2025-07-01T00:00")):
        assert manage("data_import", written(tmp_path / "good.csv", rows(N_STORED)), "--symbol", "BTCUSD").code == 0
        before = list(Kline.objects.order_by("id").values_list())
        yield before
        assert list(Kline.objects.order_by("id").values_list())[:N_STORED] == before


def rows(count: int, *, start: int = MONDAY, price: float = 100.0, step_ms: int = HOUR_MS) -> list[str]:
    """Return rows as Binance publishes them, in microseconds."""
    return [
        f"{start + n * step_ms}000,{price + n},{price + n + 2},{price + n - 1},{price + n + 1},10.5,"
        f"{start + (n + 1) * step_ms - 1}999,1000.1,7,4.5,450.1,0"
        for n in range(count)
    ]


def written(path: Path, lines: Iterable[str]) -> Path:
    path.write_text("\n".join(lines))
    return path


def zipped(text: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("BTCUSDT-1h.csv", text)
    return buffer.getvalue()


def parquet(**columns: list[float]) -> bytes:
    buffer = io.BytesIO()
    pd.DataFrame(columns).to_parquet(buffer)
    return buffer.getvalue()


GOOD = "\n".join(rows(5))
UNREADABLE = {
    "empty": (b"", "begins with nothing: it is empty; known formats: Binance public data"),
    "blank": (b"\n\n", "begins with nothing: it is empty; known formats: Binance public data"),
    "text": (b"dear diary", "begins with 'dear diary'; known formats: Binance public data"),
    "other columns": (b"when,price\n1,2\n", "begins with 'when,price'; known formats: Binance public data"),
    "a column short": (b"open_time,open,high,low,close\n1,2,3,1,2\n", "begins with 'open_time,open,high,low,close'"),
    "bytes": (bytes(range(128, 256)), "begins with b'\\x80\\x81"),
    "half a zip": (zipped(GOOD)[:-30], "is compressed and damaged"),
    "the head of a zip": (b"PK\x03\x04", "is compressed and damaged"),
    "half a gzip": (gzip.compress(GOOD.encode())[:-20], "is compressed and damaged"),
    "half a parquet": (b"PAR1 and no more", "is damaged parquet"),
    "a parquet of other columns": (parquet(a=[1.0]), "begins with the parquet columns a; known formats:"),
    "words for prices": (
        "\n".join([HEADER, *(f"{MONDAY},a,b,c,d,e" for _ in range(4))]).encode(),
        "looks like Binance public data, but 4 of 4 rows are not",
    ),
}


@pytest.mark.parametrize(("content", "words"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_file_that_cannot_be_read_is_wrong_usage_and_says_what_was_found(tmp_path, content, words):
    path = tmp_path / "file"
    path.write_bytes(content)
    ended = manage("data_import", path, "--symbol", "BTCUSD", "--json")

    assert ended.code == 2
    assert ended.complaint == ended.document["error"]
    assert ended.complaint.startswith(f"{path} ")
    assert words in ended.complaint
    assert not QuarantinedRow.objects.exists()


@pytest.mark.parametrize(("name", "why"), [("none.csv", "No such file or directory"), (".", "Is a directory")])
def test_a_file_that_is_not_there_is_wrong_usage(tmp_path, name, why):
    ended = manage("data_import", tmp_path / name, "--symbol", "BTCUSD")

    assert (ended.code, ended.complaint) == (2, f"cannot read {tmp_path / name}: {why}")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (rows(N_STORED, price=3000.0), "48 of the 48 bars that are already stored for BTCUSDT differ"),
        (rows(1, start=MONDAY - HOUR_MS), "has a single bar: say with --interval how long it is"),
        (rows(9, step_ms=7 * 60_000), "are 7 minutes apart; known intervals: 1m, 5m, 15m, 30m, 1h"),
    ],
    ids=["another symbol", "one bar", "another interval"],
)
def test_bars_that_cannot_be_these_are_not_stored(tmp_path, lines, words):
    ended = manage("data_import", written(tmp_path / "file", lines), "--symbol", "BTCUSD", "--json")

    assert ended.code == 5
    assert words in ended.document["error"]
    assert Kline.objects.count() == N_STORED
    assert not QuarantinedRow.objects.exists()


def test_prices_that_are_none_go_to_quarantine_with_their_reason_and_the_others_are_stored(tmp_path):
    lines = rows(10, start=MONDAY - 10 * HOUR_MS)
    for row, column, text in ((1, 2, "nan"), (2, 1, "inf"), (3, 3, ""), (4, 2, "50"), (5, 4, "-1"), (6, 1, "0")):
        cells = lines[row].split(",")
        lines[row] = ",".join([*cells[:column], text, *cells[column + 1 :]])
    path = written(tmp_path / "spoilt.csv", lines)
    ended = manage("data_import", path, "--symbol", "BTCUSD", "--json")

    [file] = ended.data["files"]
    assert (ended.code, file["inserted"], file["rows"]) == (0, 4, 10)
    assert file["unreadable"] + sum(file["quarantined"].values()) == QuarantinedRow.objects.count() == 6
    assert len(ended.document["warnings"]) == len(file["quarantined"]) + 1
    for kept in QuarantinedRow.objects.all():
        assert kept.source == "spoilt.csv"
        assert kept.reason
        assert kept.row
    assert Kline.objects.count() == N_STORED + 4
    manage("data_import", path, "--symbol", "BTCUSD")
    assert (Kline.objects.count(), QuarantinedRow.objects.count()) == (N_STORED + 4, 6)


def test_a_broken_file_among_good_ones_is_named_and_the_ones_before_it_stay(tmp_path):
    before = written(tmp_path / "before.csv", rows(5, start=MONDAY - 5 * HOUR_MS))
    broken = written(tmp_path / "broken.csv", ["nothing of use"])
    after = written(tmp_path / "after.csv", rows(5, start=MONDAY - 10 * HOUR_MS))
    ended = manage("data_import", before, broken, after, "--symbol", "BTCUSD")

    assert ended.code == 2
    assert ended.complaint.startswith(f"{broken} begins with 'nothing of use'")
    assert Kline.objects.count() == N_STORED + 5


def test_what_is_stored_stays_where_a_file_says_otherwise(tmp_path):
    lines = rows(N_STORED)
    lines[3] = lines[3].replace(",104.0,", ",104.25,")
    ended = manage("data_import", written(tmp_path / "revised.csv", lines), "--symbol", "BTCUSD", "--json")

    assert ended.code == 7
    assert ended.data["files"][0]["differing"] == ["2025-06-02T03:00:00+00:00"]
    assert QuarantinedRow.objects.get().reason == "differs from the stored bar"
