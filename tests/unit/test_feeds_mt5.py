"""Bars from a terminal: closed ones only, in UTC, and only as many as are wanted."""

from __future__ import annotations

import numpy as np
import pytest

from market.errors import FeedReplyError, FeedUnavailableError
from market.feeds import FEEDS, FeedConfig, mt5, open_feed
from market.intervals import NO_TIME
from market.terminal.errors import TerminalUnavailableError
from tests.market_builders import HOUR_MS, WrittenTerminal, make_mt5_feed, make_rates, ms

HOURS = [f"2025-06-02T{hour:02}:00" for hour in range(24)]


def times(raw) -> list[int]:
    return raw.open_ms.tolist()


def test_the_forming_bar_never_comes_through():
    terminal = WrittenTerminal(make_rates(HOURS[:11]))  # the bar of 10:00 is position 0

    raw = make_mt5_feed(terminal, now="2025-06-02T10:20").closed_bars("BTCUSD", "1h", since_ms=ms(HOURS[0]))

    assert times(raw) == [ms(hour) for hour in HOURS[:10]]


def test_position_0_is_not_closed_although_our_clock_has_passed_its_end():
    terminal = WrittenTerminal(make_rates(HOURS[:11]))

    raw = make_mt5_feed(terminal, now="2025-06-02T15:00").closed_bars("BTCUSD", "1h", since_ms=ms(HOURS[0]))

    assert times(raw)[-1] == ms(HOURS[9])


def test_a_bar_that_our_clock_has_not_ended_is_not_closed_although_the_terminal_shows_a_later_one():
    terminal = WrittenTerminal(make_rates(HOURS[:11]))

    raw = make_mt5_feed(terminal, now="2025-06-02T09:59").closed_bars("BTCUSD", "1h", since_ms=ms(HOURS[0]))

    assert times(raw)[-1] == ms(HOURS[8])


def test_only_the_bars_since_the_moment_are_asked_for():
    terminal = WrittenTerminal(make_rates(HOURS))

    raw = make_mt5_feed(terminal, now="2025-06-02T23:10").closed_bars("BTCUSD", "1h", since_ms=ms(HOURS[20]))

    assert times(raw) == [ms(hour) for hour in HOURS[20:23]]
    [asked] = [call for call in terminal.asked if call[0] == "copy_rates_from_pos"]
    assert asked == ("copy_rates_from_pos", "BTCUSD", 16385, 0, 5)


def test_a_long_history_comes_in_chunks_without_holes_or_doubles(monkeypatch):
    monkeypatch.setattr(mt5, "CHUNK_BARS", 7)
    terminal = WrittenTerminal(make_rates(HOURS))

    raw = make_mt5_feed(terminal, now="2025-06-02T23:10").closed_bars("BTCUSD", "1h", since_ms=ms(HOURS[1]))

    assert times(raw) == [ms(hour) for hour in HOURS[1:23]]


def test_a_bar_that_begins_between_two_chunks_doubles_nothing(monkeypatch):
    monkeypatch.setattr(mt5, "CHUNK_BARS", 7)
    whole = make_rates(HOURS)

    class Moving(WrittenTerminal):
        def _copy_rates_from_pos(self, symbol, timeframe, position, count):
            self.rates = whole[:22] if position == 0 else whole[:23]
            return super()._copy_rates_from_pos(symbol, timeframe, position, count)

    raw = make_mt5_feed(Moving(), now="2025-06-02T21:10").closed_bars("BTCUSD", "1h", since_ms=ms(HOURS[1]))

    assert times(raw) == [ms(hour) for hour in HOURS[1:21]]


def test_a_terminal_with_less_history_gives_what_it_has(monkeypatch):
    monkeypatch.setattr(mt5, "CHUNK_BARS", 8)  # three chunks are exactly what it has
    terminal = WrittenTerminal(make_rates(HOURS))

    raw = make_mt5_feed(terminal, now="2025-06-02T23:10").closed_bars("BTCUSD", "1h", since_ms=ms("2020-01-01T00:00"))

    assert len(raw) == 23


def test_a_terminal_that_answers_with_no_bars_beyond_its_history_gives_what_it_has(monkeypatch):
    monkeypatch.setattr(mt5, "CHUNK_BARS", 8)
    whole = make_rates(HOURS)

    class Empty(WrittenTerminal):
        def _copy_rates_from_pos(self, symbol, timeframe, position, count):
            found = super()._copy_rates_from_pos(symbol, timeframe, position, count)
            return whole[:0] if found is None else found

    raw = make_mt5_feed(Empty(whole), now="2025-06-02T23:10").closed_bars("BTCUSD", "1h", since_ms=0)

    assert len(raw) == 23


def test_server_time_becomes_utc():
    terminal = WrittenTerminal(make_rates(["2025-07-01T12:00", "2025-07-01T13:00"]))

    raw = make_mt5_feed(terminal, now="2025-07-01T10:30", tz="").closed_bars("BTCUSD", "1h", since_ms=0)

    assert times(raw) == [ms("2025-07-01T09:00")]


