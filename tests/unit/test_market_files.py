"""Files of bars are known by their content; the real ones are read whole."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections import Counter
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from market.feeds.server_time import server_to_utc_ms
from market.files import BarFileError, read_bar_file
from market.intervals import NO_TIME
from market.quality import check_rows, find_gaps
from tests.market_builders import HOUR_MS, MONDAY, ms

pytestmark = pytest.mark.slow

VISION = "1735689600000,93576.0,94509.42,93489.03,94401.14,755.9901,1735693199999,71068810.5,93525,421.08,39596777.7,0"
VISION_US = VISION.replace("1735689600000", "1735689600000000").replace("1735693199999", "1735693199999999")
VISION_HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)
EXPORT = (
    "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n"
    "2021.01.01\t00:00:00\t29013.46\t29492.12\t28976.50\t29434.03\t7650\t0\t290\n"
)
DUMP = (
    ",time,open,high,low,close,tick_volume,spread,real_volume\n"
    "25354,2021-01-04 00:00:00,33395.69,33669.27,33002.11,33136.22,6948,645,0\n"
)
METATRADER = "Date,Open,High,Low,Close,Vol\n13/01/2021 22:00,727.8,731.6,725.8,728.8,2\n"


def write(tmp_path, text, name="bars"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("text", [VISION, f"{VISION_HEADER}\n{VISION}\n", VISION_US, VISION.removesuffix(",0")])
def test_binance_rows_are_the_same_with_and_without_header_in_ms_and_us(tmp_path, text):
    found = read_bar_file(write(tmp_path, text))

    assert (found.format, found.kind, found.is_server_time) == ("Binance public data", "klines", False)
    assert found.rows.open_ms.tolist() == [1735689600000]
    assert found.rows["close_ms"].tolist() == [1735693199999]
    assert found.rows["taker_buy_base_volume"].tolist() == [421.08]
    assert found.rows["n_trades"].tolist() == [93525]
    assert "ignore" not in found.rows.columns


def test_the_name_says_nothing(tmp_path):
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("b.csv", VISION)
        archive.writestr("a.csv", VISION.replace("1735689600000", "1735686000000"))
    gzipped = write(tmp_path, gzip.compress(EXPORT.encode()), "bars.parquet")

    assert len(read_bar_file(write(tmp_path, zipped.getvalue(), "bars.csv")).rows) == 2
    assert read_bar_file(gzipped).format == "MetaTrader 5 export"


@pytest.mark.parametrize(
    ("text", "format_name", "opens_at", "tick_volume"),
    [
        (EXPORT, "MetaTrader 5 export", "2021-01-01T00:00", 7650),
        (DUMP, "MetaTrader 5 copy_rates dump", "2021-01-04T00:00", 6948),
        (DUMP.replace("2021-01-04 00:00:00", "1609718400"), "MetaTrader 5 copy_rates dump", "2021-01-04T00:00", 6948),
        (METATRADER, "MetaTrader CSV", "2021-01-13T22:00", 2),
    ],
)
def test_metatrader_text_is_in_server_time(tmp_path, text, format_name, opens_at, tick_volume):
    found = read_bar_file(write(tmp_path, text))

    assert (found.format, found.kind, found.is_server_time) == (format_name, "rates", True)
    assert found.rows.open_ms.tolist() == [ms(opens_at)]
    assert found.rows["tick_volume"].tolist() == [tick_volume]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_the_terminals_encodings_are_read(tmp_path, encoding):
    assert len(read_bar_file(write(tmp_path, EXPORT.encode(encoding))).rows) == 1


def test_parquet_with_times_as_dates_is_read(tmp_path):
    frame = pd.DataFrame({"open_time": pd.to_datetime([MONDAY], unit="ms", utc=True), "open": [1.0], "high": [2.0]})
    frame[["low", "close", "volume"]] = [1.0, 2.0, 3.0]
    frame.to_parquet(tmp_path / "bars")

    assert read_bar_file(tmp_path / "bars").rows.open_ms.tolist() == [MONDAY]


def test_a_row_that_cannot_be_read_is_kept_as_text(tmp_path):
    broken = EXPORT + EXPORT.splitlines()[1].replace("29434.03", "29x") + "\n"
    broken += EXPORT.splitlines()[1].replace("2021.01.01", "2021.13.45") + "\n" + EXPORT.splitlines()[1]

    found = read_bar_file(write(tmp_path, broken))

    assert len(found.rows) == 2
    assert [row["open_text"] for row in found.unreadable] == ["2021.01.01 00:00:00", "2021.13.45 00:00:00"]
    assert found.unreadable[0]["<close>"] == "29x"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("hello\nworld", "'hello'"),
        ("", "nothing: it is empty"),
        ("1,2,3\n", "'1,2,3'"),
        ("Date,Open,High,Low,Close\n", "Date,Open"),
        (b"\x89PNG\r\n\x1a\n\xff\xff", "PNG"),
    ],
)
def test_unknown_content_is_named_with_what_is_known(tmp_path, content, found):
    with pytest.raises(BarFileError, match="known formats: Binance public data") as error:
        read_bar_file(write(tmp_path, content))
    assert found in str(error.value)


def test_parquet_of_something_else_names_its_columns(tmp_path):
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "a")

    with pytest.raises(BarFileError, match="the parquet columns a"):
        read_bar_file(tmp_path / "a")


def test_us_dates_are_not_taken_for_european_ones(tmp_path):
    rows = [f"01/{day:02}/2021 22:00,727.8,731.6,725.8,728.8,2" for day in range(13, 29)]

    with pytest.raises(BarFileError, match="16 of 16 rows are not"):
        read_bar_file(write(tmp_path, "\n".join([METATRADER.splitlines()[0], *rows])))


@pytest.mark.parametrize(
    "content", [b"PAR1 and nothing", b"\x1f\x8b broken", b"PK\x03\x04 broken", b"\x1f\x8b\x08\x00"]
)
def test_a_damaged_file_says_so(tmp_path, content):
    with pytest.raises(BarFileError, match="damaged"):
        read_bar_file(write(tmp_path, content))


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(BarFileError, match=r"cannot read .*nothing: No such file"):
        read_bar_file(tmp_path / "nothing")


# --- real files ---------------------------------------------------------------------------------------------------


def test_every_real_file_is_read_whole(trading_data):
    counts = {}
    for path in sorted(
        [*trading_data.glob("klines*/*"), *trading_data.glob("mt5/*"), *trading_data.glob("recorded/vision_raw/*")]
    ):
        found = read_bar_file(path)
        assert found.unreadable == [], path.name
        counts[path.name] = len(found.rows)
    # the numbers are those of the collection's own README
    assert counts["BTCUSDT_1h_full_2017-08_2019-12.parquet"] == 20_708
    assert counts["BTCUSDT_1h_2021-01_2026-04.parquet"] == 46_330
    assert counts["BTCUSD_H1_mt5_export_2021-01_2025-12.csv.gz"] == 43_785
    assert counts["BTCUSD_H1_mt5_copy_rates_2021-01_2024-03.csv.gz"] == 27_424
    assert counts["ETHUSD_H1_metatrader_2021-01_2024-09.csv.gz"] == 31_724
    assert counts["XAUUSD_H1_mt5_export_2021-01_2026-04.csv.gz"] == 31_966
    assert counts["BTCUSDT-1h-2023-03.csv.gz"] == 743


def test_the_off_grid_bars_of_february_2018_are_the_only_bad_ones(trading_data):
    path = trading_data / "klines_1h_full" / "BTCUSDT_1h_full_2017-08_2019-12.parquet"

    checked = check_rows(read_bar_file(path).rows, interval="1h")

    assert Counter(checked.reasons) == {"open time not on the interval's grid": 43}
    first, last = (datetime.fromtimestamp(t / 1000, UTC) for t in checked.bad.open_ms[[0, -1]])
    assert (f"{first:%Y-%m-%d %H:%M}", f"{last:%Y-%m-%d %H:%M}") == ("2018-02-09 09:28", "2018-02-11 03:28")


def test_short_bars_and_zero_volume_are_good(trading_data):
    path = trading_data / "klines_1h_full" / "BTCUSDT_1h_full_2023-01_2023-05.parquet"
    rows = read_bar_file(path).rows

    checked = check_rows(rows, interval="1h")

    assert checked.reasons == ()
    assert (checked.good["volume"] == 0).sum() == 1
    assert (checked.good["close_ms"] < checked.good.open_ms + HOUR_MS - 1).sum() == 1
    [gap] = find_gaps(checked.good.open_ms, HOUR_MS)
    assert (gap.after_ms, gap.n_missing) == (ms("2023-03-24T12:00"), 1)


def test_gaps_of_the_long_history_are_those_that_the_collection_lists(trading_data):
    rows = read_bar_file(trading_data / "klines_1h_ohlcv" / "BTCUSDT_1h_2021-01_2026-04.parquet").rows

    gaps = find_gaps(rows.open_ms, HOUR_MS)

    assert (len(gaps), sum(gap.n_missing for gap in gaps)) == (7, 14)
    assert max(gaps, key=lambda gap: gap.n_missing)[::2] == (ms("2021-08-13T01:00"), 4)


def test_months_in_microseconds_agree_with_the_converted_ones(trading_data):
    raw = read_bar_file(trading_data / "recorded" / "vision_raw" / "BTCUSDT-1h-2025-01.csv.gz").rows
    whole = read_bar_file(trading_data / "klines_1h_full" / "BTCUSDT_1h_full_2024-11_2025-05.parquet").rows
    same = whole.take(np.isin(whole.open_ms, raw.open_ms))

    assert len(raw) == 744
    np.testing.assert_array_equal(raw.open_ms, same.open_ms)
    for name, values in raw.columns.items():
        np.testing.assert_array_equal(values, same[name], err_msg=name)


def test_the_real_brokers_leftover_of_each_march_has_no_time_in_utc(trading_data):
    rows = read_bar_file(trading_data / "mt5" / "BTCUSD_H1_mt5_copy_rates_2021-01_2024-03.csv.gz").rows

    utc = server_to_utc_ms(rows.open_ms // 1000, "")

    unplaced = [f"{datetime.fromtimestamp(t / 1000, UTC):%Y-%m-%d %H:%M}" for t in rows.open_ms[utc == NO_TIME]]
    assert unplaced == ["2021-03-14 09:00", "2022-03-13 09:00", "2023-03-12 09:00", "2024-03-10 09:00"]


@pytest.mark.parametrize(("year", "month"), [(2021, 1), (2021, 7), (2022, 3), (2022, 11), (2023, 4), (2024, 2)])
def test_the_real_broker_moves_with_binance_only_on_new_york_plus_seven(trading_data, year, month):
    broker = returns(trading_data / "mt5" / "BTCUSD_H1_mt5_copy_rates_2021-01_2024-03.csv.gz", "")
    binance = returns(trading_data / "klines_1h_ohlcv" / "BTCUSDT_1h_2021-01_2026-04.parquet", None)
    late = returns(trading_data / "mt5" / "BTCUSD_H1_mt5_copy_rates_2021-01_2024-03.csv.gz", "GMT+4")
    start = f"{year}-{month:02}"

    assert broker.loc[start].corr(binance.loc[start]) > 0.97
    assert late.loc[start].corr(binance.loc[start]) < 0.3


def returns(path, tz) -> pd.Series:
    """Return hourly returns by UTC open time."""
    rows = read_bar_file(path).rows
    open_ms = rows.open_ms if tz is None else server_to_utc_ms(rows.open_ms // 1000, tz)
    close = pd.Series(rows["close"], pd.to_datetime(open_ms, unit="ms"))[open_ms != NO_TIME]
    return np.log(close / close.shift(freq="h"))
