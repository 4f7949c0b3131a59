"""Real bars as a market: what is read, what is left out, and how files are joined."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from simulator.errors import ReplayError
from simulator.hourbars import HOUR_MS
from simulator.market import Market
from simulator.replay import decimals_of, parse_entry, replay_market

START = 1_767_225_600_000  # 2026-01-01
THREE = [f"{symbol}USDT_1h_full_2026-01_2026-04.parquet" for symbol in ("BTC", "ETH", "BNB")]


def frame(n: int = 8, *, start: int = START, price: float = 100.0, full: bool = True) -> pd.DataFrame:
    """Return bars in Binance's columns, whose volume tells which row they are."""
    rows = pd.DataFrame({"open_time": start + HOUR_MS * np.arange(n)})
    rows["open"] = rows["close"] = price
    rows["high"], rows["low"] = price + 1, price - 1.25
    rows["volume"] = 10.0 + np.arange(n)
    if full:
        rows["quote_volume"], rows["count"] = rows["volume"] * price, 100 + np.arange(n)
        rows["taker_buy_base_volume"], rows["taker_buy_quote_volume"] = rows["volume"] * 0.4, rows["quote_volume"] * 0.4
    return rows


def save(rows: pd.DataFrame, path: Path) -> str:
    rows.to_parquet(path)
    return str(path)


def replay(*entries: str, seed: int = 7) -> Market:
    return replay_market(entries, seed=seed)


@pytest.mark.parametrize(
    ("entry", "symbol", "binance_symbol", "zone"),
    [
        ("/data/BTCUSDT_1h_full_2026-01.parquet", "BTCUSD", "BTCUSDT", ""),
        ("BTCUSDT-1h-2024-12.csv.gz", "BTCUSD", "BTCUSDT", ""),
        ("BTCUSD_H1_export.csv.gz@NY+7", "BTCUSD", "", "NY+7"),
        ("XAUUSD=gold.csv@GMT+2", "XAUUSD", "", "GMT+2"),
        ("ETHUSD=/a=b/ETHUSDT_1h.parquet", "ETHUSD", "ETHUSDT", ""),
        ("/a=b/ETHUSDT_1h.parquet", "ETHUSD", "ETHUSDT", ""),
    ],
)
def test_an_entry_names_its_symbol_or_its_file_does(entry, symbol, binance_symbol, zone):
    parsed = parse_entry(entry)
    assert (parsed.symbol, parsed.binance_symbol, parsed.zone) == (symbol, binance_symbol, zone)


def test_a_file_without_a_symbol_is_refused():
    with pytest.raises(ReplayError, match=r"write SYMBOL=prices\.parquet"):
        parse_entry("prices.parquet")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ReplayError, match="no file"):
        replay(f"BTCUSD={tmp_path / 'none.parquet'}")


def test_a_file_in_no_known_format_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("when;what\n1;2\n")
    with pytest.raises(ReplayError, match=r"a\.csv is in no known format"):
        replay(f"BTCUSD={tmp_path / 'a.csv'}")


def test_a_file_that_lacks_a_column_is_refused(tmp_path):
    with pytest.raises(ReplayError, match="lacks high"):
        replay("BTCUSD=" + save(frame().drop(columns="high"), tmp_path / "a.parquet"))


def test_no_entries_are_refused():
    with pytest.raises(ReplayError, match="at least one file"):
        replay()