def test_a_bar_in_an_hour_that_the_clock_skips_is_handed_on_unplaced():
    rates = make_rates(["2021-03-14T08:00", "2021-03-14T09:00", "2021-03-14T10:00", "2021-03-14T11:00"])

    raw = make_mt5_feed(WrittenTerminal(rates), now="2021-03-14T09:00", tz="").closed_bars("BTCUSD", "1h", since_ms=0)

    assert times(raw) == [ms("2021-03-14T06:00"), NO_TIME, ms("2021-03-14T07:00")]
    assert raw["server_s"][1] * 1000 == ms("2021-03-14T09:00")


def test_the_columns_are_the_terminals():
    raw = make_mt5_feed(WrittenTerminal(make_rates(HOURS[:3])), now=HOURS[2]).closed_bars("BTCUSD", "1h", since_ms=0)

    assert raw["open"].tolist() == [100.0, 100.01]
    assert raw["tick_volume"].tolist() == [500.0, 500.0]
    assert raw["spread"].dtype == np.float64


def test_a_live_tick_on_another_clock_stops_the_update():
    terminal = WrittenTerminal(make_rates(HOURS[:11]), tick_s=ms("2025-06-02T12:19:58") / 1000)

    with pytest.raises(FeedReplyError, match="MT5_TZ"):
        make_mt5_feed(terminal, now="2025-06-02T10:20").closed_bars("BTCUSD", "1h", since_ms=0)


def test_a_live_tick_on_our_clock_passes():
    terminal = WrittenTerminal(make_rates(HOURS[:11]), tick_s=ms("2025-06-02T10:19:58") / 1000)

    assert len(make_mt5_feed(terminal, now="2025-06-02T10:20").closed_bars("BTCUSD", "1h", since_ms=0)) == 10


def test_an_unknown_symbol_is_named():
    with pytest.raises(FeedReplyError, match="does not know the symbol DOGEUSD"):
        make_mt5_feed(WrittenTerminal(make_rates(HOURS)), now=HOURS[5]).closed_bars("DOGEUSD", "1h", since_ms=0)


def test_a_terminal_without_bars_gives_its_own_reason():
    terminal = WrittenTerminal()
    terminal.replies["copy_rates_from_pos"] = None

    with pytest.raises(FeedReplyError, match="no bars of BTCUSD: error -4 Not found"):
        make_mt5_feed(terminal, now=HOURS[5]).closed_bars("BTCUSD", "1h", since_ms=0)


def test_bars_of_another_shape_are_refused():
    terminal = WrittenTerminal(np.zeros(3, np.dtype([("time", "<i8"), ("open", "<f8")])))

    with pytest.raises(FeedReplyError, match="lack close, high, low, real_volume, spread, tick_volume"):
        make_mt5_feed(terminal, now=HOURS[5]).closed_bars("BTCUSD", "1h", since_ms=0)


def test_a_terminal_that_does_not_answer_is_unavailable():
    terminal = WrittenTerminal()

    def fail(*args):
        raise TerminalUnavailableError("no route")

    terminal.replies["symbol_select"] = fail

    with pytest.raises(FeedUnavailableError, match="no route"):
        make_mt5_feed(terminal, now=HOURS[5]).closed_bars("BTCUSD", "1h", since_ms=0)


def test_bars_longer_than_an_hour_are_refused_because_they_follow_the_servers_day():
    with pytest.raises(ValueError, match="interval must be one of 1m, 5m, 15m, 30m, 1h"):
        make_mt5_feed(WrittenTerminal(make_rates(HOURS)), now=HOURS[5]).closed_bars("BTCUSD", "1d", since_ms=0)


def test_no_published_terminal_is_an_unavailable_feed(tmp_path):
    config = FeedConfig(now_ms=lambda: 0, run_dir=tmp_path, state_dir=tmp_path)

    with pytest.raises(FeedUnavailableError, match=r"manage\.py terminal"):
        open_feed("mt5", config)


def test_an_unknown_feed_says_which_are_known(tmp_path):
    with pytest.raises(ValueError, match="no feed 'reuters'; known: mt5, binance"):
        open_feed("reuters", FeedConfig(now_ms=lambda: 0, run_dir=tmp_path, state_dir=tmp_path))
    assert HOUR_MS == 3_600_000
    assert set(FEEDS) == {"mt5", "binance"}


def test_initializing_passes_the_path_unnamed_and_the_login_by_name(tmp_path):
    terminal = WrittenTerminal()
    config = FeedConfig(
        now_ms=lambda: 0, run_dir=tmp_path, state_dir=tmp_path, mt5_path="C:/mt5.exe", mt5_login={"login": 5}
    )

    mt5.Mt5Feed(terminal, config).initialize()

    assert terminal.asked == [("initialize", "C:/mt5.exe")]


def test_a_terminal_that_does_not_start_is_unavailable():
    terminal = WrittenTerminal()
    terminal.replies["initialize"] = False

    with pytest.raises(FeedUnavailableError, match="did not start"):
        make_mt5_feed(terminal, now=HOURS[5]).initialize()
