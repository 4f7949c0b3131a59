"""Symbols, bars and ticks of the simulated terminal, in the server's time."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from simulator.market import Market
from simulator.structs import RATES_DTYPE, TICKS_DTYPE
from tests.sim_builders import make_world, minute_path, moment, mt5, shown

NOON = moment("2026-02-03T12:30:00")  # 14:30 on the server's clock


@pytest.fixture(scope="module")
def market():
    """Five synthetic symbols with years of history."""
    return Market.synthetic(7)


@pytest.fixture
def desk(market):
    """A connected terminal on the synthetic market, at 14:30 on the server's clock."""
    with shown(make_world(market=market, now_ms=NOON)) as world:
        yield world


def server(text: str) -> int:
    """Return a time on the server's clock as the package writes it: seconds, as if it were UTC."""
    return moment(text) // 1000


def test_a_symbol_is_described_as_it_trades(desk, market):
    info, spec = mt5.symbol_info("BTCUSD"), market.symbols["BTCUSD"]
    tick = mt5.symbol_info_tick("BTCUSD")
    assert (info.bid, info.ask, info.time) == (tick.bid, tick.ask, tick.time)
    assert tick.time == server("2026-02-03T14:30")
    assert round(info.ask - info.bid, 2) == info.spread * info.point
    assert (info.volume_min, info.volume_step, info.trade_contract_size) == (0.01, 0.01, 1.0)
    assert info.trade_tick_value == info.trade_tick_size * info.trade_contract_size
    assert (info.filling_mode, info.trade_exemode) == (spec.filling_mode, spec.trade_exemode)
    assert (info.currency_base, info.currency_profit) == ("BTC", "USD")
    day = mt5.copy_rates_from_pos("BTCUSD", mt5.TIMEFRAME_D1, 0, 2)
    assert (info.bidhigh, info.bidlow, info.session_open) == (day["high"][1], day["low"][1], day["open"][1])
    assert info.session_close == day["close"][0]


def test_the_book_has_the_quote_on_its_two_levels(desk):
    assert mt5.market_book_get("BTCUSD") is None
    assert mt5.market_book_add("BTCUSD")
    sell, buying = mt5.market_book_get("BTCUSD")
    tick = mt5.symbol_info_tick("BTCUSD")
    assert (sell.type, sell.price) == (mt5.BOOK_TYPE_SELL, tick.ask)
    assert (buying.type, buying.price) == (mt5.BOOK_TYPE_BUY, tick.bid)
    assert mt5.market_book_release("BTCUSD")
    assert mt5.market_book_get("BTCUSD") is None


def test_position_0_is_the_bar_that_is_still_forming(desk):
    before, now = (mt5.copy_rates_from_pos("BTCUSD", mt5.TIMEFRAME_H1, i, 1)[0] for i in (1, 0))
    assert (before["time"], now["time"]) == (server("2026-02-03T13:00"), server("2026-02-03T14:00"))
    desk.after(minutes=29)
    later = mt5.copy_rates_from_pos("BTCUSD", mt5.TIMEFRAME_H1, 0, 1)[0]
    assert later["time"] == now["time"]
    assert later["open"] == now["open"]
    assert later["tick_volume"] > now["tick_volume"]
    assert mt5.copy_rates_from_pos("BTCUSD", mt5.TIMEFRAME_H1, 1, 1)[0] == before
    desk.after(minutes=1)
    assert mt5.copy_rates_from_pos("BTCUSD", mt5.TIMEFRAME_H1, 0, 1)["time"][0] == server("2026-02-03T15:00")


@pytest.mark.parametrize(
    ("timeframe", "opens"),
    [
        ("M1", ["2026-02-03T14:29", "2026-02-03T14:30"]),
        ("M12", ["2026-02-03T14:12", "2026-02-03T14:24"]),
        ("H3", ["2026-02-03T09:00", "2026-02-03T12:00"]),
        ("H4", ["2026-02-03T08:00", "2026-02-03T12:00"]),
        ("H12", ["2026-02-03T00:00", "2026-02-03T12:00"]),
        ("D1", ["2026-02-02T00:00", "2026-02-03T00:00"]),
        ("W1", ["2026-01-25T00:00", "2026-02-01T00:00"]),
        ("MN1", ["2026-01-01T00:00", "2026-02-01T00:00"]),
    ],
)
def test_bars_are_aligned_to_the_servers_day(desk, timeframe, opens):
    bars = mt5.copy_rates_from_pos("BTCUSD", getattr(mt5, f"TIMEFRAME_{timeframe}"), 0, 2)
    assert bars["time"].tolist() == [server(text) for text in opens]
    assert bars.dtype == RATES_DTYPE


@pytest.mark.parametrize("timeframe", ["M5", "H1", "H4", "D1"])
def test_bars_add_up_to_the_minutes_they_are_made_of(desk, timeframe):
    (bar,) = mt5.copy_rates_from_pos("BTCUSD", getattr(mt5, f"TIMEFRAME_{timeframe}"), 1, 1)
    after = mt5.copy_rates_from_pos("BTCUSD", getattr(mt5, f"TIMEFRAME_{timeframe}"), 0, 1)["time"][0]
    minutes = mt5.copy_rates_range("BTCUSD", mt5.TIMEFRAME_M1, int(bar["time"]), int(after) - 60)
    assert (bar["open"], bar["close"]) == (minutes["open"][0], minutes["close"][-1])
    assert (bar["high"], bar["low"]) == (minutes["high"].max(), minutes["low"].min())
    assert bar["tick_volume"] == minutes["tick_volume"].sum()