def test_the_exchange_serves_the_files_own_rows(trading_data):
    path = trading_data / "klines_1h_full" / THREE[0]
    market, rows = replay(str(path)), pd.read_parquet(path)
    klines = market.klines("BTCUSDT", 3600, market.start_ms, market.end_ms, now_ms=market.end_ms)
    served = np.array([[float(x) for x in k] for k in klines])
    columns = ["open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "count"]
    columns += ["taker_buy_base_volume", "taker_buy_quote_volume"]
    np.testing.assert_array_equal(served[:, :11], rows[columns].to_numpy(float))
    assert market.notes == ()


def test_every_real_hour_is_walked_through_its_open_high_low_and_close(trading_data):
    market = replay(*(str(trading_data / "klines_1h_full" / name) for name in THREE))
    assert list(market.symbols) == ["BTCUSD", "ETHUSD", "BNBUSD"]
    for name, file in zip(market.symbols, THREE, strict=True):
        rows = pd.read_parquet(trading_data / "klines_1h_full" / file)
        assert len(rows) == 2238
        bids = market.ticks(name, market.start_ms - 1, market.end_ms)["bid"].reshape(len(rows), -1)
        minutes = market.rates(name, 60, market.start_ms, market.end_ms, now_ms=market.end_ms)
        for walked in (
            (bids[:, 0], bids.max(1), bids.min(1), bids[:, -1]),
            tuple(
                how(minutes[column].reshape(-1, 60))
                for column, how in (
                    ("open", lambda x: x[:, 0]),
                    ("high", lambda x: x.max(1)),
                    ("low", lambda x: x.min(1)),
                    ("close", lambda x: x[:, -1]),
                )
            ),
        ):
            for column, values in zip(("open", "high", "low", "close"), walked, strict=True):
                np.testing.assert_array_equal(values, rows[column].to_numpy())


def test_rows_off_the_hour_are_left_out_and_counted(trading_data):
    market = replay(str(trading_data / "klines_1h_full" / "BNBUSDT_1h_full_2017-11_2019-12.parquet"))
    assert market.notes == ("BNBUSDT_1h_full_2017-11_2019-12.parquet: left out 43 rows off the hour",)
    assert len(market.hour_bars("BNBUSD")) == 18_772 - 43
    assert not market.is_open("BNBUSD", 1_518_170_000_000)  # 2018-02-09 09:53, inside the outage
    assert market.symbols["BNBUSD"].digits == 4


def test_impossible_and_repeated_rows_are_left_out_and_counted(tmp_path):
    rows = frame(100)
    rows["high"] = np.where(rows.index == 3, rows["low"] - 1, rows["high"])
    rows["open_time"] = np.where(rows.index == 7, START + 6 * HOUR_MS, rows["open_time"])
    market = replay("BTCUSD=" + save(rows, tmp_path / "a.parquet"))
    assert market.notes == (
        "a.parquet: left out 1 rows repeated or out of order",
        "a.parquet: left out 1 rows with impossible prices",
    )
    assert not market.is_open("BTCUSD", START + 3 * HOUR_MS)
    assert market.hour_bars("BTCUSD").volume[5] == 16.0  # the first of the repeated rows counts


def test_a_file_of_quarter_hours_is_refused(trading_data):
    path = trading_data / "klines_15m" / "BTCUSDT_15m_2025-01_2026-04.parquet"
    with pytest.raises(ReplayError, match="not a file of hour bars: 34920 of 46560 rows are off the hour"):
        replay(f"BTCUSD={path}")


def test_the_first_file_decides_and_later_ones_fill_what_is_missing(tmp_path):
    first, later = frame(4, full=False), frame(6, price=200.0)
    first["volume"] = 50.0
    market = replay("BTCUSD=" + save(first, tmp_path / "a.parquet"), "BTCUSD=" + save(later, tmp_path / "b.parquet"))
    bars = market.hour_bars("BTCUSD")
    assert (bars.close / 100).tolist() == [100.0] * 4 + [200.0] * 2
    assert bars.volume.tolist() == [50.0] * 4 + [14.0, 15.0]
    assert bars.trades.tolist() == [100, 101, 102, 103, 104, 105]
    np.testing.assert_allclose(bars.taker_base, 0.4 * (10.0 + np.arange(6)))


def test_taker_columns_come_from_whichever_file_has_them(trading_data):
    long = trading_data / "klines_1h_ohlcv" / "BTCUSDT_1h_2021-01_2026-04.parquet"
    full = trading_data / "klines_1h_full" / THREE[0]
    market, rows = replay(str(long), str(full)), pd.read_parquet(full)
    first = int(rows["open_time"].iloc[0])
    klines = market.klines("BTCUSDT", 3600, first, market.end_ms, now_ms=market.end_ms)
    assert [float(k[9]) for k in klines] == rows["taker_buy_base_volume"].tolist()
    assert market.start_ms == 1_609_459_200_000  # 2021-01-01
    before = market.klines("BTCUSDT", 3600, first - 24 * HOUR_MS, first, now_ms=market.end_ms)
    assert all(0 < float(k[9]) < float(k[5]) for k in before)


def test_takers_never_buy_more_than_was_traded(tmp_path):
    first, later = frame(4, full=False), frame(4)
    later["taker_buy_base_volume"] = 11.0  # more than the first file's first volume
    market = replay("BTCUSD=" + save(first, tmp_path / "a.parquet"), "BTCUSD=" + save(later, tmp_path / "b.parquet"))
    bars = market.hour_bars("BTCUSD")
    assert (bars.taker_base <= bars.volume).all()
    assert market.notes == ("BTCUSD: takers' buys cut to the volume in 1 rows",)


def test_missing_hours_are_a_closed_market_and_the_last_bar_is_the_end(tmp_path):
    rows = frame(10).drop(index=[4, 5])
    market = replay("BTCUSD=" + save(rows, tmp_path / "a.parquet"))
    assert [market.is_open("BTCUSD", START + h * HOUR_MS) for h in (3, 4, 5, 6)] == [True, False, False, True]
    assert market.end_ms == START + 10 * HOUR_MS


def test_trading_starts_after_three_quarters_of_the_bars(tmp_path):
    market = replay("BTCUSD=" + save(frame(100), tmp_path / "a.parquet"))
    assert market.first_trading_ms == START + 75 * HOUR_MS


def test_an_mt5_export_is_a_market_of_bids_with_its_own_spread(trading_data):
    path = trading_data / "mt5" / "XAUUSD_H1_mt5_export_2021-01_2026-04.csv.gz"
    market = replay(str(path))
    spec = market.symbols["XAUUSD"]
    assert (spec.digits, spec.binance_symbol) == (3, "XAUUSDT")
    table = pd.read_csv(path, sep="\t")
    assert spec.spread_points == table["<SPREAD>"][table["<SPREAD>"] > 0].median()
    last = market.rates("XAUUSD", 3600, market.end_ms - HOUR_MS, market.end_ms, now_ms=market.end_ms)[0]
    assert tuple(last)[1:6] == (4630.548, 4634.069, 4626.374, 4626.390, 4252)
    saturday = 1_767_441_600_000 + 12 * HOUR_MS  # 2026-01-03
    assert not market.is_open("XAUUSD", saturday)


def test_server_times_are_taken_to_utc(trading_data):
    dump = trading_data / "mt5" / "BTCUSD_H1_mt5_copy_rates_2021-01_2024-03.csv.gz"
    truth = trading_data / "klines_1h_ohlcv" / "BTCUSDT_1h_2021-01_2026-04.parquet"
    server, exchange = replay(f"{dump}@NY+7"), replay(str(truth))

    def returns(market: Market, shift: int = 0) -> pd.Series:
        bars = market.hour_bars("BTCUSD")
        return pd.Series(np.log(bars.close / 100), index=bars.open_ms + shift * HOUR_MS).diff()

    fits = {shift: returns(server, shift).corr(returns(exchange)) for shift in (-3, -2, -1, 0, 1, 2, 3)}
    assert max(fits, key=fits.__getitem__) == 0
    assert fits[0] > 0.95
    fixed = replay(f"{dump}@GMT+2").hour_bars("BTCUSD")
    assert fixed.start_ms == 1_609_718_400_000 - 2 * HOUR_MS  # 2021-01-04 00:00 at the server


def test_binances_public_files_are_read_in_milli_and_microseconds(trading_data):
    folder = trading_data / "recorded" / "vision_raw"
    months = ["BTCUSDT-1h-2023-03.csv.gz", "BTCUSDT-1h-2024-12.csv.gz", "BTCUSDT-1h-2025-01.csv.gz"]
    market = replay(*(str(folder / month) for month in months))
    bars = market.hour_bars("BTCUSD")
    assert len(bars) == 743 + 744 + 744
    new_year = 1_735_689_600_000
    assert market.klines("BTCUSDT", 3600, new_year, new_year + 1, now_ms=market.end_ms)[0][1:3] == (
        "93576.00000000",
        "94509.42000000",
    )
    assert not market.is_open("BTCUSD", 1_679_662_800_000 + 1)  # the halt of 2023-03-24 13:00


def test_a_plain_metatrader_csv_is_read(tmp_path):
    path = tmp_path / "ETHUSD_H1.csv.gz"
    with gzip.open(path, "wt") as out:
        out.write("Date,Open,High,Low,Close,Vol\n02/01/2026 22:00,727.8,731.6,725.8,728.8,2\n")
    market = replay(str(path))
    assert market.start_ms == START + 46 * HOUR_MS  # day before month
    assert market.quote("ETHUSD", market.end_ms).bid == 728.8


@pytest.mark.parametrize(
    ("prices", "digits"), [([1.0, 250.0], 0), ([0.1, 0.25], 2), ([42_000.01], 2), ([1.7990, 0.5], 3)]
)
def test_decimals_are_the_fewest_that_write_every_price(prices, digits):
    assert decimals_of(np.array(prices)) == digits