def test_the_three_ways_to_copy_bars_agree(desk):
    bars = mt5.copy_rates_from_pos("BTCUSD", mt5.TIMEFRAME_H1, 2, 100)
    first, last = int(bars["time"][0]), int(bars["time"][-1])
    np.testing.assert_array_equal(mt5.copy_rates_range("BTCUSD", mt5.TIMEFRAME_H1, first, last), bars)
    np.testing.assert_array_equal(mt5.copy_rates_from("BTCUSD", mt5.TIMEFRAME_H1, last + 59, 100), bars)
    as_date = datetime.fromtimestamp(last, UTC)
    np.testing.assert_array_equal(mt5.copy_rates_from("BTCUSD", mt5.TIMEFRAME_H1, as_date, 100), bars)
    assert (np.diff(bars["time"]) == 3_600).all()


def test_no_bar_of_the_future_is_ever_copied(desk):
    bars = mt5.copy_rates_range("BTCUSD", mt5.TIMEFRAME_H1, server("2026-02-03T12:00"), server("2030-01-01T00:00"))
    assert bars["time"][-1] == server("2026-02-03T14:00")
    assert bars["close"][-1] == mt5.symbol_info_tick("BTCUSD").bid
    late = mt5.copy_rates_range("BTCUSD", mt5.TIMEFRAME_H1, server("2030-01-01T00:00"), server("2031-01-01T00:00"))
    assert len(late) == 0
    far = mt5.copy_rates_range("BTCUSD", mt5.TIMEFRAME_M1, server("2026-02-03T14:00"), 2**50)
    assert len(far) == 31


def test_asking_for_more_bars_than_there_are_gives_all(desk):
    bars = mt5.copy_rates_from_pos("BTCUSD", mt5.TIMEFRAME_D1, 0, 10_000)
    assert 1_000 < len(bars) < 2_000
    assert len(mt5.copy_rates_from_pos("BTCUSD", mt5.TIMEFRAME_D1, 9_000, 10)) == 0


def test_bars_are_unique_over_both_switches_of_the_clock(desk):
    for day in ("2025-03-09", "2025-11-02"):
        bars = mt5.copy_rates_range("BTCUSD", mt5.TIMEFRAME_H1, server(f"{day}T00:00"), server(f"{day}T23:00"))
        hours = (bars["time"] // 3_600 % 24).tolist()
        left_out = [9] if day == "2025-03-09" else []
        assert hours == [h for h in range(24) if h not in left_out]
    minutes = mt5.copy_rates_range("BTCUSD", 1, server("2025-11-02T08:00"), server("2025-11-02T09:00"))
    assert (np.diff(minutes["time"]) == 60).all()


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("BTCUSD", 7, 0, 1), "timeframe"),
        (("BTCUSD", 1, -1, 1), "start_pos"),
        (("BTCUSD", 1, 0, 0), "count"),
        (("BTCUSD", 1, 0, "1"), "count"),
        ((5, 1, 0, 1), "symbol"),
    ],
)
def test_bad_arguments_of_bars_name_themselves(desk, arguments, name):
    assert mt5.copy_rates_from_pos(*arguments) is None
    assert mt5.last_error() == (-2, f'Invalid "{name}" argument')


def test_unknown_symbols_have_no_bars_and_no_ticks(desk):
    assert mt5.copy_rates_from_pos("NOPE", 1, 0, 1) is None
    assert mt5.last_error()[0] == -4
    assert mt5.copy_ticks_from("NOPE", 0, 1, mt5.COPY_TICKS_ALL) is None


def test_ticks_are_copied_forward_from_a_moment(desk):
    ticks = mt5.copy_ticks_from("BTCUSD", server("2026-02-03T14:00"), 100, mt5.COPY_TICKS_ALL)
    assert ticks.dtype == TICKS_DTYPE
    assert len(ticks) == 100
    assert ticks["time"][0] == server("2026-02-03T14:00")
    assert (np.diff(ticks["time_msc"]) > 0).all()
    assert (ticks["time"] == ticks["time_msc"] // 1000).all()
    bar = mt5.copy_rates_from_pos("BTCUSD", mt5.TIMEFRAME_H1, 0, 1)[0]
    whole = mt5.copy_ticks_range("BTCUSD", int(bar["time"]), server("2027-01-01T00:00"), mt5.COPY_TICKS_INFO)
    assert whole["bid"][-1] == mt5.symbol_info_tick("BTCUSD").bid
    assert (whole["bid"][0], whole["bid"].max()) == (bar["open"], bar["high"])
    assert len(mt5.copy_ticks_range("BTCUSD", 0, server("2026-02-03T14:00"), mt5.COPY_TICKS_TRADE)) == 0
    assert len(mt5.copy_ticks_from("BTCUSD", server("2026-02-03T14:29"), 10_000, mt5.COPY_TICKS_ALL)) == 7


def test_closed_hours_have_no_bars_and_do_not_count():
    bids = minute_path(100.0, 101.0) + minute_path(102.0, 103.0, start_ms=moment("2026-01-07T08:00"))
    world = make_world({"BTCUSD": bids})
    world.clock.t_ms = moment("2026-01-07T08:30")
    with shown(world):
        bars = mt5.copy_rates_from_pos("BTCUSD", mt5.TIMEFRAME_H1, 0, 2)
        assert bars["time"].tolist() == [server("2026-01-05T10:00"), server("2026-01-07T10:00")]
        assert bars["close"].tolist() == [101.0, 103.0]
